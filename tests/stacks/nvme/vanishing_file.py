"""A file layer for tests that keeps unsynced writes in a cache, and loses them at a power cut."""

from __future__ import annotations

from collections.abc import Sequence


class VanishingFile:
    """A `FileLayer`; `syncs` counts fdatasync calls."""

    def __init__(self, size_bytes: int) -> None:
        self.syncs = 0
        self._medium = bytearray(size_bytes)
        self._cache = bytearray(size_bytes)

    def size(self) -> int:
        """Length of the file."""
        return len(self._cache)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read through the cache."""
        into[:] = self._cache[offset : offset + len(into)]
        return len(into)

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        """Write into the cache; only some at a time, as pwritev may."""
        content = b"".join(data)[:SHORT_WRITE_BYTES]
        self._cache[offset : offset + len(content)] = content
        return len(content)

    def sync(self) -> None:
        """Bring the cache to the medium."""
        self.syncs += 1
        self._medium[:] = self._cache

    def punch(self, offset: int, length: int) -> bool:
        """Clear a range, in the cache."""
        if offset < len(self._cache):
            self._cache[offset : offset + length] = bytes(length)
        return True

    def close(self) -> None:
        """Nothing to release."""

    def power_cut(self) -> None:
        """Everything since the last sync is gone."""
        self._cache[:] = self._medium


SHORT_WRITE_BYTES = 12_345
