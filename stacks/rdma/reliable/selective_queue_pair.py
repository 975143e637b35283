"""Selective repeat instead of go-back-N: only what was lost is sent again (IRN, SIGCOMM 2018, section 3.1).

    responder: a packet ahead of its turn is kept, and named in a NAK of its own
    requester: what lies before the highest packet named, and was not named itself, is lost: it is sent again, once

RoCE has no selective acknowledgement.
DEVIATION: such a NAK is a PSN sequence error (AETH 60, PSN of what is expected) with two fields used otherwise: AckReq
is set, which means nothing in a response, and the MSN field holds the PSN of the packet that came. A requester that
goes back N, ours or another's, reads it as any sequence NAK; a responder that does not know of it never sends it, and
then nothing is selective. So either end may be configured alone, but only both together gain anything.

Only SEND and RDMA WRITE repeat selectively. With a READ, an atomic or the like outstanding, recovery is go-back-N, but
what the responder keeps is not sent again even then.
"""

from __future__ import annotations

from stacks.rdma.enums import SYNDROME_NAK, Nak, QpState
from stacks.rdma.opcodes import ACKNOWLEDGE
from stacks.rdma.reliable.queue_pair import ReliableQp
from stacks.rdma.reliable.selective_completer import SelectiveCompleter
from stacks.rdma.reliable.selective_requester import SelectiveRequester
from stacks.rdma.reliable.selective_responder import SelectiveResponder
from transports.datagram import Transmit


class SelectiveQp(ReliableQp):
    """A reliable connection that repeats selectively."""

    requester_class = SelectiveRequester
    responder_class = SelectiveResponder
    requester: SelectiveRequester
    responder: SelectiveResponder
    completer: SelectiveCompleter

    def _make_parts(self) -> None:
        super()._make_parts()
        self.completer = SelectiveCompleter(self)

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """As of every queue pair; a selective NAK also says what arrived."""
        is_named = psn_word >> 31 and word0 >> 24 == ACKNOWLEDGE and len(body) == 4 and body[0] == _SEQUENCE_NAK
        if is_named and self.state in (QpState.RTS, QpState.SQD):
            arrived = int.from_bytes(body[1:], "big")
            self.completer.handle_selective_nak(psn_word & 0xFFFFFF, arrived, now)
            self.check_drained()
        else:
            super().handle_packet(word0, psn_word, body, now)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send; NAKs that name a packet go before requests, and behind responses."""
        egress, responder = self._egress, self.responder
        if egress is not None and not responder.responses:
            arrived = responder.poll_arrival()
            if arrived is not None:
                return egress.acknowledge(_SEQUENCE_NAK, responder.expected_psn, msn=arrived, ack_req=True)
        return super().poll_transmit(now)


_SEQUENCE_NAK = SYNDROME_NAK | Nak.PSN_SEQUENCE_ERROR
