"""What is remembered of paths between connections, for careful resume (RFC 9959 3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SavedPath:
    """saved_cwnd: bytes that got through in a round trip; saved_rtt: the smallest. saved_ns: when that was seen."""

    window_bytes: int
    rtt_ns: int
    saved_ns: int


class PathMemory:
    """One set for each remote endpoint at most; whoever takes one has it alone, and nobody has it after its lifetime.

    lifetime_ns: RFC 9959 4.2.2 speaks of minutes to hours, RFC 7661 of five minutes. size: remotes at most, the oldest
    go first.
    """

    def __init__(self, *, lifetime_ns: int = 300_000_000_000, size: int = 10_000) -> None:
        self._lifetime_ns = lifetime_ns
        self._size = size
        self._saved: dict[str, SavedPath] = {}

    def take(self, remote: str, now: int) -> SavedPath | None:
        """What is known of the path to `remote`; it is forgotten here, until the connection saves what it saw."""
        saved = self._saved.pop(remote, None)
        if saved is None or now - saved.saved_ns > self._lifetime_ns:
            return None
        return saved

    def save(self, remote: str, saved: SavedPath) -> None:
        """Remember the newest observation."""
        self._saved.pop(remote, None)
        self._saved[remote] = saved
        if len(self._saved) > self._size:
            del self._saved[next(iter(self._saved))]
