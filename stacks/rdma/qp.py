"""A queue pair: its states and attributes, and the three parts that it is made of (IBTA 10.2.4, 10.3).

       modify           modify           modify           modify
RESET -------->  INIT  -------->  RTR  -------->  RTS  <-------->  SQD
          receives may be      receives         sends             sends
              posted                                              wait

any state --modify--> RESET: everything is forgotten
any state --modify or a fatal error--> ERR: everything posted is flushed
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.attributes import QpAttributes, check_attributes
from stacks.rdma.completion import Cq, Wc
from stacks.rdma.counters import RdmaCounters
from stacks.rdma.egress import Egress
from stacks.rdma.enums import (
    SYNDROME_ACK,
    AsyncEventType,
    QpState,
    QpType,
    SendFlags,
    WcOpcode,
    WcStatus,
    ack_timeout_ns,
)
from stacks.rdma.memory import MemoryTable, Pd
from stacks.rdma.opcodes import RESPONSES, WC_OPCODES
from stacks.rdma.receive_queue import OwnReceives, ReceiveQueue
from stacks.rdma.reliable.completer import Completer
from stacks.rdma.reliable.requester import Requester
from stacks.rdma.reliable.responder import Responder
from stacks.rdma.srq import Srq
from stacks.rdma.work import RecvWr, SendWr
from stacks.runtime import LocalError, StateTable, Timers
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.device import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class QpCapacity:
    """Sizes fixed at creation: work requests outstanding in each queue, and SGEs in each of them."""

    max_send_wr: int = 128
    max_recv_wr: int = 128
    max_send_sge: int = 16
    max_recv_sge: int = 16


class QpEvent(enum.Enum):
    """What moves a queue pair."""

    MODIFY_RESET = "modify to RESET"
    MODIFY_INIT = "modify to INIT"
    MODIFY_RTR = "modify to RTR"
    MODIFY_RTS = "modify to RTS"
    MODIFY_SQD = "modify to SQD"
    MODIFY_ERR = "modify to ERR"
    FATAL_ERROR = "fatal error"


class Qp:
    """One queue pair; made by `Pd.create_qp` or `Device.create_qp`.

    memory, counters, timers: the device's; a queue pair has one timer.
    number: 24 bits, unique in the device. state: see the module. send_cq, recv_cq: where completions go.
    srq: the shared receive queue that it takes receives from, or None for one of its own.
    on_established: called once when the first packet arrives in RTR; the connection manager listens.
    """

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
        self.timers: Timers[Qp] = device.timers
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
        self.is_ready = False
        """Whether the device has this queue pair in its list of those with something to send."""
        self._flags = SendFlags.SIGNALED if sq_sig_all else 0
        self._egress: Egress | None = None
        self._is_ack_passed = False
        self.requester = Requester(self, capacity.max_send_wr)
        self.completer = Completer(self)
        queue: ReceiveQueue = OwnReceives(capacity.max_recv_wr, f"QP {number}") if srq is None else srq
        self.responder = Responder(self, queue)
        if srq is not None:
            srq.attach(self)

    # Verbs

    def modify(self, attributes: QpAttributes) -> None:
        """Change attributes, and the state with `state`.

        Raises LocalError, naming what is wrong, when the transition does not exist, lacks an attribute, or does not
        take one; nothing is changed then. Source: IBTA 11.2.5.2.
        """
        target = check_attributes(self.qp_type, self.state, attributes)
        before = self.state
        # SQD and ERR to themselves and RTS to RTS keep the state; the others are in the table.
        if target is not before:
            QP_TABLE.apply(before, _MODIFY_EVENTS[target])
        for name in attributes.__slots__:
            value = getattr(attributes, name)
            if value is not None and name not in ("state", "cur_state"):
                self.attributes[name] = value
        self._enter(before, target)

    def post_send(self, wr: SendWr) -> None:
        """Queue a send work request; packets leave when the device is next polled, together with others.

        Raises LocalError before RTS, when the queue is full, or for a request that makes no sense; in ERR the request
        is accepted and flushed (IBTA 10.8.1, 11.4.1.1).
        """
        state = self.state
        if state is not QpState.RTS:
            self._check_may_send(state)
        if len(wr.sges) > self.capacity.max_send_sge:
            raise LocalError(f"a send with {len(wr.sges)} SGEs, but max_send_sge is {self.capacity.max_send_sge}")
        if state is QpState.ERR:
            self.complete_send(wr.wr_id, WC_OPCODES[wr.opcode], 0, WcStatus.WR_FLUSH_ERR)
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
        self.responder.queue.post(wr)

    def destroy(self) -> None:
        """Remove the queue pair; what is outstanding is forgotten without completions (IBTA 11.2.5.4)."""
        self._to_reset()
        if self.srq is not None:
            self.srq.detach(self)
        self._device.remove_qp(self)

    # Packets

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """One packet whose ICRC, key, version and peer were checked.

        word0: opcode, flags and P_Key of the BTH. psn_word: AckReq and PSN. body: extended headers and payload,
        without padding.
        """
        opcode = word0 >> 24
        state = self.state
        if state is QpState.RTR and self.on_established is not None:
            callback, self.on_established = self.on_established, None
            callback(self)
        if opcode in RESPONSES:
            if state is QpState.RTS or state is QpState.SQD:
                self.completer.handle_response(opcode, psn_word & 0xFFFFFF, body, now)
        elif state in _RECEIVING:
            self.responder.handle_request(
                opcode,
                psn=psn_word & 0xFFFFFF,
                wants_ack=psn_word >> 31 != 0,
                is_solicited=bool(word0 & _SOLICITED_BIT),
                body=body,
            )

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send: responses, then requests, then an acknowledgement.

        One send of requests, and only one, goes ahead of an ACK: the answer of a program to what it just received is
        what its peer waits for.
        """
        egress = self._egress
        if egress is None:
            return None
        responder = self.responder
        if responder.responses and (transmit := self._poll_responses(egress)) is not None:
            return transmit
        syndrome = responder.ack_syndrome
        if syndrome is None:
            return self._poll_requests(now)
        if syndrome == SYNDROME_ACK and not self._is_ack_passed:
            transmit = self._poll_requests(now)
            if transmit is not None:
                self._is_ack_passed = True
                self.counters.ack_deferred += 1
                return transmit
        self._is_ack_passed = False
        acknowledgement = responder.poll_acknowledgement()
        return None if acknowledgement is None else egress.acknowledge(*acknowledgement, msn=responder.msn)

    def _poll_requests(self, now: int) -> Transmit | None:
        if self.state is not QpState.RTS or self.completer.resume_ns:
            return None
        transmit = self.requester.poll_transmit()
        if transmit is not None:
            self.completer.arm_after_send(now)
        return transmit

    def _poll_responses(self, egress: Egress) -> Transmit | None:
        send = egress.start()
        responses = self.responder.responses
        while responses and not send.is_closed:
            before = send.count
            if not responses[0].fill(send, egress, shortcuts=self.shortcuts):
                self.responder.reads.drop_oldest()
                continue
            if responses[0].is_finished:
                responses.popleft()
            elif send.count == before:
                break
            if not self.shortcuts:
                break
        return egress.finish(send) if send.count else None

    # What its parts call

    def ring(self) -> None:
        """Tell the device that there may be something to send."""
        if not self.is_ready:
            self._device.mark_ready(self)

    def complete_send(self, wr_id: int, opcode: WcOpcode, length: int, status: WcStatus = WcStatus.SUCCESS) -> None:
        """Add a completion to the send queue's CQ."""
        self.send_cq.push(Wc(wr_id, status, opcode, length, self.number))

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
        self.requester.flush()
        self.responder.flush()
        if self.srq is not None:
            # From here on it takes nothing from the queue (IBTA 10.3.1.7, 11.6.3.5).
            self.raise_event(AsyncEventType.QP_LAST_WQE_REACHED)

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
            self._to_rtr()
        elif (before, target) == (QpState.RTR, QpState.RTS):
            self._to_rts()
        elif (before, target) == (QpState.SQD, QpState.SQD):
            self._change_drained()
        elif target is QpState.RTS:
            self.ring()

    def _apply_attributes(self) -> None:
        responder = self.responder
        responder.access = self._value("access", responder.access)
        responder.min_rnr_timer = self._value("min_rnr_timer", responder.min_rnr_timer)
        responder.reads.max_dest_rd_atomic = self._value("max_dest_rd_atomic", responder.reads.max_dest_rd_atomic)

    def _to_rtr(self) -> None:
        self._egress = self._new_egress()
        self.responder.path_mtu = self._egress.path_mtu
        self.responder.reset(self._value("rq_psn", 0))

    def _to_rts(self) -> None:
        requester = self.requester
        assert self._egress is not None
        requester.egress = self._egress
        requester.window = self._device.new_window(self._egress.path_mtu)
        requester.reset(self._value("sq_psn", 0))
        self._apply_limits()

    def _change_drained(self) -> None:
        """Take what may change between SQD and SQD: the path, and how patient the requester is (IBTA 10.3.1.5)."""
        self._egress = self.requester.egress = self._new_egress()
        self._apply_limits()

    def _new_egress(self) -> Egress:
        av = self.attributes["av"]
        self.remote_host = getattr(av, "destination")  # noqa: B009  # the table made sure that it is there
        return self._device.egress_to(self.remote_host, self._value("dest_qpn", 0), self._value("path_mtu", 0))

    def _apply_limits(self) -> None:
        self.requester.max_rd_atomic = self._value("max_qp_rd_atomic", 0)
        self.completer.reset(
            retry_cnt=self._value("retry_cnt", 0),
            rnr_retry=self._value("rnr_retry", 0),
            ack_timeout_ns=ack_timeout_ns(self._value("timeout", 0)),
        )

    def _to_reset(self) -> None:
        self.state = QpState.RESET
        self.timers.cancel(self)
        self.requester.discard()
        self.requester.reset(0)
        self.responder.reset(0)
        self.responder.queue.withdraw()
        self._egress = None
        self._is_ack_passed = False
        self.attributes.clear()

    def _value(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def _check_may_send(self, state: QpState) -> None:
        if state not in (QpState.SQD, QpState.ERR):
            raise LocalError(f"QP {self.number} is in {state.name}: a send may be posted from RTS on")


_SOLICITED_BIT = 1 << 23
_RECEIVING = frozenset({QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE})

_MODIFY_EVENTS = {
    QpState.RESET: QpEvent.MODIFY_RESET,
    QpState.INIT: QpEvent.MODIFY_INIT,
    QpState.RTR: QpEvent.MODIFY_RTR,
    QpState.RTS: QpEvent.MODIFY_RTS,
    QpState.SQD: QpEvent.MODIFY_SQD,
    QpState.ERR: QpEvent.MODIFY_ERR,
}

QP_TABLE: StateTable[QpState, QpEvent] = StateTable(
    "queue pair",
    QpState,
    events=QpEvent,
    entries={
        **{(state, QpEvent.MODIFY_RESET): QpState.RESET for state in QpState},
        **{(state, QpEvent.MODIFY_ERR): QpState.ERR for state in QpState},
        **{(state, QpEvent.FATAL_ERROR): QpState.ERR for state in QpState if state is not QpState.RESET},
        (QpState.RESET, QpEvent.MODIFY_INIT): QpState.INIT,
        (QpState.INIT, QpEvent.MODIFY_INIT): QpState.INIT,
        (QpState.INIT, QpEvent.MODIFY_RTR): QpState.RTR,
        (QpState.RTR, QpEvent.MODIFY_RTS): QpState.RTS,
        (QpState.RTS, QpEvent.MODIFY_RTS): QpState.RTS,
        (QpState.RTS, QpEvent.MODIFY_SQD): QpState.SQD,
        (QpState.SQD, QpEvent.MODIFY_SQD): QpState.SQD,
        (QpState.SQD, QpEvent.MODIFY_RTS): QpState.RTS,
        (QpState.SQE, QpEvent.MODIFY_RTS): QpState.RTS,
    },
    commands=(
        QpEvent.MODIFY_RESET,
        QpEvent.MODIFY_INIT,
        QpEvent.MODIFY_RTR,
        QpEvent.MODIFY_RTS,
        QpEvent.MODIFY_SQD,
        QpEvent.MODIFY_ERR,
    ),
)
