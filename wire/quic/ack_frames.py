"""ACK frames (RFC 9000 19.3)."""

from __future__ import annotations

from collections.abc import Sequence

from wire.errors import WireError
from wire.quic.frame_types import FRAME_ACK, FRAME_ACK_ECN
from wire.quic.varint import Buffer, encode_varint, read_varint

Ranges = list[tuple[int, int]]
"""First and last packet number of each range, both included; the highest range first."""
EcnCounts = tuple[int, int, int]
"""Packets that arrived with ECT(0), ECT(1) and CE."""


def decode_ack(frame_type: int, view: Buffer, offset: int) -> tuple[Ranges, int, EcnCounts | None, int]:
    """Ranges, Ack Delay as it is on the wire, ECN counts of an ACK_ECN, and the offset behind the frame.

    At most `MAX_ACK_RANGES` ranges are told, the highest; all are read. WireError where the frame is cut off or a
    range would be below 0.
    """
    largest, offset = read_varint(view, offset)
    delay, offset = read_varint(view, offset)
    count, offset = read_varint(view, offset)
    length, offset = read_varint(view, offset)
    first = largest - length
    if first < 0:
        raise _negative(offset)
    ranges = [(first, largest)]
    for _ in range(count):
        gap, offset = read_varint(view, offset)
        length, offset = read_varint(view, offset)
        last = first - gap - 2
        first = last - length
        if first < 0:
            raise _negative(offset)
        if len(ranges) < MAX_ACK_RANGES:
            ranges.append((first, last))
    if frame_type != FRAME_ACK_ECN:
        return ranges, delay, None, offset
    ect0, offset = read_varint(view, offset)
    ect1, offset = read_varint(view, offset)
    ce, offset = read_varint(view, offset)
    return ranges, delay, (ect0, ect1, ce), offset


def encode_ack(ranges: Sequence[tuple[int, int]], delay: int, ecn: EcnCounts | None = None) -> bytes:
    """ranges: as `Ranges`, not touching each other. delay: in the units of the sender's exponent."""
    first, largest = ranges[0]
    parts = [
        (FRAME_ACK if ecn is None else FRAME_ACK_ECN).to_bytes(1, "big"),
        encode_varint(largest),
        encode_varint(delay),
        encode_varint(len(ranges) - 1),
        encode_varint(largest - first),
    ]
    for lower, upper in ranges[1:]:
        parts.append(encode_varint(first - upper - 2))
        parts.append(encode_varint(upper - lower))
        first = lower
    if ecn is not None:
        parts.extend(map(encode_varint, ecn))
    return b"".join(parts)


def _negative(offset: int) -> WireError:
    return WireError("a range reaches below packet 0", format="QuicAck", field="ranges", offset=offset)


MAX_ACK_RANGES = 256
