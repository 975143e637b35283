"""Packets that are dropped on purpose: by their number on the link or in their flow, or because a function says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from transports.link.checks import check_at_least
from transports.link.element import Element
from transports.link.packet import LinkPacket


class DropList(Element):
    """Drops packets by their number; the first that arrives is 1.

    numbers: counted over all that enter. flows: the same for single flows, counted in each for itself.
    TransportError for a number below 1.
    """

    __slots__ = ("_by_flow", "_count", "_numbers", "_seen")

    def __init__(self, numbers: Iterable[int] = (), *, flows: Mapping[int, Iterable[int]] | None = None) -> None:
        super().__init__()
        self._numbers = frozenset(numbers)
        self._by_flow = {flow: frozenset(each) for flow, each in (flows or {}).items()}
        for each in (self._numbers, *self._by_flow.values()):
            check_at_least("packets", min(each, default=1), 1)
        self._count = 0
        self._seen = dict.fromkeys(self._by_flow, 0)

    def put(self, packet: LinkPacket) -> None:
        """Dropped, or passed on at once."""
        self._count = count = self._count + 1
        is_listed = count in self._numbers
        numbers = self._by_flow.get(packet.flow)
        if numbers is not None:
            self._seen[packet.flow] = count = self._seen[packet.flow] + 1
            is_listed = is_listed or count in numbers
        if is_listed:
            self.drop(packet)
        else:
            packet.forward()


class DropWhen(Element):
    """Drops what a function says yes to. predicate: called once with each packet; must not change it."""

    __slots__ = ("_predicate",)

    def __init__(self, predicate: Callable[[LinkPacket], bool]) -> None:
        super().__init__()
        self._predicate = predicate

    def put(self, packet: LinkPacket) -> None:
        """Dropped, or passed on at once."""
        if self._predicate(packet):
            self.drop(packet)
        else:
            packet.forward()
