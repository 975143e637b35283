"""Packets that came before their keys: kept for a moment, and few of them (RFC 9001 5.7, RFC 9000 5.2.1)."""

from __future__ import annotations

from stacks.quic.paths import Path


class EarlyPackets:
    """Copies, in the order in which they came."""

    __slots__ = ("_kept", "_kept_bytes")

    def __init__(self) -> None:
        self._kept_bytes = 0
        self._kept: list[tuple[bytearray, Path, int]] | None = None

    def keep(self, packet: memoryview, path: Path, ecn: int) -> bool:
        """False where there are too many already."""
        if self._kept is None:
            self._kept = []
        if len(self._kept) >= LIMIT or self._kept_bytes + len(packet) > LIMIT_BYTES:
            return False
        self._kept_bytes += len(packet)
        self._kept.append((bytearray(packet), path, ecn))
        return True

    def take(self) -> list[tuple[bytearray, Path, int]]:
        """All that is kept."""
        kept, self._kept, self._kept_bytes = self._kept, None, 0
        return kept or []


LIMIT_BYTES = 64 << 10
LIMIT = 32
"""Packets: an initial window of 0-RTT data and a server's flight, with room."""
