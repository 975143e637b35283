"""Buffers for bursts that are being sent: taken, borrowed by a Transmit, and given back when it was sent."""

from __future__ import annotations


class BufferPool:
    """Of one endpoint. A few buffers are kept; a driver that holds many transmits back gets more, which are dropped."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def take(self) -> bytearray:
        """A buffer for one burst; what is in it is of no meaning."""
        return self._free.pop() if self._free else bytearray(BUFFER_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        """Nobody looks at it any more."""
        if len(self._free) < KEPT:
            self._free.append(buffer)


BUFFER_BYTES = 1 << 16
KEPT = 8
