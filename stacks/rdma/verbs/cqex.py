"""Extended completion queues: one completion at a time, and only the fields that were asked for (ibv_create_cq_ex)."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.completion import Wc
from stacks.rdma.enums import WcFlags
from stacks.rdma.verbs.cq import CompChannel, CQBase, immediate_of
from stacks.rdma.verbs.errors import PyverbsRDMAError, unsupported

if TYPE_CHECKING:
    from stacks.rdma.verbs.device import Context
    from stacks.rdma.verbs.pd import PD


@dataclass(slots=True)
class CqInitAttrEx:
    """cqe: completions that fit. wc_flags: IBV_WC_EX_ bits of the fields that completions carry.

    comp_mask, flags: IBV_CQ_INIT_ATTR_MASK_ and IBV_CREATE_CQ_ATTR_ bits; SINGLE_THREADED is a promise nobody uses.
    """

    cqe: int = 100
    cq_context: object = None
    channel: CompChannel | None = None
    comp_vector: int = 0
    wc_flags: int = 0
    comp_mask: int = 0
    flags: int = 0
    parent_domain: PD | None = None


@dataclass(slots=True)
class PollCqAttr:
    """comp_mask: nothing is defined for it."""

    comp_mask: int = 0


class CQEX(CQBase):
    """A completion queue that is read field by field.

    start_poll, then read, then poll_next and read again, then end_poll; `status` and `wr_id` are always there.
    """

    def __init__(self, context: Context, init_attr: CqInitAttrEx | None = None) -> None:
        attr = init_attr or CqInitAttrEx()
        if attr.flags & ~SINGLE_THREADED:
            raise unsupported("Failed to create extended CQ: overruns are never ignored here")
        self.wc_flags = int(attr.wc_flags)
        super().__init__(
            context,
            attr.cqe,
            cq_context=attr.cq_context,
            channel=attr.channel,
            comp_vector=attr.comp_vector,
            wc_flags=self.wc_flags,
        )
        self._wc: Wc | None = None

    def start_poll(self, poll_attr: PollCqAttr | None = None) -> int:  # noqa: ARG002  # nothing is defined for it
        """Make a short pass and go to the first completion: 0, or ENOENT when there is none."""
        host = self._host
        with host.lock:
            host.poll()
            return self.poll_next()

    def poll_next(self) -> int:
        """Go to the next completion: 0, or ENOENT when there is none."""
        with self._host.lock:
            wcs = self.core.poll(1)
        if not wcs:
            return errno.ENOENT
        self._wc = wcs[0]
        return 0

    def end_poll(self) -> None:
        """Done reading."""
        self._wc = None

    @property
    def status(self) -> int:
        """How it ended, an IBV_WC_ number."""
        return self._current.status

    @property
    def wr_id(self) -> int:
        """Of the work request."""
        return self._current.wr_id

    def read_opcode(self) -> int:
        """What was completed, an IBV_WC_ number."""
        return self._current.opcode

    def read_wc_flags(self) -> int:
        """IBV_WC_ bits."""
        return self._current.flags

    def read_vendor_err(self) -> int:
        """0: a software device has no more to say than the status."""
        return self._current.vendor_err

    def read_byte_len(self) -> int:
        """Bytes received, read or swapped."""
        return self._current.byte_len

    def read_imm_data(self) -> int:
        """Immediate data as they lie in memory; 0 without."""
        wc = self._current
        # A queue that was not asked for them has the flag, and no data.
        return immediate_of(wc) if wc.flags & WcFlags.WITH_IMM and wc.imm_data else 0

    def read_qp_num(self) -> int:
        """The queue pair's number."""
        return self._current.qp_num

    def read_src_qp(self) -> int:
        """The sender of a datagram."""
        return self._current.src_qp

    def read_slid(self) -> int:
        """0, as on any Ethernet."""
        return self._current.slid

    def read_sl(self) -> int:
        """Service level."""
        return self._current.sl

    def read_dlid_path_bits(self) -> int:
        """0, as on any Ethernet."""
        return self._current.dlid_path_bits

    def read_timestamp(self) -> int:
        """When it completed, in ns of the device's clock."""
        return self._current.timestamp_ns

    def read_completion_wallclock_ns(self) -> int:
        """When it completed, in ns since 1970."""
        # The device's clock is the monotonic one; what lies between the two is as good as constant while a read lasts.
        return self._current.timestamp_ns + time.time_ns() - time.monotonic_ns()

    def read_cvlan(self) -> int:
        """0: there are no VLANs."""
        return 0

    def read_flow_tag(self) -> int:
        """0: there is no flow steering."""
        return 0

    @property
    def _current(self) -> Wc:
        if self._wc is None:
            raise PyverbsRDMAError("no completion was polled", errno.EINVAL)
        return self._wc


SINGLE_THREADED = 1
