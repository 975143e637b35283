"""The frames of a payload, by a table of what follows each type (RFC 9000 19, RFC 9221; drafts of others).

A reading of its own, apart from `wire.quic`, which is judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """numbers: its integers in their order. data: the bytes that it carries."""

    kind: int
    numbers: tuple[int, ...] = ()
    data: bytes = b""


class UnreadableFrameError(Exception):
    """A payload that has a frame of no known type, or one that is cut off."""


def read_frames(payload: bytes) -> Iterator[SeenFrame]:
    """All of them but PADDING. UnreadableFrameError at the first that cannot be read."""
    at, end = 0, len(payload)
    while at < end:
        if payload[at] == PADDING:
            at += 1
            continue
        try:
            kind, at = _varint(payload, at)
            frame, at = _frame(kind, payload, at)
        except IndexError:
            raise UnreadableFrameError(f"cut off: {payload[:32].hex()}...") from None
        yield frame


def _frame(kind: int, payload: bytes, at: int) -> tuple[SeenFrame, int]:
    if kind in (ACK, ACK_ECN):
        return _ack(kind, payload, at)
    layout = _stream_layout(kind) if STREAM <= kind <= STREAM + 7 else LAYOUTS.get(kind)
    if layout is None:
        raise UnreadableFrameError(f"frame type {kind:#x}")
    numbers: list[int] = []
    data = b""
    for part in layout:
        if part == "v":
            number, at = _varint(payload, at)
            numbers.append(number)
        elif part == "*":
            data, at = payload[at:], len(payload)
        else:
            length, at = _length(part, payload, at)
            data = data + payload[at : at + length]
            at += length
            if at > len(payload):
                raise IndexError
    return SeenFrame(kind, tuple(numbers), data), at


def _stream_layout(kind: int) -> str:
    return "v" + ("v" if kind & 4 else "") + ("d" if kind & 2 else "*")


def _length(part: str, payload: bytes, at: int) -> tuple[int, int]:
    if part == "d":
        return _varint(payload, at)
    if part == "c":
        return payload[at], at + 1
    return {"8": 8, "T": 16}[part], at


def _ack(kind: int, payload: bytes, at: int) -> tuple[SeenFrame, int]:
    """numbers: largest, delay, first range, and the three counts where it has them."""
    head = []
    for _ in range(4):
        number, at = _varint(payload, at)
        head.append(number)
    largest, delay, ranges, first = head
    for _ in range(2 * ranges):
        _, at = _varint(payload, at)
    counts = []
    for _ in range(3 if kind == ACK_ECN else 0):
        number, at = _varint(payload, at)
        counts.append(number)
    return SeenFrame(kind, (largest, delay, first, *counts)), at


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    length = 1 << (payload[at] >> 6)
    if at + length > len(payload):
        raise IndexError
    value = int.from_bytes(payload[at : at + length], "big") & ((1 << (8 * length - 2)) - 1)
    return value, at + length


PADDING, PING, ACK, ACK_ECN = range(4)
CRYPTO, NEW_TOKEN, STREAM = 6, 7, 8
NEW_CONNECTION_ID, RETIRE_CONNECTION_ID, PATH_CHALLENGE, PATH_RESPONSE = range(0x18, 0x1C)
CLOSE, APPLICATION_CLOSE, HANDSHAKE_DONE = 0x1C, 0x1D, 0x1E
LAYOUTS = {
    PING: "", 0x04: "vvv", 0x05: "vv", CRYPTO: "vd", NEW_TOKEN: "d", 0x10: "v", 0x11: "vv", 0x12: "v", 0x13: "v",
    0x14: "v", 0x15: "vv", 0x16: "v", 0x17: "v", NEW_CONNECTION_ID: "vvcT", RETIRE_CONNECTION_ID: "v",
    PATH_CHALLENGE: "8", PATH_RESPONSE: "8", CLOSE: "vvd", APPLICATION_CLOSE: "vd", HANDSHAKE_DONE: "",
    0x24: "vvvv", 0x1F: "", 0xAF: "vvvv", 0x30: "*", 0x31: "d",
}  # fmt: skip
"""v: a varint; d: bytes behind their length; c: bytes behind one byte that says how many; 8, T: 8 or 16 bytes; *: all
that is left."""
