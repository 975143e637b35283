"""A queue pair of the unreliable connection (UC): a requester and a responder that know nothing of each other."""

from __future__ import annotations

from stacks.rdma.connected import ConnectedQp
from stacks.rdma.enums import QpState
from stacks.rdma.opcodes import UNRELIABLE
from stacks.rdma.qp_states import RECEIVING
from stacks.rdma.reliable.shortcuts import take_lone
from stacks.rdma.unreliable import shortcuts
from stacks.rdma.unreliable.requester import UnreliableRequester
from stacks.rdma.unreliable.responder import UnreliableResponder
from transports.datagram import Transmit


class UnreliableQp(ConnectedQp):
    """An unreliable connection."""

    transport = UNRELIABLE
    ack_request = 0
    requester: UnreliableRequester
    responder: UnreliableResponder
    handle_run = shortcuts.handle_run
    handle_lone = take_lone

    def _make_parts(self) -> None:
        self.requester = UnreliableRequester(self, self.capacity.max_send_wr)
        self.responder = UnreliableResponder(self, self.receive_queue)

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:  # noqa: ARG002  # no timers
        """One packet of UC; see `Qp.handle_packet`."""
        state = self.state
        if state is QpState.RTR and not self.is_established:
            self.tell_established()
        if state in RECEIVING:
            self.responder.handle_request(
                word0 >> 24 & 0x1F, psn=psn_word & 0xFFFFFF, is_solicited=bool(word0 & SOLICITED_BIT), body=body
            )

    def handle_sent(self, transmit: Transmit) -> None:
        """The transport is done with a send."""
        self.requester.handle_sent(transmit)
        if self.state is not QpState.RTS:
            self.check_drained()

    def poll_transmit(self, now: int) -> Transmit | None:  # noqa: ARG002  # nothing waits for a time
        """The next send, or None."""
        is_sending = self.state is QpState.RTS or self.state is QpState.SQD
        return self.requester.poll_transmit() if is_sending else None

    # State changes

    def _apply_attributes(self) -> None:
        self.responder.access = self._value("access", self.responder.access)

    def _to_rtr(self) -> None:
        self.requester.egress = self._connected_egress()
        self.responder.path_mtu = self.requester.egress.path_mtu
        self.responder.reset(self._value("rq_psn", 0))

    def _to_rts(self) -> None:
        self.requester.reset(self._value("sq_psn", 0))

    def _change_drained(self) -> None:
        self.requester.egress = self._connected_egress()


SOLICITED_BIT = 1 << 23
