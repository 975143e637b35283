"""Inputs that are records: a kind, the length of what follows in two bytes, and that."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tests.fuzz.quic_frames import changed_frames


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + 3], "big")
        yield data[at], data[at + 3 : at + 3 + length]
        at += 3 + length


def record(kind: int, content: bytes = b"") -> bytes:
    """One of them."""
    return bytes((kind,)) + len(content).to_bytes(2, "big") + content


def changed_records(
    data: bytes, rng: random.Random, *, kinds: int, change: Callable[[bytes, random.Random], bytes] = changed_frames
) -> bytes:
    """Records changed as one does who knows them: contents (by `change`), order, kinds, of which there are `kinds`."""
    found = list(records(data)) or [(0, b"\1")]
    for _ in range(1 + int(rng.random() * 3)):
        at = int(rng.random() * len(found))
        kind, content = found[at]
        way = rng.random()
        if way < 0.5:
            found[at] = kind, change(content, rng)
        elif way < 0.65:
            found.insert(at, (int(rng.random() * kinds), change(b"", rng)))
        elif way < 0.75:
            found.insert(at, found[int(rng.random() * len(found))])
        elif way < 0.85:
            found[at] = int(rng.random() * kinds), content
        elif len(found) > 1:
            del found[at]
    return b"".join(record(kind, content) for kind, content in found)
