"""ACK frames (RFC 9000 19.3), and PATH_ACK, which puts a path before the same (draft-ietf-quic-multipath-21 4.1).

`decode_ack` and `encode_ack` deal in plain ranges; `Ack` and `PathAck` are for what is not in a hurry.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.errors import WireError
from wire.quic.frame import Frame
from wire.quic.frame_types import FRAME_ACK, FRAME_ACK_ECN, FRAME_PATH_ACK, FRAME_PATH_ACK_ECN
from wire.quic.varint import Buffer, cut_off, encode_varint, read_varint

Ranges = list[tuple[int, int]]
"""First and last packet number of each range, both included; the highest range first."""
EcnCounts = tuple[int, int, int]
"""Packets that arrived with ECT(0), ECT(1) and CE."""


def decode_ack(frame_type: int, view: Buffer, offset: int) -> tuple[Ranges, int, EcnCounts | None, int]:
    """Ranges, Ack Delay as it is on the wire, ECN counts of an ACK_ECN, and the offset behind the frame.

    offset: behind the type, and behind the path of a PATH_ACK. At most `MAX_ACK_RANGES` ranges are told, the highest;
    all are read. WireError where the frame is cut off or a range would be below 0.
    """
    largest, offset = read_varint(view, offset)
    delay, offset = read_varint(view, offset)
    count, offset = read_varint(view, offset)
    length, offset = read_varint(view, offset)
    first = largest - length
    if first < 0:
        raise _negative(offset)
    ranges = [(first, largest)]
    if count:
        offset = _decode_more(view, offset, count, ranges)
    if not frame_type & ECN_BIT:
        return ranges, delay, None, offset
    ect0, offset = read_varint(view, offset)
    ect1, offset = read_varint(view, offset)
    ce, offset = read_varint(view, offset)
    return ranges, delay, (ect0, ect1, ce), offset


def _decode_more(view: Buffer, offset: int, count: int, ranges: Ranges) -> int:
    # Most gaps and lengths are a single byte: no call for those.
    first = ranges[0][0]
    room = MAX_ACK_RANGES - 1
    try:
        for _ in range(count):
            gap = view[offset]
            if gap < 0x40:
                offset += 1
            else:
                gap, offset = read_varint(view, offset)
            length = view[offset]
            if length < 0x40:
                offset += 1
            else:
                length, offset = read_varint(view, offset)
            last = first - gap - 2
            first = last - length
            if first < 0:
                raise _negative(offset)
            if room:
                room -= 1
                ranges.append((first, last))
    except IndexError:
        raise cut_off(offset) from None
    return offset


def encode_ack(ranges: Sequence[tuple[int, int]], delay: int, ecn: EcnCounts | None = None) -> bytes:
    """The frame with its type. ranges: as `Ranges`, one at least. delay: in the units of the sender's exponent.

    WireError where ranges overlap, touch or are not in order, or a value has more than 62 bits.
    """
    return (ACK_TYPE if ecn is None else ACK_ECN_TYPE) + _encode_body(ranges, delay, ecn)


def _encode_body(ranges: Sequence[tuple[int, int]], delay: int, ecn: EcnCounts | None) -> bytes:
    if not ranges:
        raise WireError("no ranges", format="QuicAck", field="ranges")
    first, largest = ranges[0]
    parts = [
        encode_varint(largest), encode_varint(delay), encode_varint(len(ranges) - 1), encode_varint(largest - first)
    ]  # fmt: skip
    if len(ranges) > 1:
        for lower, upper in ranges[1:]:
            parts.append(encode_varint(first - upper - 2))
            parts.append(encode_varint(upper - lower))
            first = lower
    if first < 0:
        raise _negative(0)
    if ecn is not None:
        parts.extend(map(encode_varint, ecn))
    return b"".join(parts)


class Ack(Frame):
    """ACK, and ACK_ECN where `ecn` is there. ranges, delay, ecn: as of `decode_ack`."""

    __slots__ = FIELDS = ("ranges", "delay", "ecn")

    def __init__(self, ranges: Ranges, delay: int, ecn: EcnCounts | None = None) -> None:
        self.ranges = ranges
        self.delay = delay
        self.ecn = ecn

    def encode(self) -> bytes:
        """As `encode_ack`."""
        return encode_ack(self.ranges, self.delay, self.ecn)

    @classmethod
    def decode(cls, frame_type: int, view: Buffer, offset: int) -> tuple[Ack, int]:
        """As `decode_ack`."""
        ranges, delay, ecn, offset = decode_ack(frame_type, view, offset)
        return cls(ranges, delay, ecn), offset


class PathAck(Frame):
    """PATH_ACK: an ACK of the packets of one path."""

    __slots__ = FIELDS = ("path_id", "ranges", "delay", "ecn")

    def __init__(self, path_id: int, ranges: Ranges, delay: int, ecn: EcnCounts | None = None) -> None:
        self.path_id = path_id
        self.ranges = ranges
        self.delay = delay
        self.ecn = ecn

    def encode(self) -> bytes:
        """The frame with its type; WireError as of `encode_ack`."""
        frame_type = FRAME_PATH_ACK if self.ecn is None else FRAME_PATH_ACK_ECN
        head = encode_varint(frame_type) + encode_varint(self.path_id)
        return head + _encode_body(self.ranges, self.delay, self.ecn)

    @classmethod
    def decode(cls, frame_type: int, view: Buffer, offset: int) -> tuple[PathAck, int]:
        """WireError as of `decode_ack`."""
        path_id, offset = read_varint(view, offset)
        ranges, delay, ecn, offset = decode_ack(frame_type, view, offset)
        return cls(path_id, ranges, delay, ecn), offset


def _negative(offset: int) -> WireError:
    return WireError("a range reaches below packet 0", format="QuicAck", field="ranges", offset=offset)


MAX_ACK_RANGES = 256
ECN_BIT = 1
ACK_TYPE, ACK_ECN_TYPE = encode_varint(FRAME_ACK), encode_varint(FRAME_ACK_ECN)
