"""Frames that make some sense: where a fuzzer begins, and how one who knows them changes them."""

from __future__ import annotations

import random
from collections.abc import Callable

from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic import frames as f
from wire.quic.ack_frames import encode_ack
from wire.quic.varint import encode_varint

INTEGERS = (
    *range(14), 20, 63, 64, 1000, 1001, 1300, 16_383, 16_384, 100_000, 4 << 20, 8 << 20, (1 << 30) - 1, 1 << 30,
    1 << 32, (1 << 60) - 1, 1 << 60, (1 << 60) + 1, (1 << 62) - 1,
)  # fmt: skip


def random_frame(rng: random.Random) -> bytes:
    """Any frame, with values that mean something now and then."""
    return MAKERS[int(rng.random() * len(MAKERS))](rng)


def changed_frames(payload: bytes, rng: random.Random) -> bytes:
    """A payload with frames added, doubled, removed, and integers exchanged."""
    changed = bytearray(payload)
    for _ in range(1 + int(rng.random() * 3)):
        at = int(rng.random() * (len(changed) + 1))
        way = rng.random()
        if way < 0.3 or not changed:
            changed += random_frame(rng)
        elif way < 0.4:
            changed[:0] = random_frame(rng)
        elif way < 0.6 and at < len(changed):
            changed[at : at + (1 << (changed[at] >> 6))] = encode_varint(_integer(rng))
        elif way < 0.7:
            del changed[at : at + 1 + int(rng.random() * 8)]
        elif way < 0.8:
            changed[at:at] = changed[: int(rng.random() * len(changed))]
        elif at < len(changed):
            changed[at] = int(rng.random() * 256)
    return bytes(changed)


def frames_to_begin_with() -> list[bytes]:
    """Payloads: each frame alone, and some that belong together."""
    rng = random.Random(1)
    found = [make(rng) for make in MAKERS for _ in range(2)]
    found += [f.Stream(stream, 0, bytes(1000), is_fin=bool(stream & 4)).encode() for stream in range(8)]
    found.append(b"".join(f.Stream(0, 10 * n, b"0123456789").encode() for n in range(20, 0, -1)))
    found.append(encode_ack([(0, 1)], 0) + encode_ack([(0, 3)], 0))
    found.append(f.Stream(0, 0, b"a").encode() + f.ResetStreamAt(0, 1, 9, 1).encode() + f.ResetStream(0, 1, 9).encode())
    return found


def _integer(rng: random.Random) -> int:
    return INTEGERS[int(rng.random() ** 2 * len(INTEGERS))]


def _bytes(rng: random.Random) -> bytes:
    return bytes(int(rng.random() * 40))


def _of(kind: type[f.IntegerFrame]) -> Callable[[random.Random], bytes]:
    return lambda rng: kind(*(_integer(rng) for _ in kind.FIELDS)).encode()


def _stream(rng: random.Random) -> bytes:
    frame = f.Stream(_integer(rng) & 15, _integer(rng), _bytes(rng), is_fin=rng.random() < 0.2)
    return frame.encode(is_last=rng.random() < 0.3)


def _ack(rng: random.Random) -> bytes:
    ranges, last = [], -2
    for _ in range(1 + int(rng.random() * 4)):
        first = last + 2 + int(rng.random() * 4)
        last = first + int(rng.random() * 6)
        ranges.append((first, last))
    if rng.random() < 0.2:
        ranges.append((last + 2 + _integer(rng) // 2, last + 2 + (_integer(rng) | 1)))
    counts = (_integer(rng) & 15, _integer(rng) & 15, _integer(rng) & 15) if rng.random() < 0.4 else None
    try:
        return encode_ack(ranges[::-1], _integer(rng), counts)
    except WireError:
        return encode_ack([(0, 1)], 0)


def _new_connection_id(rng: random.Random) -> bytes:
    number = _integer(rng)
    prior = number if rng.random() < 0.3 else _integer(rng) & 7
    return f.NewConnectionId(number, prior, bytes((number & 255,)) * int(rng.random() * 22), bytes(16)).encode()


def _close(rng: random.Random) -> bytes:
    return f.ConnectionClose(_integer(rng), b"enough", is_application=rng.random() < 0.5).encode()


MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    *(_of(kind) for kind in f.INTEGER_FRAMES),
    _stream, _stream, _stream, _ack, _ack, _ack, _new_connection_id, _new_connection_id, _close,
    lambda rng: f.Crypto(_integer(rng), _bytes(rng)).encode(),
    lambda rng: f.Crypto(0, b"\4\0\0\x20" + bytes(32)).encode(),
    lambda rng: f.NewToken(_bytes(rng)).encode(),
    lambda rng: f.PathChallenge(bytes(8)).encode(),
    lambda rng: f.PathResponse(bytes(8)).encode(),
    lambda rng: f.Datagram(_bytes(rng)).encode(is_last=rng.random() < 0.3),
    lambda rng: f.MaxStreams(_integer(rng)).encode_uni(),
    lambda rng: f.StreamsBlocked(_integer(rng)).encode_uni(),
    lambda rng: f.Padding(1 + int(rng.random() * 40)).encode(),
    lambda rng: f.PathNewConnectionId(1, 0, b"8 bytes.", bytes(16), path_id=1).encode(),
    lambda rng: bytes((t.FRAME_STREAM | int(rng.random() * 8),)) + _bytes(rng),
)  # fmt: skip
