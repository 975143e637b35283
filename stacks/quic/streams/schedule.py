"""Whose turn it is (RFC 9218 4, 10): by urgency; then one stream after the other by number, or by turns.

Within one urgency the streams that are not incremental are served to their end, the lowest number first; incremental
ones take turns, a packet each. Where there are both, the others together take one turn among the incremental ones:
RFC 9218 10 leaves that open, and so neither starves.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict

from stacks.quic.streams.send_stream import SendStream


class Schedule:
    """Streams that have something to send. head: whose turn it is, None where it is empty."""

    __slots__ = ("_levels", "_top", "head")

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._top: _Level | None = None
        self.head: SendStream | None = None

    def add(self, stream: SendStream) -> None:
        """It has something to send now; nothing happens where that is known."""
        level = self._levels.get(stream.urgency)
        if level is None:
            level = self._levels[stream.urgency] = _Level(stream.urgency)
            if self._top is None or level.urgency < self._top.urgency:
                self._top = level
        level.add(stream)
        if level is self._top:
            self.head = level.first()

    def discard(self, stream: SendStream) -> None:
        """It has nothing to send any more, or is about to change its priority."""
        level = self._levels.get(stream.urgency)
        if level is None:
            return
        if level.discard(stream):
            del self._levels[stream.urgency]
            self._top = self._levels[min(self._levels)] if self._levels else None
        self.head = None if self._top is None else self._top.first()

    def only(self) -> SendStream | None:
        """The head, where it stays that packet after packet; None for nobody, or where several take turns."""
        return None if self._top is None or self._top.is_shared else self.head

    def took_turn(self) -> None:
        """The head was served, and wants more."""
        top, head = self._top, self.head
        assert top is not None
        assert head is not None
        if top.is_shared:
            top.took_turn(head)
            self.head = top.first()


class _Level:
    """Streams of one urgency. The key OTHERS in the rotation stands for all that are not incremental."""

    __slots__ = ("_numbers", "_rotation", "_sequential", "urgency")

    def __init__(self, urgency: int) -> None:
        self.urgency = urgency
        self._rotation: OrderedDict[int, SendStream | None] = OrderedDict()
        self._sequential: dict[int, SendStream] = {}
        self._numbers: list[int] = []

    def add(self, stream: SendStream) -> None:
        number = stream.stream_id
        if stream.is_incremental:
            if number not in self._rotation:
                self._rotation[number] = stream
        elif number not in self._sequential:
            if not self._sequential:
                self._rotation[OTHERS] = None
            self._sequential[number] = stream
            heapq.heappush(self._numbers, number)

    def discard(self, stream: SendStream) -> bool:
        """Whether the level is empty now."""
        number = stream.stream_id
        if stream.is_incremental:
            self._rotation.pop(number, None)
        elif self._sequential.pop(number, None) is not None:
            # The heap forgets lazily, but never more than half of it may be of the past.
            if not self._sequential:
                self._numbers.clear()
                del self._rotation[OTHERS]
            elif len(self._numbers) > 2 * len(self._sequential) + SLACK:
                self._numbers = sorted(self._sequential)
        return not self._rotation

    def first(self) -> SendStream:
        stream = next(iter(self._rotation.values()))
        if stream is not None:
            return stream
        numbers, sequential = self._numbers, self._sequential
        while numbers[0] not in sequential:
            heapq.heappop(numbers)
        return sequential[numbers[0]]

    def took_turn(self, stream: SendStream) -> None:
        self._rotation.move_to_end(stream.stream_id if stream.is_incremental else OTHERS)

    @property
    def is_shared(self) -> bool:
        return len(self._rotation) > 1


OTHERS = -1
SLACK = 16
