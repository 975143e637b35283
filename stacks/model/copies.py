"""Data that is sent more than once: what waits to be sent again, and of which no copy is needed any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from stacks.model.packets import DataPacket


class Copies:
    """Of one sender. outstanding: its packets in flight, by number.

    waiting: to be sent again, the former packet by segment, in no order of its own: see `take`. newest: of each segment
    that was sent more than once, the number of the newest copy, in the order of those numbers.

    A segment waits once however many of its copies were lost, and not while one is on its way or after one arrived.
    """

    __slots__ = ("_arrived", "_order", "_outstanding", "newest", "waiting")

    def __init__(self, outstanding: dict[int, DataPacket]) -> None:
        self.waiting: dict[int, DataPacket] = {}
        self.newest: dict[int, int] = {}
        self._arrived: set[int] = set()
        self._outstanding = outstanding
        # The segments that wait, first first, and some that have been struck off since.
        self._order: deque[int] = deque()

    def lost(self, lost: Sequence[DataPacket]) -> None:
        """These packets were found lost: send again what is needed of them."""
        newest, arrived, outstanding = self.newest, self._arrived, self._outstanding
        for packet in lost:
            segment = packet.segment
            if segment not in arrived and newest.get(segment, -1) not in outstanding:
                self.send_again(packet)

    def send_again(self, packet: DataPacket) -> None:
        """Its data waits from here, unless it does."""
        segment = packet.segment
        if segment not in self.waiting:
            self.waiting[segment] = packet
            self._order.append(segment)

    def first(self) -> DataPacket | None:
        """What is sent again next."""
        order, waiting = self._order, self.waiting
        while order:
            former = waiting.get(order[0])
            if former is not None:
                return former
            order.popleft()
        return None

    def take(self, number: int) -> DataPacket:
        """The packet that was lost; its data leaves as `number` now. There is one: `waiting` says so."""
        former = self.first()
        assert former is not None
        segment = former.segment
        self._order.popleft()
        del self.waiting[segment]
        # At the end, where the highest number belongs.
        self.newest.pop(segment, None)
        self.newest[segment] = number
        return former

    def arrived(self, packets: Sequence[DataPacket], floor: int) -> list[int]:
        """These packets arrived, and none below `floor` is of interest: the segments that were or would be copied."""
        newest, waiting, found = self.newest, self.waiting, []
        for packet in packets:
            segment = packet.segment
            if segment in newest:
                self._arrived.add(segment)
                waiting.pop(segment, None)
                found.append(segment)
            elif waiting and waiting.pop(segment, None) is not None:
                found.append(segment)
        while newest:
            segment = next(iter(newest))
            if newest[segment] >= floor:
                break
            del newest[segment]
            self._arrived.discard(segment)
        return found

    def is_data_missing(self) -> bool:
        """Whether a packet is in flight whose data has not arrived in another copy."""
        arrived = self._arrived
        return any(packet.segment not in arrived for packet in self._outstanding.values())
