"""The responder's side of what is answered by more than an ACK: READs, atomics, FLUSHes and ATOMIC WRITEs.

Requests come from the responder in PSN order; what a READ asks for is read from memory as its packets leave. As many as
were negotiated are remembered: a duplicate READ is read again, any other duplicate gets the answer that it had, and is
not executed (IBTA 9.4.4, 9.4.5, 9.7.5.1.2; annex A19, as Linux rxe has it since 6.2).
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.enums import SYNDROME_ACK, SYNDROME_NAK, SYNDROME_RNR, Access, FlushPlacement, FlushSelectivity, Nak
from stacks.rdma.memory import Region
from stacks.rdma.opcodes import CMP_SWAP
from stacks.rdma.receiving import fault_error
from stacks.rdma.reliable.responses import ReadResponse, Replay, UndividedResponse
from stacks.rdma.work import ATOMIC_BYTES, MAX_MESSAGE_BYTES
from stacks.runtime import RemoteError
from wire.roce import AtomicEth, Feth, Reth

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp
    from stacks.rdma.reliable.responder import Responder


class ReadService:
    """READs and atomics of one queue pair's peer.

    responses: answers that have not left completely, in the order of their PSNs.
    """

    def __init__(self, qp: ReliableQp, responder: Responder) -> None:
        self._qp = qp
        self._responder = responder
        self.max_dest_rd_atomic = 0
        self.responses: deque[ReadResponse | UndividedResponse] = deque()
        self._replays: deque[Replay] = deque()

    def reset(self) -> None:
        """Forget everything."""
        self.responses.clear()
        self._replays.clear()

    def read(self, body: memoryview) -> None:
        """Take the READ request that is expected next; RemoteError with what to answer when it is refused."""
        if len(body) != Reth.SIZE or not self._responder.access & Access.REMOTE_READ or self._is_busy:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take this RDMA READ")
        reth = Reth.decode(body)
        if reth.length > MAX_MESSAGE_BYTES:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "a message may have 2^31 bytes at most")
        region = self._responder.region(reth, Access.REMOTE_READ) if reth.length else None
        if region is not None and isinstance(fault := region.read(reth.va, reth.length), Fault):
            raise fault_error(fault, self._responder.min_rnr_timer)
        response = ReadResponse(region, reth, first_psn=self._responder.expected_psn, path_mtu=self._responder.path_mtu)
        self._responder.msn += 1
        response.msn = self._responder.msn
        self._remember(Replay(response.first_psn, response.last_psn, reth, None, region))
        self._responder.expected_psn = response.last_psn + 1
        self._respond(response)

    def atomic(self, opcode: int, body: memoryview) -> None:
        """Execute the atomic that is expected next; RemoteError as for a READ."""
        self._qp.memory.settle()
        if len(body) != AtomicEth.SIZE or not self._responder.access & Access.REMOTE_ATOMIC or self._is_busy:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take this atomic")
        request = AtomicEth.decode(body)
        if request.va % 8:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "atomics need an address that is a multiple of 8")
        region = self._responder.region(Reth(va=request.va, rkey=request.rkey, length=8), Access.REMOTE_ATOMIC)
        original = self._exchange(region, request, is_swap=opcode == CMP_SWAP)
        self._answer(opcode, original)

    def atomic_write(self, opcode: int, body: memoryview) -> None:
        """Write the 8 bytes of the ATOMIC WRITE that is expected next, at once; RemoteError as for a READ."""
        self._qp.memory.settle()
        if not self._responder.access & Access.REMOTE_WRITE or self._is_busy:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take this ATOMIC WRITE")
        if len(body) != Reth.SIZE + ATOMIC_BYTES or (reth := Reth.decode(body)).length != ATOMIC_BYTES:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "an ATOMIC WRITE has 8 bytes")
        if reth.va % ATOMIC_BYTES:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "atomics need an address that is a multiple of 8")
        region = self._responder.region(reth, Access.REMOTE_WRITE)
        fault = region.write(reth.va, body[Reth.SIZE :])
        if fault is not None:
            raise fault_error(fault, self._responder.min_rnr_timer)
        self._answer(opcode, None)

    def flush(self, opcode: int, body: memoryview) -> None:
        """Execute the FLUSH that is expected next, after all before it; RemoteError as for a READ.

        What was written is visible to everybody at once; only persistent placement leaves something to do.
        """
        self._qp.memory.settle()
        if len(body) != Feth.SIZE + Reth.SIZE or self._is_busy:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take this FLUSH")
        feth, reth = Feth.decode(body), Reth.decode(body, Feth.SIZE)
        right = _FLUSH_RIGHTS.get(feth.placement)
        if right is None or feth.selectivity > FlushSelectivity.MEMORY_REGION or reth.length > MAX_MESSAGE_BYTES:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "no such FLUSH")
        if self._responder.access & right != right:
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the queue pair does not take this FLUSH")
        if feth.selectivity == FlushSelectivity.MEMORY_REGION:
            region = self._responder.whole_region(reth.rkey, right)
            address, length = region.address, region.length
        else:
            region = self._responder.region(reth, right)
            address, length = reth.va, reth.length
        fault = region.flush(address, length) if right & Access.FLUSH_PERSISTENT else None
        if fault is not None:
            raise fault_error(fault, self._responder.min_rnr_timer)
        self._answer(opcode, None)

    def _answer(self, opcode: int, original: int | None) -> None:
        self._qp.memory.settle()
        psn = self._responder.expected_psn
        self._responder.msn += 1
        response = UndividedResponse(opcode, psn, self._responder.msn, original)
        self._remember(Replay(psn, psn, None, response))
        self._responder.expected_psn += 1
        self._respond(response)

    @property
    def _is_busy(self) -> bool:
        """Whether as many READs and atomics wait to be answered as were negotiated (IBTA 9.7.4.1.3).

        Answers to duplicates do not count: the requester may have its answer, and have gone on.
        """
        return sum([not response.is_replay for response in self.responses]) >= self.max_dest_rd_atomic

    def _exchange(self, region: Region, request: AtomicEth, *, is_swap: bool) -> int:
        """Read, compute and write 8 bytes in the host's byte order; nothing comes between (IBTA 9.4.5)."""
        views = region.read(request.va, 8)
        if isinstance(views, Fault):
            raise fault_error(views, self._responder.min_rnr_timer)
        original = int.from_bytes(b"".join(views), sys.byteorder)
        if not is_swap:
            value = (original + request.swap_add) & 0xFFFFFFFFFFFFFFFF
        elif original == request.compare:
            value = request.swap_add
        else:
            return original
        fault = region.write(request.va, memoryview(value.to_bytes(8, sys.byteorder)))
        if fault is not None:
            raise fault_error(fault, self._responder.min_rnr_timer)
        return original

    def _remember(self, replay: Replay) -> None:
        """Keep what a duplicate may ask for again, as many as were negotiated (IBTA 9.7.5.1.2)."""
        self._replays.append(replay)
        while len(self._replays) > self.max_dest_rd_atomic:
            self._replays.popleft()

    def _respond(self, response: ReadResponse | UndividedResponse) -> None:
        self.responses.append(response)
        if self._responder.ack_syndrome == SYNDROME_ACK:
            # The response acknowledges all that came before it.
            self._responder.ack_syndrome = None
        self._qp.ring()

    def replay_read(self, psn: int, body: memoryview) -> None:
        """Answer a duplicate READ again, which may ask for a part; `psn` not wrapped."""
        if len(body) != Reth.SIZE:
            return
        reth = Reth.decode(body)
        for replay in self._replays:
            if replay.covers(psn, reth, self._responder.path_mtu):
                region = self._region_again(replay.region, reth) if reth.length else None
                if region is None and reth.length:
                    return
                self._drop_responses(psn)
                if len(self.responses) >= self.max_dest_rd_atomic:
                    return
                response = ReadResponse(region, reth, first_psn=psn, path_mtu=self._responder.path_mtu)
                response.msn = self._responder.msn
                response.is_replay = True
                self._respond(response)
                return

    def _region_again(self, first: Region | None, reth: Reth) -> Region | None:
        """The region that a READ was granted, or what its key reaches now if that one has ended.

        An XRC target may have moved on to the protection domain of another SRQ meanwhile (A14.2.4).
        """
        if first is not None and first.is_valid:
            return first
        return self._qp.memory.find(reth.rkey, self._qp, reth.va, reth.length, Access.REMOTE_READ)

    def replay_answer(self, opcode: int, psn: int) -> None:
        """Answer a duplicate atomic, FLUSH or ATOMIC WRITE as the first time, without executing it."""
        for replay in self._replays:
            answer = replay.answer
            if answer is not None and answer.first_psn == psn and answer.opcode == opcode:
                self._drop_responses(psn)
                self._respond(answer.again())
                return

    def _drop_responses(self, psn: int) -> None:
        """The requester went back to `psn`: what is still queued from there on will be asked for again."""
        kept = [response for response in self.responses if response.last_psn < psn]
        self.responses.clear()
        self.responses.extend(kept)

    def drop_oldest(self) -> bool:
        """The memory of the oldest READ response is not there.

        If it is on its way, an RNR NAK says from which PSN on to ask again, later. If it is gone for good, a NAK ends
        the queue pair (IBTA 9.7.5.2.4); but nothing is said to a duplicate, which may be as old as what it asks for.
        False when it is kept instead, until the page is there.
        """
        if self.responses[0].is_awaiting_page and self._responder.holds:
            return False
        response = self.responses.popleft()
        if response.is_awaiting_page:
            self.responses.clear()
            self._responder.answer_psn = response.next_psn
            self._responder.ack_syndrome = SYNDROME_RNR | self._responder.min_rnr_timer
            self._qp.counters.send_rnr_err += 1
        elif not response.is_replay:
            error = RemoteError(SYNDROME_NAK | Nak.REMOTE_ACCESS_ERROR, "the memory of a READ was taken away")
            self._responder.refuse(error, response.next_psn)
        return True


_FLUSH_RIGHTS = {
    FlushPlacement.GLOBAL: Access.FLUSH_GLOBAL,
    FlushPlacement.PERSISTENT: Access.FLUSH_PERSISTENT,
    FlushPlacement.GLOBAL | FlushPlacement.PERSISTENT: Access.FLUSH_ANY,
}
"""What each placement type needs, of the queue pair and of the region."""
