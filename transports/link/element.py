"""What every element on a path has: `put`, and a count of what went no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from transports.link.packet import LinkPacket


class Element:
    """Base of what stands on a path and may drop, hold or change packets.

    dropped_packets, dropped_bytes: went no further. on_drop: called with each of them.
    counted: names of the counters, for `counters`.
    """

    __slots__ = ("dropped_bytes", "dropped_packets", "on_drop")
    counted: ClassVar[tuple[str, ...]] = ("dropped_packets", "dropped_bytes")

    def __init__(self) -> None:
        self.dropped_packets = 0
        self.dropped_bytes = 0
        self.on_drop: Callable[[LinkPacket], object] | None = None

    def put(self, packet: LinkPacket) -> None:
        """A packet enters."""
        raise NotImplementedError

    def drop(self, packet: LinkPacket) -> None:
        """Count a packet that goes no further."""
        self.dropped_packets += 1
        self.dropped_bytes += packet.size_bytes
        if self.on_drop is not None:
            self.on_drop(packet)

    def counters(self) -> dict[str, int]:
        """Every counter under its name."""
        return {name: getattr(self, name) for name in self.counted}
