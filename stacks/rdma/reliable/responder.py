"""The responder: takes requests in PSN order, executes them, and answers (IBTA 9.7.4, 9.7.5.2, 9.9.2.2).

The checks come in the order of the standard: PSN, opcode sequence, operation allowed, receive work request or READ
resource, length, R_Key; then the request is executed. What fails raises RemoteError with the AETH syndrome to answer.
Each PSN is expected once: one below is a duplicate and only answered again, one above opens a gap, which is reported
by one NAK and closed by the missing packet.

PSNs are counted without wrapping. Answers leave in the order of their PSNs: READ and atomic responses queue up, and
one ACK or NAK, always the latest, follows when that queue is empty; so acknowledgements coalesce by burst. One send
of this side's own requests may go ahead of an ACK (`Qp.poll_transmit`), never of a NAK.

Left out: FLUSH, ATOMIC WRITE, memory windows, end-to-end credits (every ACK says "no credit information").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.completion import Wc
from stacks.rdma.enums import (
    SYNDROME_ACK,
    SYNDROME_NAK,
    SYNDROME_RNR,
    Access,
    AsyncEventType,
    Nak,
    WcFlags,
    WcOpcode,
    WcStatus,
)
from stacks.rdma.memory import Mr
from stacks.rdma.memory.gather import scatter
from stacks.rdma.opcodes import CMP_SWAP, DATA_OPCODES, FETCH_ADD, READ_REQUEST, SEND, DataOpcode
from stacks.rdma.receive_queue import ReceiveQueue
from stacks.rdma.reliable.read_service import MAX_MESSAGE_BYTES, ReadService, fault_error
from stacks.rdma.work import RecvWr
from stacks.runtime import RemoteError
from wire.roce import Ieth, Reth
from wire.seqnum import psn_diff

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp


class Responder:
    """The receiving half of one queue pair.

    queue: where it takes receives from; `receives` are its entries, as the data path asks for them with every message.
    """

    def __init__(self, qp: ReliableQp, queue: ReceiveQueue) -> None:
        self._qp = qp
        self.queue = queue
        self.receives = queue.entries
        self.expected_psn = 0
        self.msn = 0
        self.path_mtu = 0
        self.access = 0
        self.min_rnr_timer = 0
        self.reads = ReadService(qp, self)
        self.responses = self.reads.responses
        self.ack_syndrome: int | None = None
        """Syndrome of the acknowledgement that is due, or None."""
        self.rnr_psn: int | None = None
        """Where a READ response stopped that an RNR NAK is due for; without one it is about what is expected."""
        self.is_gap_reported = False
        self.current: RecvWr | None = None
        """The receive that an unfinished SEND is filling."""
        self.receive_status = WcStatus.REM_INV_REQ_ERR
        """What `current` ends with when the message is refused."""
        self.kind = 0
        """SEND or WRITE while a message of several packets is unfinished, else 0."""
        self.offset = 0
        """Bytes of the unfinished message that have arrived."""
        self.write_region: Mr | None = None
        self.write_address = self.write_length = 0

    def reset(self, psn: int) -> None:
        """Expect `psn` (24 bits), with nothing in progress; posted receives stay."""
        self.expected_psn = psn
        self.msn = self.kind = self.offset = 0
        self.current = self.write_region = self.ack_syndrome = None
        self.is_gap_reported = False
        self.receive_status = WcStatus.REM_INV_REQ_ERR
        self.rnr_psn = None
        self.reads.reset()

    # Requests

    def handle_request(self, opcode: int, *, psn: int, wants_ack: bool, is_solicited: bool, body: memoryview) -> None:
        """One request: `psn` 24 bits, `body` everything between BTH and ICRC without padding."""
        distance = psn_diff(psn, self.expected_psn & 0xFFFFFF)
        if distance > 0:
            self._handle_gap()
        elif distance < 0:
            self._handle_duplicate(opcode, self.expected_psn + distance, body)
        else:
            self.accept(opcode, wants_ack=wants_ack, is_solicited=is_solicited, body=body)

    def accept(self, opcode: int, *, wants_ack: bool, is_solicited: bool, body: memoryview) -> None:
        """The request that is expected next."""
        self._close_gap()
        try:
            if (data := DATA_OPCODES.get(opcode)) is not None:
                self._handle_data(data, is_solicited=is_solicited, body=body)
                self.expected_psn += 1
            elif self.kind:
                raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "a message was left unfinished")
            elif opcode == READ_REQUEST:
                self.reads.read(body)
                return
            elif opcode in (CMP_SWAP, FETCH_ADD):
                self.reads.atomic(opcode, body)
                return
            else:
                raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, f"opcode {opcode:#x} is not supported")
        except RemoteError as error:
            self._refuse(error)
            return
        if wants_ack:
            self._acknowledge()

    def accepted(self, packets: int, messages: int, *, wants_ack: bool) -> None:
        """A shortcut has executed the next `packets` requests, with which `messages` messages ended."""
        if packets:
            self.expected_psn += packets
            self.msn += messages
            self._close_gap()
        if wants_ack:
            self._acknowledge()

    def _acknowledge(self) -> None:
        # It takes the place of a sequence NAK that has not left: then the next gap is reported again.
        if self.ack_syndrome == _SEQUENCE_NAK:
            self.is_gap_reported = False
        self.ack_syndrome = SYNDROME_ACK
        self._qp.ring()

    def _close_gap(self) -> None:
        # A NAK that has not left yet will name what is expected then, and so report the gap behind this packet.
        self.is_gap_reported = self.ack_syndrome == _SEQUENCE_NAK

    # SEND and RDMA WRITE

    def _handle_data(self, data: DataOpcode, *, is_solicited: bool, body: memoryview) -> None:
        self._check_sequence(data)
        if len(body) < data.extension_bytes:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the packet is shorter than its headers")
        payload = body[data.extension_bytes :]
        if data.starts:
            self._begin(data, body, len(payload))
        needs_receive = data.kind == SEND or data.has_imm
        if needs_receive and self.current is None and (data.starts or data.has_imm):
            self._take_receive(data)
        self._check_length(data, len(payload))
        self._place(data, payload)
        self.offset += len(payload)
        if data.ends:
            self._end(data, body, is_solicited=is_solicited)
        else:
            self.kind = data.kind

    def _check_sequence(self, data: DataOpcode) -> None:
        """First and Only begin a message, Middle and Last go on with one of the same kind (IBTA 9.7.4.1.2)."""
        if data.starts:
            if self.kind:
                raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "a message begins inside another")
        elif self.kind != data.kind:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "a message goes on that did not begin")

    def _begin(self, data: DataOpcode, body: memoryview, payload_bytes: int) -> None:
        self.offset = 0
        if data.kind == SEND:
            return
        if self.current is not None:
            # A SEND took it, was told to wait for a page, and was not sent again.
            self.receives.appendleft(self.current)
            self.current = None
        if not self.access & Access.REMOTE_WRITE:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take RDMA WRITE")
        reth = Reth.decode(body)
        self.write_address, self.write_length = reth.va, reth.length
        self.write_region = None
        self._check_write_length(data, payload_bytes)
        if reth.length:
            self.write_region = self.reads.region(reth, Access.REMOTE_WRITE)

    def _check_write_length(self, data: DataOpcode, payload_bytes: int) -> None:
        """The RETH's length and the packet's must agree before the key is looked at (IBTA 9.7.4.1.6)."""
        length = self.write_length
        if length > MAX_MESSAGE_BYTES or (length != payload_bytes if data.ends else length <= self.path_mtu):
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the length in the RETH and the packet disagree")

    def _take_receive(self, data: DataOpcode) -> None:
        """Take a receive, at a SEND's first packet or at the last one of a WRITE with immediate (IBTA 9.7.5.2.8)."""
        if not self.receives:
            raise RemoteError(SYNDROME_RNR | self.min_rnr_timer, "no receive is posted")
        self.current = self.receives.popleft()
        if data.kind == SEND:
            self.offset = 0

    def _check_length(self, data: DataOpcode, payload_bytes: int) -> None:
        """First and Middle carry one path MTU, Last 1 to one, Only 0 to one (IBTA 9.7.4.1.6)."""
        mtu = self.path_mtu
        is_right = (
            payload_bytes == mtu if not data.ends else (data.starts or payload_bytes > 0) and payload_bytes <= mtu
        )
        if data.kind != SEND and is_right:
            rest = self.write_length - self.offset
            is_right = payload_bytes == rest if data.ends else payload_bytes < rest
        if not is_right:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the packet has the wrong length for its opcode")

    def _place(self, data: DataOpcode, payload: memoryview) -> None:
        if data.kind == SEND:
            self._place_send(payload)
        elif payload:
            region = self.write_region
            if region is None or not region.is_valid:
                raise RemoteError(SYNDROME_NAK | Nak.REMOTE_ACCESS_ERROR, "the region was deregistered")
            fault = region.write(self.write_address + self.offset, payload)
            if fault is not None:
                raise fault_error(fault, self.min_rnr_timer)

    def _place_send(self, payload: memoryview) -> None:
        receive = self.current
        assert receive is not None
        status = scatter(self._qp, receive.sges, self.offset, payload)
        if isinstance(status, Fault):
            raise fault_error(status, self.min_rnr_timer)
        if status is not WcStatus.SUCCESS:
            self.receive_status = status
        if status is WcStatus.LOC_LEN_ERR:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the message is longer than the receive")
        if status is not WcStatus.SUCCESS:
            raise RemoteError(SYNDROME_NAK | Nak.REMOTE_OPERATIONAL_ERROR, "the receive names memory that is not there")

    def _end(self, data: DataOpcode, body: memoryview, *, is_solicited: bool) -> None:
        self.kind = 0
        self.msn += 1
        receive, self.current = self.current, None
        if receive is None:
            return
        flags, imm_data, invalidated = 0, b"", 0
        if data.has_imm:
            flags = WcFlags.WITH_IMM
            imm_data = bytes(body[data.extension_bytes - 4 : data.extension_bytes])
        elif data.has_inv:
            flags = WcFlags.WITH_INV
            invalidated = Ieth.decode(body).rkey
            self._qp.memory.invalidate(invalidated, self._qp)
        opcode = WcOpcode.RECV if data.kind == SEND else WcOpcode.RECV_RDMA_WITH_IMM
        self._qp.counters.rdma_recvs += 1
        self._qp.recv_cq.push(
            Wc(
                receive.wr_id,
                WcStatus.SUCCESS,
                opcode,
                self.offset,
                self._qp.number,
                flags,
                imm_data,
                invalidated,
                is_solicited,
            )
        )

    # Out of order

    def _handle_gap(self) -> None:
        self._qp.counters.out_of_seq_request += 1
        if not self.is_gap_reported:
            self.is_gap_reported = True
            self.ack_syndrome = _SEQUENCE_NAK
            self._qp.counters.send_seq_err += 1
            self._qp.ring()

    def _handle_duplicate(self, opcode: int, psn: int, body: memoryview) -> None:
        """Answer again, execute nothing but READs (IBTA 9.7.5.1.2, 9.9.2.2)."""
        self._qp.counters.duplicate_request += 1
        if opcode == READ_REQUEST:
            self.reads.replay_read(psn, body)
        elif opcode in (CMP_SWAP, FETCH_ADD):
            self.reads.replay_atomic(psn)
        elif opcode in DATA_OPCODES and self.ack_syndrome is None:
            self.ack_syndrome = SYNDROME_ACK
            self._qp.ring()

    # Refusal

    def _refuse(self, error: RemoteError) -> None:
        """Answer with the error's syndrome; anything but RNR ends the queue pair (IBTA 9.9.2.3)."""
        self.ack_syndrome, self.rnr_psn = error.code, None
        # Whatever else is in flight behind the refused request is a gap that the requester knows of.
        self.is_gap_reported = True
        self._qp.ring()
        if error.code & 0x60 != SYNDROME_NAK:
            self._qp.counters.send_rnr_err += 1
            return
        receive, self.current = self.current, None
        if receive is not None:
            self._qp.recv_cq.push(Wc(receive.wr_id, self.receive_status, WcOpcode.RECV, 0, self._qp.number))
        is_access = error.code & 0x1F == Nak.REMOTE_ACCESS_ERROR
        self._qp.raise_event(AsyncEventType.QP_ACCESS_ERR if is_access else AsyncEventType.QP_REQ_ERR)
        self._qp.enter_error()

    def poll_acknowledgement(self) -> tuple[int, int] | None:
        """The AETH syndrome and the PSN (not wrapped) of the acknowledgement that is due, or None."""
        syndrome = self.ack_syndrome
        if syndrome is None or self.responses:
            return None
        self.ack_syndrome = None
        if self.rnr_psn is not None and syndrome & 0x60 == SYNDROME_RNR:
            psn, self.rnr_psn = self.rnr_psn, None
            return syndrome, psn
        return syndrome, self.expected_psn - (1 if syndrome == SYNDROME_ACK else 0)

    def flush(self) -> None:
        """Complete every receive of this queue pair with WR_FLUSH_ERR, in order, and drop what was to be answered."""
        pending = self.queue.withdraw()
        self.responses.clear()
        receives = [self.current, *pending] if self.current is not None else pending
        self.current = None
        for receive in receives:
            self._qp.recv_cq.push(Wc(receive.wr_id, WcStatus.WR_FLUSH_ERR, WcOpcode.RECV, 0, self._qp.number))

    def discard(self) -> None:
        """Forget everything without completions, as a reset does."""
        self.queue.withdraw()
        self.reset(0)


_SEQUENCE_NAK = SYNDROME_NAK | Nak.PSN_SEQUENCE_ERROR
