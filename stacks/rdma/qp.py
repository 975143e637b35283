"""A queue pair, whatever its transport: its verbs, states and attributes (IBTA 10.2.4, 10.3).

The classes that derive from it are made of the parts that carry data, a requester and a responder each; `qp_types` has
the table of them. What a part asks of its queue pair is here too.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.attributes import QpAttributes, check_attributes
from stacks.rdma.completion import Cq, Wc
from stacks.rdma.counters import RdmaCounters
from stacks.rdma.enums import AsyncEventType, QpState, QpType, SendFlags, WcOpcode, WcStatus
from stacks.rdma.memory import MemoryTable, Pd
from stacks.rdma.memory.windows import check_no_windows
from stacks.rdma.opcodes import WC_OPCODES
from stacks.rdma.qp_query import QpInitAttributes, query_attributes
from stacks.rdma.qp_states import MODIFY_EVENTS, QP_TABLE, QpEvent
from stacks.rdma.receive_queue import OwnReceives, ReceiveQueue
from stacks.rdma.sides import ReceiveSide, SendSide, Timed
from stacks.rdma.srq import Srq
from stacks.rdma.transitions import QpAttribute
from stacks.rdma.work import RecvWr, SendWr
from stacks.runtime import LocalError, Timers
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.device import Device
    from stacks.rdma.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class QpCapacity:
    """Sizes fixed at creation: work requests outstanding in each queue, SGEs in each of them, and bytes inline."""

    max_send_wr: int = 128
    max_recv_wr: int = 128
    max_send_sge: int = 16
    max_recv_sge: int = 16
    max_inline_data: int = 0


class Qp:
    """One queue pair; made by `Pd.create_qp` or `Device.create_qp`.

    memory, counters, timers: the device's; a queue pair has one timer.
    number: 24 bits, unique in the device. state: see `qp_states`. send_cq, recv_cq: where completions go.
    srq: the shared receive queue that it takes receives from, or None for one of its own.
    remote_host: the peer, in numeric text form; nobody before RTR, and for ever where packets come from anywhere.
    on_established: called once when the first packet arrives in RTR; the connection manager listens.
    """

    transport: ClassVar[int]
    """The upper three bits of the opcodes that it sends and takes (IBTA 9.2.1)."""
    requester: SendSide
    responder: ReceiveSide

    def __init__(
        self,
        device: Device,
        pd: Pd,
        number: int,
        *,
        qp_type: QpType,
        send_cq: Cq,
        recv_cq: Cq,
        capacity: QpCapacity,
        sq_sig_all: bool,
        srq: Srq | None = None,
    ) -> None:
        self._device = device
        # The device's own, as plain attributes: the data path asks for them with every packet.
        self.memory: MemoryTable = device.memory
        self.counters: RdmaCounters = device.counters
        self.timers: Timers[Timed] = device.timers
        self.pd = pd
        self.number = number
        self.qp_type = qp_type
        self.send_cq = send_cq
        self.recv_cq = recv_cq
        self.capacity = capacity
        self.srq = srq
        self.state = QpState.RESET
        self.attributes: dict[str, object] = {}
        self.remote_host = ""
        self.shortcuts = device.config.shortcuts
        self.on_established: Callable[[Qp], None] | None = None
        self.is_established = False
        """Whether a packet of the peer has arrived since RTR."""
        self.is_ready = False
        """Whether the device has this queue pair in its list of those with something to send."""
        self._flags = SendFlags.SIGNALED if sq_sig_all else 0
        self.receive_queue: ReceiveQueue = OwnReceives(capacity.max_recv_wr, f"QP {number}") if srq is None else srq
        if srq is not None:
            srq.attach(self)
        self._make_parts()

    # Verbs

    def modify(self, attributes: QpAttributes) -> None:
        """Change attributes, and the state with `state`.

        Raises LocalError, naming what is wrong, when the transition does not exist, lacks an attribute, or does not
        take one; nothing is changed then. Source: IBTA 11.2.5.2.
        """
        target = check_attributes(self.qp_type, self.state, attributes)
        self._check_family(attributes)
        before = self.state
        if before is target is QpState.SQD and self.sq_draining and attributes.mask & ~_STATES:
            raise LocalError(f"QP {self.number} still drains: wait for SQ_DRAINED", errno=errno.EBUSY)
        # SQD and ERR to themselves and RTS to RTS keep the state; the others are in the table.
        if target is not before:
            QP_TABLE.apply(before, MODIFY_EVENTS[target])
        for name in attributes.__slots__:
            value = getattr(attributes, name)
            if value is not None and name not in ("state", "cur_state", "sq_draining"):
                self.attributes[name] = value
        self._enter(before, target)

    def post_send(self, wr: SendWr) -> None:
        """Queue a send work request; packets leave when the device is next polled, together with others.

        Raises LocalError before RTS, when the queue is full, or for a request that makes no sense; in SQE and ERR the
        request is accepted and flushed (IBTA 10.8.1, 11.4.1.1).
        """
        state = self.state
        if state is not _RTS:
            self._check_may_send(state)
        if len(wr.sges) > self.capacity.max_send_sge:
            raise LocalError(f"a send with {len(wr.sges)} SGEs, but max_send_sge is {self.capacity.max_send_sge}")
        if state is not _RTS:
            self._post_outside_rts(wr, state)
            return
        self.requester.post(wr, wr.flags | self._flags)
        if not self.is_ready:
            self.ring()

    def post_recv(self, wr: RecvWr) -> None:
        """Queue a receive work request; flushed at once in ERR.

        Raises LocalError in RESET, when the queue is full, or when the queue pair shares one (IBTA 10.2.9.1).
        """
        if self.srq is not None:
            raise LocalError(f"QP {self.number} takes receives from SRQ {self.srq.number}: post them there")
        if self.state is QpState.RESET:
            raise LocalError(f"QP {self.number} is in RESET: a receive may be posted from INIT on")
        if len(wr.sges) > self.capacity.max_recv_sge:
            raise LocalError(f"a receive with {len(wr.sges)} SGEs, but max_recv_sge is {self.capacity.max_recv_sge}")
        if self.state is QpState.ERR:
            self.recv_cq.push(Wc(wr.wr_id, WcStatus.WR_FLUSH_ERR, WcOpcode.RECV, 0, self.number))
            return
        self.receive_queue.post(wr)

    def query(self) -> QpAttributes:
        """State and attributes as they are now, with `cap` and `sq_draining` (IBTA 11.2.5.3)."""
        return query_attributes(self, rq_psn=self.responder.expected_psn, sq_psn=self.requester.next_psn)

    @property
    def init_attributes(self) -> QpInitAttributes:
        """What it was created with."""
        return QpInitAttributes(
            qp_type=self.qp_type, send_cq=self.send_cq, recv_cq=self.recv_cq, srq=self.srq, capacity=self.capacity,
            sq_sig_all=bool(self._flags),
        )  # fmt: skip

    @property
    def sq_draining(self) -> bool:
        """Whether sends that had begun before SQD are still outstanding."""
        return self.state is QpState.SQD and not self.requester.is_drained

    def destroy(self) -> None:
        """Remove the queue pair; what is outstanding is forgotten without completions (IBTA 11.2.5.4).

        Raises LocalError while memory windows of type 2A are bound to it.
        """
        check_no_windows(self.memory, self)
        self._to_reset()
        if self.srq is not None:
            self.srq.detach(self)
        self._device.remove_qp(self)

    # Packets

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """One packet of this transport whose ICRC, key, version and peer were checked.

        word0: opcode, flags and P_Key of the BTH. psn_word: AckReq and PSN. body: extended headers and payload,
        without padding.
        """
        raise NotImplementedError

    def handle_run(self, run: Run, now: int) -> int:  # noqa: ARG002  # for those that have shortcuts
        """Take packets from the front of a run whose ICRCs are right; returns how many. The rest is checked fully."""
        return 0

    def handle_lone(self, words: tuple[int, ...], packet: memoryview, now: int) -> int:  # noqa: ARG002  # likewise
        """As `handle_run` for one packet: 1 when it was taken, else 0."""
        return 0

    def handle_timeout(self, now: int) -> None:
        """The queue pair's timer expired."""

    def handle_mark(self, opcode: int, now: int) -> None:
        """A packet for this queue pair arrived with CE in its IP header (IBTA A17.9.3)."""

    def handle_notification(self, now: int) -> bool:  # noqa: ARG002  # for those with congestion control
        """A CNP came (IBTA A17.9.3); whether it was heeded."""
        return False

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send, or None."""
        raise NotImplementedError

    def handle_sent(self, transmit: Transmit) -> None:
        """The transport is done with a send that was announced with `expect_sent`."""

    def tell_established(self) -> None:
        """Say once that the peer has begun to send (IBTA 11.6.3.1, communication established)."""
        self.is_established = True
        self.raise_event(AsyncEventType.COMM_EST)
        if self.on_established is not None:
            callback, self.on_established = self.on_established, None
            callback(self)

    def resume(self) -> None:
        """Memory that was not there may be there now."""
        self.requester.resume()

    # What its parts call

    def ring(self) -> None:
        """Tell the device that there may be something to send."""
        if not self.is_ready:
            self._device.mark_ready(self)

    def expect_sent(self, transmit: Transmit) -> None:
        """Have `handle_sent` called when the transport is done with a send."""
        self._device.leaving[transmit] = self

    def complete_send(self, wr_id: int, opcode: WcOpcode, length: int, status: WcStatus = WcStatus.SUCCESS) -> None:
        """Add a completion to the send queue's CQ."""
        self.send_cq.push(Wc(wr_id, status, opcode, length, self.number))

    def check_drained(self) -> None:
        """Something completed, perhaps the last that had begun before SQD: say so once, if asked (IBTA 11.6.3.1)."""
        if (
            self.state is QpState.SQD
            and self.requester.is_drained
            and self.attributes.pop("en_sqd_async_notify", False)
        ):
            self.raise_event(AsyncEventType.SQ_DRAINED)

    def raise_event(self, kind: AsyncEventType) -> None:
        """Report an asynchronous event."""
        self._device.raise_event(kind, self)

    def enter_error(self) -> None:
        """Go to ERR and flush both queues, sends first; a NAK that is due still leaves. Idempotent."""
        if self.state in (QpState.ERR, QpState.RESET):
            return
        QP_TABLE.apply(self.state, QpEvent.FATAL_ERROR)
        self.state = QpState.ERR
        self.timers.cancel(self)
        self.requester.release()
        self.requester.flush()
        self.responder.flush()
        if self.srq is not None:
            # From here on it takes nothing from the queue (IBTA 10.3.1.7, 11.6.3.5).
            self.raise_event(AsyncEventType.QP_LAST_WQE_REACHED)

    def enter_send_error(self) -> None:
        """Go to SQE: the send queue is flushed and takes nothing, receives go on (IBTA 10.3.1.6). Not for reliable."""
        state = QP_TABLE.apply(self.state, QpEvent.SEND_ERROR)
        if isinstance(state, QpState):
            self.state = state
            self.requester.release()
            self.requester.flush()

    # State changes

    def _enter(self, before: QpState, target: QpState) -> None:
        if target is QpState.ERR:
            self.enter_error()
            # Also from RESET, which a fatal error leaves alone.
            self.state = target
            return
        if target is QpState.RESET:
            self._to_reset()
            return
        self.state = target
        self._apply_attributes()
        if (before, target) == (QpState.INIT, QpState.RTR):
            self.is_established = False
            self._to_rtr()
        elif (before, target) == (QpState.RTR, QpState.RTS):
            self._to_rts()
        elif (before, target) == (QpState.SQD, QpState.SQD):
            self._change_drained()
        elif target is QpState.SQD:
            self.requester.hold()
            self.check_drained()
        elif target is QpState.RTS:
            self.attributes.pop("en_sqd_async_notify", None)
            self.requester.release()
            self.ring()

    def _to_reset(self) -> None:
        self.state = QpState.RESET
        self.timers.cancel(self)
        self.requester.release()
        self.requester.discard()
        self.responder.discard()
        self.attributes.clear()

    def _make_parts(self) -> None:
        """Set `requester`, `responder`, and whatever else the transport has."""
        raise NotImplementedError

    def _apply_attributes(self) -> None:
        """Hand on what may change with any modify."""

    def _to_rtr(self) -> None:
        """Get ready to receive."""

    def _to_rts(self) -> None:
        """Get ready to send."""

    def _change_drained(self) -> None:
        """Take what may change between SQD and SQD."""

    def _value(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def _check_family(self, attributes: QpAttributes) -> None:
        host, av = self._device.address[0], attributes.av
        if av is not None and (":" in av.destination) != (":" in host):
            raise LocalError(f"{host} cannot reach {av.destination}: one is IPv4, the other IPv6")

    def _post_outside_rts(self, wr: SendWr, state: QpState) -> None:
        """Hold a send back in SQD, flush it in SQE and ERR (IBTA 10.3.1)."""
        if state in _FLUSHING:
            self.complete_send(wr.wr_id, WC_OPCODES[wr.opcode], 0, WcStatus.WR_FLUSH_ERR)
            return
        self.requester.release()
        try:
            self.requester.post(wr, wr.flags | self._flags)
        finally:
            self.requester.hold()

    def _check_may_send(self, state: QpState) -> None:
        if state is not QpState.SQD and state not in _FLUSHING:
            raise LocalError(f"QP {self.number} is in {state.name}: a send may be posted from RTS on")


_FLUSHING = frozenset({QpState.SQE, QpState.ERR})
"""States in which sends are flushed as they are posted."""

_RTS = QpState.RTS
_STATES = QpAttribute.STATE | QpAttribute.CUR_STATE
