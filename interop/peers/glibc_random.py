"""The bytes that perftest fills its buffers with: rand() of the GNU C library, seeded with the time of day.

The generator is the additive feedback one of degree 31 that random(3) documents as the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from interop.peers.terms import PeerError


def rand(seed: int) -> Iterator[int]:
    """The numbers that the library gives out after it was seeded, without end."""
    state = [seed or 1]
    for _ in range(30):
        state.append(16807 * state[-1] % 0x7FFFFFFF)
    state += state[:3]
    number = 34
    while True:
        state.append((state[number - 31] + state[number - 3]) & 0xFFFFFFFF)
        if number >= FIRST_OUTPUT:
            yield state[number] >> 1
        number += 1


def random_bytes(seed: int, length: int) -> bytes:
    """A buffer filled byte by byte with rand()."""
    return bytes(number & 0xFF for number in islice(rand(seed), length))


def find_seed(data: bytes, offset: int, candidates: Iterable[int]) -> int:
    """The seed whose buffer has `data` at `offset`; PeerError when none of the candidates does."""
    sample = data[:SAMPLE_BYTES]
    for seed in candidates:
        if random_bytes(seed, offset + len(sample))[offset:] == sample:
            return seed
    raise PeerError(f"{sample.hex()} is not what their rand() gives at any time of late")


FIRST_OUTPUT = 344
SAMPLE_BYTES = 16
