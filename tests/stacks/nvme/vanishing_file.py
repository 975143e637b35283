"""A file layer for tests that keeps unsynced changes in a cache, and loses or tears them at a power cut."""

from __future__ import annotations

import random
from collections.abc import Sequence


class PowerCut(Exception):  # noqa: N818 (it is what happens, and nobody's mistake)
    """The power is cut in the middle of an operation."""


class VanishingFile:
    """A `FileLayer`; `syncs` counts fdatasync calls, `operations` all that change the file or wait for it.

    cut_at: number of the operation, from 1, before which the power is cut: it raises PowerCut instead; 0 for never.
    """

    def __init__(self, size_bytes: int = 0) -> None:
        self.syncs = 0
        self.operations = 0
        self.cut_at = 0
        self.is_open = True
        self._medium = bytearray(size_bytes)
        self._cache = bytearray(size_bytes)
        self._log: list[tuple[int, bytes]] = []

    def size(self) -> int:
        """Length of the file."""
        return len(self._cache)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read through the cache."""
        content = self._cache[offset : offset + len(into)]
        into[: len(content)] = content
        return len(content)

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        """Write into the cache; only some at a time, as pwritev may."""
        self._operate()
        content = b"".join(data)[:SHORT_WRITE_BYTES]
        self._change(offset, content)
        return len(content)

    def sync(self) -> None:
        """Bring the cache to the medium."""
        self._operate()
        self.syncs += 1
        self._medium[:] = self._cache
        self._log.clear()

    def punch(self, offset: int, length: int) -> bool:
        """Clear a range, in the cache."""
        self._operate()
        if offset < len(self._cache):
            self._change(offset, bytes(min(length, len(self._cache) - offset)))
        return True

    def resize(self, size_bytes: int) -> None:
        """Cut or extend the file, in the cache."""
        self._operate()
        self._log.append((size_bytes, b""))
        _resize(self._cache, size_bytes)

    def close(self) -> None:
        """Nothing is called afterwards."""
        self.is_open = False

    def power_cut(self, rng: random.Random | None = None) -> None:
        """Everything since the last sync is gone; with `rng` each sector, and each change of size, by a coin's toss."""
        for offset, content in self._log if rng is not None else ():
            assert rng is not None
            if not content and rng.random() < SPARED:
                _resize(self._medium, offset)
            for at in range(0, len(content), SECTOR_BYTES):
                if rng.random() < SPARED:
                    _write(self._medium, offset + at, content[at : at + SECTOR_BYTES])
        self._log.clear()
        self._cache[:] = self._medium
        self.cut_at = 0

    def _operate(self) -> None:
        assert self.is_open
        self.operations += 1
        if self.cut_at and self.operations >= self.cut_at:
            raise PowerCut

    def _change(self, offset: int, content: bytes) -> None:
        self._log.append((offset, content))
        _write(self._cache, offset, content)


def _write(into: bytearray, offset: int, content: bytes) -> None:
    if offset > len(into):
        _resize(into, offset)
    into[offset : offset + len(content)] = content


def _resize(content: bytearray, size_bytes: int) -> None:
    del content[size_bytes:]
    content.extend(bytes(size_bytes - len(content)))


SHORT_WRITE_BYTES = 12_345
SECTOR_BYTES = 512
SPARED = 0.5
