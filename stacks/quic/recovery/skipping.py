"""Packet numbers that are left out: whoever acknowledges one has not seen what it acknowledges (RFC 9000 21.4)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from stacks.quic.errors import QuicError, TransportErrorCode


class SkippedNumbers:
    """Of one packet number space. room: packets that leave before a number is left out.

    The first is left out soon, since it is at the start that too many acknowledgements do most harm; then they become
    rare.
    """

    __slots__ = ("_numbers", "_period", "_rng", "room")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbers: deque[int] = deque(maxlen=MAX_REMEMBERED)
        self._period = FIRST_PERIOD
        self.room = self._draw()

    def skip(self, number: int) -> None:
        """`number` is left out."""
        self._numbers.append(number)
        self.room = self._draw()

    def check(self, ranges: Sequence[tuple[int, int]], floor: int) -> None:
        """QuicError where `ranges` have a number that was left out. floor: what is below matters no more."""
        numbers = self._numbers
        while numbers and numbers[0] < floor:
            numbers.popleft()
        for number in numbers:
            for first, last in ranges:
                if first <= number:
                    if number <= last:
                        raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, f"packet {number} was never sent")
                    break  # ranges come newest first

    def _draw(self) -> int:
        period = self._period
        self._period = min(2 * period, MAX_PERIOD)
        return period + int(self._rng.random() * period)


FIRST_PERIOD, MAX_PERIOD = 32, 512
"""A number is left out after so many packets, or up to twice as many."""
MAX_REMEMBERED = 64
