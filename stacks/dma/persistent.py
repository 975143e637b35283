"""Memory that survives a loss of power, as far as it was flushed: a persistent memory domain behind volatile caches.

What an engine or the owner writes is visible at once, and lost at `power_cut` unless `flush` made it durable. A cut may
also spare any of the lines that were not flushed, as caches write back when they like: so a program that relies on
order where it did not flush is found out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.dma.contract import Direction, Dma, Fault, Mapping


class PersistentDma:
    """A `Dma` around another, whose buffers are persistent memory.

    inner: attached to and detached from through this object only. What a buffer holds when it is attached is durable.
    """

    __slots__ = ("_durable", "_inner")

    def __init__(self, inner: Dma) -> None:
        self._inner = inner
        self._durable: dict[int, bytearray] = {}

    @property
    def epoch(self) -> int:
        """That of the inner memory."""
        return self._inner.epoch

    @property
    def is_direct(self) -> bool:
        """As the inner memory: views need no word, since what was written is found by comparing."""
        return self._inner.is_direct

    def attach(self, buffer: object, *, writable: bool = True) -> int:
        """As the contract says."""
        address = self._inner.attach(buffer, writable=writable)
        with memoryview(buffer) as view:  # type: ignore[arg-type]  # attach has checked it
            self._durable[address] = bytearray(view.tobytes())
        return address

    def detach(self, address: int) -> None:
        """As the contract says; what was durable is forgotten with it."""
        self._inner.detach(address)
        del self._durable[address]

    def map(self, address: int, length: int, direction: Direction) -> Mapping | Fault:
        """The inner mapping."""
        return self._inner.map(address, length, direction)

    def flush(self, address: int, length: int) -> Fault | None:
        """Make [address, address + length) durable; a Fault where it is not there, and then nothing is."""
        mapping = self._inner.map(address, length, Direction.READ_MEMORY)
        if isinstance(mapping, Fault):
            return mapping
        for start, image in self._durable.items():
            if start <= address and address + length <= start + len(image):
                image[address - start : address - start + length] = b"".join(mapping.views)
        return None

    def durable(self, address: int, length: int) -> bytes:
        """What a power cut would leave in a range of one buffer, at the least; empty outside of them."""
        for start, image in self._durable.items():
            if start <= address and address + length <= start + len(image):
                return bytes(image[address - start : address - start + length])
        return b""

    def power_cut(self, rng: random.Random | None = None) -> None:
        """Lose what is not durable: all of it, or with `rng` each line of 64 bytes by the toss of a coin."""
        for start, image in self._durable.items():
            for offset in range(0, len(image), LINE_BYTES):
                end = min(offset + LINE_BYTES, len(image))
                self._restore(start + offset, memoryview(image)[offset:end], rng)

    def _restore(self, address: int, line: memoryview, rng: random.Random | None) -> None:
        mapping = self._inner.map(address, len(line), Direction.READ_MEMORY)
        if isinstance(mapping, Fault) or b"".join(mapping.views) == line:
            # A line that is paged out is where pages go, not in a cache.
            return
        if rng is not None and rng.random() < _SPARED:
            line[:] = b"".join(mapping.views)
            return
        for view, piece in _pieces(mapping, line):
            view[:] = piece


def _pieces(mapping: Mapping, line: memoryview) -> Iterator[tuple[memoryview, memoryview]]:
    at = 0
    for view in mapping.views:
        yield view, line[at : at + len(view)]
        at += len(view)


LINE_BYTES = 64
_SPARED = 0.5
