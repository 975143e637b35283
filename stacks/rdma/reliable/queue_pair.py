"""A queue pair of a reliable transport: three parts that share one sequence of packets (IBTA 9.7).

requests of ours: Requester -> packets ... responses -> Completer
requests of the peer: packets -> Responder -> responses and acknowledgements
"""

from __future__ import annotations

from typing import ClassVar

from stacks.rdma.connected import ConnectedQp
from stacks.rdma.egress import Egress
from stacks.rdma.enums import SYNDROME_ACK, QpState, ack_timeout_ns
from stacks.rdma.opcodes import RELIABLE, RESPONSES
from stacks.rdma.qp_states import RECEIVING
from stacks.rdma.reliable import shortcuts
from stacks.rdma.reliable.completer import Completer
from stacks.rdma.reliable.requester import Requester
from stacks.rdma.reliable.responder import Responder
from transports.datagram import Transmit


class ReliableQp(ConnectedQp):
    """A reliable connection (RC)."""

    transport = RELIABLE
    requester: Requester
    responder: Responder
    requester_class: ClassVar[type[Requester]] = Requester
    responder_class: ClassVar[type[Responder]] = Responder
    # Functions of their own module, as methods: the data path pays for no call in between.
    handle_run = shortcuts.handle_run
    handle_lone = shortcuts.handle_lone

    def _make_parts(self) -> None:
        self._egress: Egress | None = None
        self._is_ack_passed = False
        self.requester = self.requester_class(self, self.capacity.max_send_wr)
        self.completer = Completer(self)
        self.responder = self.responder_class(self, self.receive_queue)

    # Packets

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """One packet whose ICRC, key, version and peer were checked.

        word0: opcode, flags and P_Key of the BTH. psn_word: AckReq and PSN. body: extended headers and payload,
        without padding.
        """
        opcode = word0 >> 24
        state = self.state
        if state is QpState.RTR and not self.is_established:
            self.tell_established()
        if opcode in RESPONSES:
            if state is QpState.RTS:
                self.completer.handle_response(opcode, psn_word & 0xFFFFFF, body, now)
            elif state is QpState.SQD:
                self.completer.handle_response(opcode, psn_word & 0xFFFFFF, body, now)
                self.check_drained()
        elif state in RECEIVING:
            self.responder.handle_request(
                opcode,
                psn=psn_word & 0xFFFFFF,
                wants_ack=psn_word >> 31 != 0,
                is_solicited=bool(word0 & _SOLICITED_BIT),
                body=body,
            )

    def handle_timeout(self, now: int) -> None:
        """An acknowledgement did not come, or an RNR wait is over."""
        self.completer.handle_timeout(now)

    def resume(self) -> None:
        """Memory that was not there may be there now, for requests of either side."""
        super().resume()
        self.responder.resume()

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send: responses, then requests, then an acknowledgement.

        One send of requests, and only one, goes ahead of an ACK: the answer of a program to what it just received is
        what its peer waits for.
        """
        egress = self._egress
        if egress is None:
            return None
        responder = self.responder
        if responder.responses and (transmit := self._poll_responses(egress, now)) is not None:
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
        if (self.state is not QpState.RTS and self.state is not QpState.SQD) or self.completer.resume_ns:
            return None
        transmit = self.requester.poll_transmit()
        if transmit is not None:
            self.completer.arm_after_send(now)
        return transmit

    def _poll_responses(self, egress: Egress, now: int) -> Transmit | None:  # noqa: ARG002  # for one that paces
        send = egress.start()
        responses = self.responder.responses
        while responses and not send.is_closed:
            before = send.count
            if not responses[0].fill(send, egress, shortcuts=self.shortcuts):
                if not self.responder.reads.drop_oldest():
                    break
                continue
            if responses[0].is_finished:
                responses.popleft()
            elif send.count == before:
                break
            if not self.shortcuts:
                break
        return egress.finish(send) if send.count else None

    # State changes

    def _apply_attributes(self) -> None:
        responder = self.responder
        responder.access = self._value("access", responder.access)
        responder.min_rnr_timer = self._value("min_rnr_timer", responder.min_rnr_timer)
        responder.reads.max_dest_rd_atomic = self._value("max_dest_rd_atomic", responder.reads.max_dest_rd_atomic)

    def _to_rtr(self) -> None:
        self._egress = self._connected_egress()
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
        self._egress = self.requester.egress = self._connected_egress()
        self._apply_limits()

    def _apply_limits(self) -> None:
        self.requester.max_rd_atomic = self._value("max_qp_rd_atomic", 0)
        self.completer.reset(
            retry_cnt=self._value("retry_cnt", 0),
            rnr_retry=self._value("rnr_retry", 0),
            ack_timeout_ns=ack_timeout_ns(self._value("timeout", 0)),
        )

    def _to_reset(self) -> None:
        super()._to_reset()
        self._egress = None
        self._is_ack_passed = False


_SOLICITED_BIT = 1 << 23
