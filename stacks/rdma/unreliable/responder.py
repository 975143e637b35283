"""The responder of UC: messages that come whole and in sequence are received, others never were (IBTA 9.8.2.2).

    in sequence                                   placed
    First or Only, whatever was expected          what was unfinished is dropped, a new message begins
    anything else out of sequence                 the message is dropped, and all up to the next First or Only

Nobody is told: what is wrong with a message only shows in the counters. An unfinished SEND gives its receive to the
next one; from a shared queue it was taken for good and ends with REM_INV_REQ_ERR (Linux rxe, class E).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.rdma.completion import Wc
from stacks.rdma.enums import SYNDROME_NAK, Nak, WcOpcode, WcStatus
from stacks.rdma.opcodes import DATA_OPCODES, DataOpcode
from stacks.rdma.receiving import MessageReceiver
from stacks.runtime import RemoteError
from wire.seqnum import psn_diff

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp
    from stacks.rdma.receive_queue import ReceiveQueue


class UnreliableResponder(MessageReceiver):
    """The receiving half of one UC queue pair.

    is_dropping: nothing is received before the next First or Only.
    """

    def __init__(self, qp: Qp, queue: ReceiveQueue) -> None:
        super().__init__(qp, queue)
        self.is_dropping = False

    def reset(self, psn: int) -> None:
        """Expect `psn` (24 bits), with nothing in progress; posted receives stay."""
        self.forget_message()
        self.expected_psn = psn
        self.is_dropping = False

    def handle_request(self, operation: int, *, psn: int, is_solicited: bool, body: memoryview) -> None:
        """One packet: `psn` 24 bits, `body` everything between BTH and ICRC without padding."""
        data = DATA_OPCODES.get(operation)
        if data is None or data.has_inv:
            self._qp.counters.rcvd_opcode_err += 1
            self._drop()
            return
        distance = psn_diff(psn, self.expected_psn & 0xFFFFFF)
        if distance and not self.is_dropping:
            self._qp.counters.out_of_seq_request += 1
        if not self._is_next(data, in_sequence=not distance):
            return
        self.expected_psn += distance
        try:
            self.place_data(data, is_solicited=is_solicited, body=body)
        except RemoteError as error:
            self._refuse(error)
        self.expected_psn += 1

    def _is_next(self, data: DataOpcode, *, in_sequence: bool) -> bool:
        """Whether a packet begins a message or goes on with the one that is unfinished."""
        if data.starts:
            if self.kind:
                self._drop()
            self.is_dropping = False
            return True
        if in_sequence and not self.is_dropping and self.kind == data.kind:
            return True
        self._drop()
        return False

    def accepted(self, packets: int, messages: int, *, wants_ack: bool) -> None:  # noqa: ARG002  # nobody is answered
        """A shortcut has placed the next `packets` packets."""
        self.expected_psn += packets

    def _refuse(self, error: RemoteError) -> None:
        """A message that cannot be received is dropped; a receive that cannot be used ends the queue pair.

        Source: IBTA 9.9.3, classes D and E for the first, A for the second.
        """
        receive, status = self.current, self.receive_status
        if receive is None or error.code != SYNDROME_NAK | Nak.REMOTE_OPERATIONAL_ERROR:
            self._drop()
            return
        self.forget_message()
        self._qp.recv_cq.push(Wc(receive.wr_id, status, WcOpcode.RECV, 0, self._qp.number))
        self._qp.enter_error()

    def _drop(self) -> None:
        """Forget the message that is on its way, if any, and what follows of it."""
        if not self.is_dropping:
            self._qp.counters.rcvd_dropped_messages += 1
        self.is_dropping = True
        self.kind = 0
        self.receive_status = WcStatus.REM_INV_REQ_ERR
        receive = self.current
        if receive is not None and self._qp.srq is not None:
            self.current = None
            self._qp.recv_cq.push(Wc(receive.wr_id, WcStatus.REM_INV_REQ_ERR, WcOpcode.RECV, 0, self._qp.number))
