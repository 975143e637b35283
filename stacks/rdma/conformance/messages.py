"""The order of opcodes in a direction: messages begin, go on and end (IBTA 9.7.4.1.2), with the lengths that belong."""

from __future__ import annotations

from stacks.rdma.conformance.observed import Observed
from wire.roce.opcodes import Operation, Position

_DIVIDED = frozenset({Operation.SEND, Operation.WRITE})


class MessageOrder:
    """Follows the new requests of one direction; what is repeated is not shown to it."""

    def __init__(self) -> None:
        self._open: Operation | None = None
        self._is_known = False
        self._mtu = 0

    def restart(self) -> None:
        """What comes next may be anything: packets before it are not known."""
        self._is_known = False
        self._open = None

    def problem(self, seen: Observed) -> str:
        """What is wrong with the next new request; empty if nothing."""
        operation, position = seen.operation, seen.info.position
        if not self._is_known:
            self._is_known = True
            self._open = operation if position in (Position.FIRST, Position.MIDDLE) else None
            return ""
        begins = position in (Position.FIRST, Position.ONLY) or operation not in _DIVIDED
        unfinished = self._open
        self._open = operation if position in (Position.FIRST, Position.MIDDLE) and operation in _DIVIDED else None
        if begins and unfinished is not None:
            return f"{seen.opcode.name} begins while a {unfinished.value} is not finished"
        if not begins and unfinished is not operation:
            return f"{seen.opcode.name} goes on with a {operation.value} that did not begin"
        return self._length_problem(seen)

    def _length_problem(self, seen: Observed) -> str:
        length, position = len(seen.known.payload), seen.info.position
        if position in (Position.FIRST, Position.MIDDLE):
            mtu, self._mtu = self._mtu or length, length
            if length not in PATH_MTUS or length != mtu:
                return f"{seen.opcode.name} carries {length} bytes, not one path MTU"
        elif position is Position.LAST and not 0 < length <= (self._mtu or PATH_MTUS[-1]):
            return f"{seen.opcode.name} carries {length} bytes, not 1 to one path MTU"
        return ""


PATH_MTUS = (256, 512, 1024, 2048, 4096)
