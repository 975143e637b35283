"""What crosses a link: a size, the two ECN bits, the flow it belongs to, and the way that it has to go."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Self

Sink = Callable[[Any], object]
"""Takes a packet at the present time of the timeline: an element's `put`, or whoever waits at the end."""


class LinkPacket:
    """One packet on its way.

    size_bytes: everything that takes time on the wire; no element changes it, since senders count what is in flight by
    it: one that adds or cuts bytes sends a packet of its own instead. ecn: the two bits of RFC 3168, which queues may
    set to CE. flow: number of the flow, by which fair queues and routers hash. route: the sinks that it passes, in
    order, the last of them its receiver; `hop`: the index of the one that it is at. enqueued_ns: when it entered the
    queue that it is in. is_corrupt: it was damaged on the way. damage: index of the byte that was, and what it is xored
    with, unset where it is one bit of the last one. telemetry: what each switch adds of itself (INT),
    None if not wanted. payload: of whoever sent it; links do not look at it. source, destination: who it is between, of
    any kind that can be compared; only a NAT looks at them, and whoever has none leaves them unset. ingress: of the
    switch that it is in.
    """

    __slots__ = (
        "damage", "destination", "ecn", "enqueued_ns", "flow", "hop", "ingress", "is_corrupt", "payload", "priority",
        "route", "size_bytes", "source", "telemetry",
    )  # fmt: skip
    damage: tuple[int, int]
    source: Hashable
    destination: Hashable
    ingress: Any

    def __init__(
        self, size_bytes: int, route: Sequence[Sink], *, flow: int = 0, ecn: int = 0, payload: Any = None
    ) -> None:
        self.size_bytes = size_bytes
        self.route = route
        self.hop = -1
        self.flow = flow
        self.ecn = ecn
        self.priority = 0
        self.enqueued_ns = 0
        self.is_corrupt = False
        self.telemetry: list[Any] | None = None
        self.payload = payload

    def forward(self) -> None:
        """Go on to the next sink of the route.

        What every packet passes does this itself and puts the sink on the timeline, which saves a call.
        """
        self.hop = hop = self.hop + 1
        self.route[hop](self)

    def copy(self) -> Self:
        """A duplicate with a way of its own from here."""
        twin = copy.copy(self)
        twin.telemetry = None if self.telemetry is None else list(self.telemetry)
        return twin


ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE = 0, 1, 2, 3
