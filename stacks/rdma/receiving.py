"""SENDs and RDMA WRITEs on their way in: packets of messages are put into memory (IBTA 9.4.1, 9.4.3, 9.7.4).

Every transport that has such messages of several packets receives them here, packet by packet in sequence. The checks
come in the order of the standard: opcode sequence, operation allowed, receive work request, length, R_Key; then the
packet is placed. What fails raises RemoteError with the AETH syndrome that a reliable transport answers with; the
unreliable ones drop the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.completion import Wc
from stacks.rdma.enums import SYNDROME_NAK, SYNDROME_RNR, Access, Nak, WcFlags, WcOpcode, WcStatus
from stacks.rdma.memory import Region
from stacks.rdma.memory.gather import scatter
from stacks.rdma.opcodes import SEND, DataOpcode
from stacks.rdma.receive_queue import ReceiveQueue
from stacks.rdma.work import MAX_MESSAGE_BYTES, RecvWr
from stacks.runtime import RemoteError
from wire.roce import Ieth, Reth

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class MessageReceiver:
    """The message that one queue pair is receiving.

    queue: where it takes receives from; `receives` are its entries, as the data path asks for them with every message.
    """

    def __init__(self, qp: Qp, queue: ReceiveQueue) -> None:
        self._qp = qp
        self.queue = queue
        self.receives = queue.entries
        self.expected_psn = 0
        """Of the next packet in sequence, not wrapped."""
        self.path_mtu = 0
        self.access = 0
        self.min_rnr_timer = 0
        self.current: RecvWr | None = None
        """The receive that an unfinished SEND is filling."""
        self.receive_status = WcStatus.REM_INV_REQ_ERR
        """What `current` ends with when the message is refused."""
        self.kind = 0
        """SEND or WRITE while a message of several packets is unfinished, else 0."""
        self.offset = 0
        """Bytes of the unfinished message that have arrived."""
        self.write_region: Region | None = None
        self.write_address = self.write_length = 0

    def reset(self, psn: int) -> None:
        """Expect `psn` (24 bits), with nothing in progress; posted receives stay."""
        raise NotImplementedError

    def flush(self) -> None:
        """Complete every receive of this queue pair with WR_FLUSH_ERR, in order."""
        receives = self.queue.withdraw()
        if self.current is not None:
            receives.insert(0, self.current)
        self.current = None
        for receive in receives:
            self._qp.recv_cq.push(Wc(receive.wr_id, WcStatus.WR_FLUSH_ERR, WcOpcode.RECV, 0, self._qp.number))

    def discard(self) -> None:
        """Forget everything without completions, as a reset does."""
        self.queue.withdraw()
        self.reset(0)

    def forget_message(self) -> None:
        """Nothing is in progress; posted receives stay."""
        self.kind = self.offset = 0
        self.current = self.write_region = None
        self.receive_status = WcStatus.REM_INV_REQ_ERR

    def accepted(self, packets: int, messages: int, *, wants_ack: bool) -> None:
        """A shortcut has placed the next `packets` packets, with which `messages` messages ended."""
        raise NotImplementedError

    def place_data(self, data: DataOpcode, *, is_solicited: bool, body: memoryview) -> None:
        """Take a packet that is next in its sequence; RemoteError with the AETH syndrome for what is wrong.

        body: extended headers and payload.
        """
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
            # A SEND that was dropped took it (UC, which keeps it for the next message).
            self.receives.appendleft(self.current)
            self.current = None
        if not self.access & Access.REMOTE_WRITE:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take RDMA WRITE")
        reth = Reth.decode(body)
        self.write_address, self.write_length = reth.va, reth.length
        self.write_region = None
        self._check_write_length(data, payload_bytes)
        if reth.length:
            self.write_region = self.region(reth, Access.REMOTE_WRITE)

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
        receive, self.current = self.current, None
        if receive is None:
            return
        self._qp.memory.settle()
        flags, imm_data, invalidated = 0, b"", 0
        if data.has_imm:
            flags = WcFlags.WITH_IMM
            imm_data = bytes(body[data.extension_bytes - 4 : data.extension_bytes])
        elif data.has_inv:
            flags = WcFlags.WITH_INV
            invalidated = Ieth.decode(body).rkey
            if not self._qp.memory.invalidate_for_peer(invalidated, self._qp):
                self._fail_invalidation(receive)
                return
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

    def _fail_invalidation(self, receive: RecvWr) -> None:
        """The key may not be invalidated: the receive and the queue pair end, the SEND is acknowledged all the same.

        A class J fault (IBTA 9.9.3.2), as rxe answers it: the sender's completion says nothing of it.
        """
        self._qp.recv_cq.push(Wc(receive.wr_id, WcStatus.REM_INV_REQ_ERR, WcOpcode.RECV, 0, self._qp.number))
        self._qp.enter_error()

    def region(self, reth: Reth, right: int) -> Region:
        """The region that grants `right` over the range of `reth`; RemoteError when there is none."""
        region = self._qp.memory.find(reth.rkey, self._qp, reth.va, reth.length, right)
        if region is None:
            raise RemoteError(SYNDROME_NAK | Nak.REMOTE_ACCESS_ERROR, "no region grants this access to this range")
        return region

    def whole_region(self, rkey: int, right: int) -> Region:
        """The region of a key that grants `right`, whatever range it has; RemoteError when there is none."""
        region = self._qp.memory.find_whole(rkey, self._qp, right)
        if region is None:
            raise RemoteError(SYNDROME_NAK | Nak.REMOTE_ACCESS_ERROR, "no region grants this access")
        return region


class PageAwaitedError(RemoteError):
    """A page is on its way: the request may be executed later as it is."""


def fault_error(fault: Fault, rnr_timer: int) -> RemoteError:
    """What to answer when memory cannot be reached: RNR where it will be, a NAK where it will not."""
    if fault.is_recoverable:
        return PageAwaitedError(SYNDROME_RNR | rnr_timer, "the page is not there yet")
    return RemoteError(SYNDROME_NAK | Nak.REMOTE_ACCESS_ERROR, "the memory is not there")
