"""Datagram packetization layer path MTU discovery (RFC 8899 5; RFC 9000 14.3, 14.4).

    searching -- probe acknowledged --> that size is used, the next larger one is tried
              -- probe lost, three times --> that size fails, a smaller one is tried
    nothing left to try: search again ten minutes later (PMTU_RAISE_TIMER)
    black hole: full datagrams vanish -> the base, and the search begins anew

The largest size that is allowed is tried first, since on most paths it works: one round trip. Where it fails, sizes
that links are known to have are halved down to one; what lies between them is not searched. That a probe is lost may
have other reasons, so it takes three.
"""

from __future__ import annotations


class MtuDiscovery:
    """One path. datagram_bytes: the largest UDP payload that is known to arrive; has_changed: it is another one, which
    its reader clears.

    base_bytes: what every path carries that a connection could begin on; max_bytes: the most that is tried.
    """

    __slots__ = (
        "_base_bytes", "_failed_bytes", "_is_probing", "_lost", "_max_bytes", "_probe_bytes", "_raise_ns",
        "datagram_bytes", "has_changed",
    )  # fmt: skip

    def __init__(self, base_bytes: int, max_bytes: int) -> None:
        self.datagram_bytes = base_bytes
        self.has_changed = False
        self._base_bytes = base_bytes
        self._max_bytes = max(max_bytes, base_bytes)
        self._failed_bytes = self._max_bytes + 1  # the least that is known not to arrive
        self._probe_bytes = self._next_size()
        self._is_probing = False
        self._lost = 0
        self._raise_ns = 0

    @property
    def is_done(self) -> bool:
        """Whether no larger size is looked for at present."""
        return not self._probe_bytes

    def limit(self, max_bytes: int) -> None:
        """The peer takes no more than this."""
        self._base_bytes = min(self._base_bytes, max_bytes)
        if self.datagram_bytes > max_bytes:
            self.datagram_bytes = max_bytes
            self.has_changed = True
        self._max_bytes = max(min(self._max_bytes, max_bytes), self._base_bytes)
        self._failed_bytes = min(self._failed_bytes, self._max_bytes + 1)
        self._probe_bytes = self._next_size()

    def is_searching(self, now: int) -> bool:
        """Whether a probe should be sent now."""
        if self._is_probing:
            return False
        if not self._probe_bytes:
            if self.datagram_bytes >= self._max_bytes or now < self._raise_ns:
                return False
            self._search_again()
        return True

    def begin_probe(self) -> int:
        """The size of the probe that is sent now."""
        self._is_probing = True
        return self._probe_bytes

    def record(self, size: int) -> MtuProbe:
        """What is remembered of a probe."""
        return MtuProbe(self, size)

    def arrived(self, size: int) -> None:
        """A probe was acknowledged."""
        self._is_probing = False
        self._lost = 0
        if self.datagram_bytes < size < self._failed_bytes:
            self.datagram_bytes = size
            self.has_changed = True
        self._probe_bytes = self._next_size()

    def lost(self, size: int, now: int) -> None:
        """A probe was lost."""
        self._is_probing = False
        if size != self._probe_bytes:
            return
        self._lost += 1
        if self._lost >= MAX_PROBES:
            self._lost = 0
            self._failed_bytes = size
            self._probe_bytes = self._next_size()
            self._raise_ns = now + RAISE_NS

    def suspect(self, losses: int) -> bool:
        """Whether the path has become a black hole, and the base is used again (RFC 8899 4.3, 5.1.4).

        losses: times in a row that full datagrams were lost, or nothing came back, without one that arrived.
        """
        if losses < BLACK_HOLE_LOSSES or self.datagram_bytes == self._base_bytes:
            return False
        self.datagram_bytes = self._base_bytes
        self.has_changed = True
        self._search_again()
        return True

    def _search_again(self) -> None:
        self._failed_bytes = self._max_bytes + 1
        self._lost = 0
        self._probe_bytes = self._next_size()

    def _next_size(self) -> int:
        """What to try next, 0 for nothing."""
        low, failed = self.datagram_bytes, self._failed_bytes
        if failed > self._max_bytes:
            return self._max_bytes if low < self._max_bytes else 0
        sizes = [size for size in LADDER if low < size < failed]
        return sizes[len(sizes) // 2] if sizes else 0


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
RAISE_NS = 600_000_000_000
"""PMTU_RAISE_TIMER (RFC 8899 5.1.1)."""
BLACK_HOLE_LOSSES = 3
LADDER = (
    1232, 1280, 1352, 1372, 1400, 1420, 1432, 1452, 1472, 2002, 4052, 8152, 8900, 8952, 8972, 16_384, 32_768, 65_507,
)  # fmt: skip
"""UDP payloads of links: IPv6's least MTU, tunnels, PPPoE, Ethernet with either IP, larger ones, jumbo frames."""
