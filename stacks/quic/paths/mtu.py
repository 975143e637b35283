"""Datagram packetization layer path MTU discovery (RFC 8899; RFC 9000 14.3, 14.4).

The largest size that may work is tried first, since on most paths it does; where three probes of a size are lost, the
next is half way down to what is known to work. Losing a probe says nothing of congestion.
"""

from __future__ import annotations


class MtuDiscovery:
    """One path. datagram_bytes: the largest UDP payload that is known to arrive.

    base_bytes: what every path carries; max_bytes: the most that is tried. on_change: is told by `changed`.
    """

    __slots__ = (
        "_base_bytes", "_ceiling", "_is_probing", "_lost", "_next_ns", "_probe_bytes", "_timeouts", "datagram_bytes",
        "has_changed",
    )  # fmt: skip

    def __init__(self, base_bytes: int, max_bytes: int) -> None:
        self.datagram_bytes = base_bytes
        self.has_changed = False
        self._base_bytes = base_bytes
        self._ceiling = max(max_bytes, base_bytes)
        self._probe_bytes = self._ceiling
        self._is_probing = False
        self._lost = 0
        self._timeouts = 0
        self._next_ns = 0

    @property
    def is_done(self) -> bool:
        """Whether no larger size is looked for at present."""
        return self._next_ns > 0 or self._probe_bytes - self.datagram_bytes < STEP_BYTES

    def limit(self, max_bytes: int) -> None:
        """The peer takes no more than this."""
        self._ceiling = max(min(self._ceiling, max_bytes), self._base_bytes)
        self._probe_bytes = min(self._probe_bytes, self._ceiling)

    def poll_probe(self, now: int) -> int | None:
        """The size of a probe that should be sent now, or None."""
        if self._is_probing or self._probe_bytes - self.datagram_bytes < STEP_BYTES or now < self._next_ns:
            return None
        self._is_probing = True
        return self._probe_bytes

    def record(self, size: int) -> MtuProbe:
        """What is remembered of a probe."""
        return MtuProbe(self, size)

    def arrived(self, size: int) -> None:
        """A probe was acknowledged."""
        self._is_probing = False
        self._lost = 0
        if size > self.datagram_bytes:
            self.datagram_bytes = size
            self.has_changed = True
        self._probe_bytes = self._ceiling

    def lost(self, size: int, now: int) -> None:
        """A probe was lost."""
        self._is_probing = False
        self._lost += 1
        if self._lost < MAX_PROBES:
            return
        self._lost = 0
        self._ceiling = size - 1
        self._probe_bytes = (self.datagram_bytes + size) // 2
        if self._probe_bytes - self.datagram_bytes < STEP_BYTES:
            self._next_ns = now + RAISE_NS

    def timed_out(self) -> None:
        """A probe timeout of the connection: after some in a row, larger datagrams may vanish (RFC 8899 4.3)."""
        self._timeouts += 1
        if self._timeouts >= BLACK_HOLE_TIMEOUTS and self.datagram_bytes > self._base_bytes:
            self._ceiling = self._probe_bytes = self.datagram_bytes = self._base_bytes
            self._timeouts = 0
            self.has_changed = True

    def alive(self) -> None:
        """Something was acknowledged."""
        self._timeouts = 0


class MtuProbe:
    """A probe that was sent."""

    __slots__ = ("_owner", "_size")

    def __init__(self, owner: MtuDiscovery, size: int) -> None:
        self._owner = owner
        self._size = size

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.arrived(self._size)

    def lost(self, now: int) -> None:
        """As of `SentFrame`."""
        self._owner.lost(self._size, now)


MAX_PROBES = 3
STEP_BYTES = 20
RAISE_NS = 600_000_000_000
"""PMTU_RAISE_TIMER (RFC 8899 5.1.1)."""
BLACK_HOLE_TIMEOUTS = 3
