"""Completion queues and the channels that announce them (IBTA 11.2.6, 11.4.2)."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

from stacks.rdma import completion as core
from stacks.rdma.enums import WcFlags, WcStatus
from stacks.rdma.verbs.errors import PyverbsRDMAError, failing_with
from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.device import Context


class WC:
    """A work completion. After an error only `wr_id`, `status` and `qp_num` mean anything.

    imm_data: as it lies in memory (ntohl makes the number), or the R_Key that was invalidated.
    """

    __slots__ = (
        "byte_len", "dlid_path_bits", "imm_data", "opcode", "pkey_index", "qp_num", "sl", "slid", "src_qp", "status",
        "vendor_err", "wc_flags", "wr_id",
    )  # fmt: skip

    def __init__(
        self,
        wr_id: int = 0,
        status: int = 0,
        opcode: int = 0,
        vendor_err: int = 0,
        byte_len: int = 0,
        qp_num: int = 0,
        src_qp: int = 0,
        imm_data: int = 0,
        wc_flags: int = 0,
        pkey_index: int = 0,
        slid: int = 0,
        sl: int = 0,
        dlid_path_bits: int = 0,
    ) -> None:
        self.wr_id = wr_id
        self.status = status
        self.opcode = opcode
        self.vendor_err = vendor_err
        self.byte_len = byte_len
        self.qp_num = qp_num
        self.src_qp = src_qp
        self.imm_data = imm_data
        self.wc_flags = wc_flags
        self.pkey_index = pkey_index
        self.slid = slid
        self.sl = sl
        self.dlid_path_bits = dlid_path_bits

    @classmethod
    def of_core(cls, wc: core.Wc) -> WC:
        """From what the core gives."""
        return cls(
            wr_id=wc.wr_id,
            status=wc.status,
            opcode=wc.opcode,
            vendor_err=wc.vendor_err,
            byte_len=wc.byte_len,
            qp_num=wc.qp_num,
            src_qp=wc.src_qp,
            pkey_index=wc.pkey_index,
            slid=wc.slid,
            sl=wc.sl,
            imm_data=immediate_of(wc),
            wc_flags=wc.flags,
        )

    def __repr__(self) -> str:
        return f"WC({self.wr_id}, {cqe_status_to_str(self.status)}, opcode={self.opcode}, byte_len={self.byte_len})"


class CompChannel(VerbsObject):
    """Where completion queues announce that they have something."""

    CLOSING_RANK: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context.host, (context,))
        self.context = context
        self.core = core.CompChannel()
        self._cqs: WeakSet[CQBase] = WeakSet()

    def add(self, cq: CQBase) -> None:
        """Have the channel announce `cq`, and close it first."""
        self._cqs.add(cq)
        self.adopt(cq)

    def get_cq_event(self, expected_cq: CQBase, *, timeout_ns: int | None = None) -> None:
        """Sleep until an event comes, which must be `expected_cq`'s; TimeoutError after `timeout_ns`.

        Raises PyverbsRDMAError when another queue announced itself.
        """
        events: list[core.Cq] = []

        def has_event() -> bool:
            event = self.core.poll_event()
            if event is not None:
                events.append(event)
            return bool(events)

        if not self._host.wait_until(has_event, timeout_ns=timeout_ns):
            raise TimeoutError("no completion queue announced itself")
        if events[0] is not expected_cq.core:
            raise PyverbsRDMAError("Received event on an unexpected CQ", errno.EINVAL)


class CQBase(VerbsObject):
    """What plain and extended completion queues have in common."""

    CLOSING_RANK: ClassVar[int] = 1

    def __init__(
        self,
        context: Context,
        cqe: int,
        *,
        cq_context: object,
        channel: CompChannel | None,
        comp_vector: int,
        wc_flags: int | None = None,
    ) -> None:
        if not 0 <= comp_vector < context.num_comp_vectors:
            raise PyverbsRDMAError(f"Failed to create a CQ: there is no completion vector {comp_vector}", errno.EINVAL)
        with context.host.lock, failing_with("Failed to create a CQ"):
            self.core = context.device.create_cq(
                int(cqe), channel=None if channel is None else channel.core, wc_flags=wc_flags
            )
        super().__init__(context.host, (context,))
        self.context = context
        self.cq_context = cq_context
        self.comp_channel = channel
        if channel is not None:
            channel.add(self)

    @property
    def cqe(self) -> int:
        """Completions that fit."""
        return self.core.depth

    def take(self, num_entries: int) -> list[WC]:
        """Take up to `num_entries` completions that are there, without a pass."""
        with self._host.lock:
            return [WC.of_core(wc) for wc in self.core.poll(num_entries)]

    def req_notify(self, solicited_only: bool = False) -> None:
        """Announce the next completion (or the next solicited one, or error) on the channel, once."""
        with self._host.lock, failing_with("Request notify CQ failed"):
            self.core.arm(solicited_only=solicited_only)

    def ack_events(self, num_events: int) -> None:
        """Say that events were dealt with; more than came raise PyverbsRDMAError."""
        with self._host.lock, failing_with("Failed to ack events"):
            self.core.ack_events(num_events)

    def resize(self, cqe: int) -> None:
        """Change the number of completions that fit; fewer than are queued is EINVAL."""
        with self._host.lock, failing_with("Failed to resize CQ"):
            self.core.resize(cqe)

    def modify(self, cq_count: int, cq_period: int) -> None:
        """Hold announcements back for `cq_count` completions or `cq_period` microseconds; zeros end that."""
        with self._host.lock, failing_with("Failed to modify CQ"):
            self.core.moderate(count=cq_count, period_us=cq_period)

    def _release(self) -> None:
        # Whoever closes a queue has no further interest in its events.
        self.core.ack_events(self.core.unacknowledged)
        self.core.destroy()


class CQ(CQBase):
    """A completion queue.

    cqe: completions that fit; the queue breaks when one more comes. cq_context: the program's own. channel: where it
    announces itself. comp_vector: below `Context.num_comp_vectors`; all the same here.
    """

    def __init__(
        self,
        context: Context,
        cqe: int,
        cq_context: object = None,
        channel: CompChannel | None = None,
        comp_vector: int = 0,
    ) -> None:
        super().__init__(context, cqe, cq_context=cq_context, channel=channel, comp_vector=comp_vector)

    def poll(self, num_entries: int = 1) -> tuple[int, list[WC]]:
        """Make a short pass, then take up to `num_entries` completions; how many, and they themselves."""
        host = self._host
        with host.lock:
            host.poll()
            wcs = [WC.of_core(wc) for wc in self.core.poll(num_entries)]
        return len(wcs), wcs


def immediate_of(wc: core.Wc) -> int:
    """The one field of ibv_wc that holds immediate data as they lie in memory, or an R_Key."""
    if wc.flags & WcFlags.WITH_IMM:
        return int.from_bytes(wc.imm_data, sys.byteorder)
    return wc.invalidated_rkey


def cqe_status_to_str(status: int) -> str:
    """A status in words."""
    try:
        return WcStatus(status).name.replace("_", " ").capitalize()
    except ValueError:
        return f"Unknown status {status}"
