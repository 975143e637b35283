"""READs and atomics that are out: which entry of the send queue each belongs to, and where it ends.

A READ is asked for in pieces. A responder answers a repetition only inside a request that it remembers (IBTA
9.7.5.1.2), so the place where each piece ended is kept until all of it has arrived.
"""

from __future__ import annotations

from collections import deque

from stacks.rdma.enums import WrOpcode
from stacks.rdma.work import SendWqe
from wire.roce import AtomicEth, Reth


class ReadPiece:
    """One READ or atomic request that is out: its entry, its PSNs, and the first whose response is still to come.

    is_repeated: its first PSN was asked for before, so that responses to that request may still arrive.
    """

    __slots__ = ("first_psn", "is_repeated", "last_psn", "next_psn", "wqe")

    def __init__(self, wqe: SendWqe, first_psn: int, last_psn: int, *, is_repeated: bool) -> None:
        self.is_repeated = is_repeated
        self.wqe = wqe
        self.first_psn = self.next_psn = first_psn
        self.last_psn = last_psn


class PieceEnds:
    """Last PSNs of the pieces that were asked for and have not arrived completely."""

    def __init__(self) -> None:
        self._ends: deque[int] = deque()

    def clear(self) -> None:
        """Forget all of them."""
        self._ends.clear()

    def choose(self, psn: int, *, una: int, last_psn: int) -> int:
        """Where the piece that starts at `psn` ends: where it ended before if it is a repetition, else at `last_psn`.

        una: the oldest PSN that has not arrived.
        """
        ends = self._ends
        while ends and ends[0] < una:
            ends.popleft()
        for end in ends:
            if end >= psn:
                return end
        ends.append(last_psn)
        return last_psn


def read_extension(wqe: SendWqe, offset: int, length: int) -> bytes:
    """The RETH that asks for `length` bytes at `offset` of a READ's remote memory."""
    address, rkey, *_ = wqe.remote
    return Reth(va=address + offset, rkey=rkey, length=length).encode()


def atomic_extension(wqe: SendWqe) -> bytes:
    """The AtomicETH of a compare and swap or fetch and add."""
    address, rkey, compare_add, swap = wqe.remote
    is_swap = wqe.opcode is WrOpcode.ATOMIC_CMP_AND_SWP
    swap_add, compare = (swap, compare_add) if is_swap else (compare_add, 0)
    return AtomicEth(va=address, rkey=rkey, swap_add=swap_add, compare=compare).encode()
