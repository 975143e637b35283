"""READs of one direction: what was asked for, and whether the answers are what was asked for (IBTA 9.7.5.1.9).

A READ request of n packets takes n PSNs, and its responses carry them. How many n is follows from the length and the
path MTU, which a capture shows only with the first response; until then the request is open-ended.
"""

from __future__ import annotations

from collections import deque

from stacks.rdma.conformance.messages import PATH_MTUS
from stacks.rdma.conformance.observed import Observed
from wire.roce.opcodes import Position
from wire.seqnum import psn_add, psn_diff

REMEMBERED = 512


class ReadRequest:
    """A READ as it was asked for. psn: its first. length: bytes. left: response packets that it is still owed."""

    __slots__ = ("is_repeated", "length", "next_psn", "psn")

    def __init__(self, psn: int, length: int, *, is_repeated: bool) -> None:
        self.psn = self.next_psn = psn
        self.length = length
        self.is_repeated = is_repeated


class Reads:
    """READs of one requester.

    mtu: the path MTU in bytes, once it is known; 0 before. is_lossy: responses may be missing in the capture.
    """

    def __init__(self, *, is_lossy: bool) -> None:
        self.mtu = 0
        self._is_lossy = is_lossy
        self._asked: deque[ReadRequest] = deque(maxlen=REMEMBERED)
        self._owed: deque[ReadRequest] = deque(maxlen=REMEMBERED)

    def packets(self, length: int) -> int | None:
        """How many PSNs a READ of `length` bytes takes; None while the path MTU is not known."""
        if length <= PATH_MTUS[0]:
            return 1
        return -(-length // self.mtu) if self.mtu else None

    def learn(self, distance: int, length: int) -> bool:
        """A request came `distance` PSNs behind a READ of `length`; whether some path MTU explains that."""
        found = [mtu for mtu in PATH_MTUS if -(-length // mtu) == distance]
        if found:
            self.mtu = found[-1]
        return bool(found)

    def asked(self, seen: Observed, *, is_new: bool) -> str:
        """A request; what is wrong with a repeated one, or an empty text."""
        problem = "" if is_new else self._repetition_problem(seen)
        request = ReadRequest(seen.psn, seen.reth_length, is_repeated=not is_new)
        self._asked.append(request)
        self._owed.append(request)
        return problem

    def owe_empty(self, psn: int, *, is_new: bool) -> None:
        """A request that one response without data answers."""
        self._owed.append(ReadRequest(psn, 0, is_repeated=not is_new))

    def answered(self, seen: Observed) -> str:
        """A response; what is wrong with it, or an empty text."""
        request = self._request_for(seen)
        if request is None:
            return f"a READ response with PSN {seen.psn}, which no READ that was asked for is waiting for"
        index = psn_diff(seen.psn, request.psn)
        position, length = seen.info.position, len(seen.known.payload)
        if position in (Position.FIRST, Position.MIDDLE):
            self.mtu = length
        count = self.packets(request.length)
        request.next_psn = psn_add(seen.psn, 1)
        is_last = position in (Position.LAST, Position.ONLY)
        if is_last:
            self._owed.remove(request)
        if (position in (Position.FIRST, Position.ONLY)) != (index == 0):
            return f"{seen.opcode.name} is packet {index} of its READ"
        if count is not None and is_last != (index == count - 1):
            return f"{seen.opcode.name} is packet {index} of {count} of its READ"
        return ""

    def _end(self, request: ReadRequest) -> int:
        """The PSN behind a request, or behind its next response while more is not known."""
        packets = self.packets(request.length)
        return psn_add(request.next_psn, 1) if packets is None else psn_add(request.psn, packets)

    def _request_for(self, seen: Observed) -> ReadRequest | None:
        """The READ that a response belongs to.

        Each request is owed its responses, repeated ones as well: those to the first may still be on their way. Where
        two wait for one PSN, the opcode tells which of them begins there.
        """
        psn = seen.psn
        waiting = [one for one in self._owed if one.next_psn == psn]
        if not waiting and self._is_lossy:
            waiting = [one for one in self._owed if psn_diff(psn, one.next_psn) > 0 > psn_diff(psn, self._end(one))]
        begins = seen.info.position in (Position.FIRST, Position.ONLY)
        fitting = [one for one in waiting if (one.psn == psn) == begins]
        return next(iter(fitting or waiting), None)

    def _repetition_problem(self, seen: Observed) -> str:
        """A repeated READ asks for the rest of one that was asked for, to the same end (IBTA 9.7.5.1.1)."""
        for request in reversed(self._asked):
            packets = self.packets(request.length) or 1
            index = psn_diff(seen.psn, request.psn)
            if not 0 <= index < packets:
                continue
            rest = request.length - index * self.mtu if index else request.length
            if rest == seen.reth_length:
                return ""
            return f"a READ is repeated from PSN {seen.psn} with {seen.reth_length} bytes, but {rest} are missing"
        return f"a READ is repeated from PSN {seen.psn}, where none was asked for"
