"""The shortcut in: packets of a burst that come in order and hold one STREAM frame each, taken together.

    opened packets -> those that are next by number, and all stream data -> one call a stream, one record of them all

What is not plainly so ends a run and goes every step of its own, in `Receiving`; both ways come to the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

from stacks.quic.connection.closing import CloseReason
from stacks.quic.connection.ending import end as end_connection
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionEvent, ConnectionState
from stacks.quic.errors import QuicError
from stacks.quic.keys import Opened
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.paths import Path
from wire.quic.frame_types import FRAME_STREAM, STREAM_FIN, STREAM_LEN, STREAM_OFF


class ReceivingRuns:
    """Of one connection."""

    __slots__ = ("_parts", "_received", "_streams")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._streams = parts.streams
        self._received = parts.spaces[SPACE_APPLICATION].received

    def handle(
        self, packets: Sequence[Opened | None], index: int, destination_cid: bytes, path: Path, ecn: int, now: int
    ) -> int:
        """Take packets from `index` on, as many as are plain; the index of the first that is not."""
        parts = self._parts
        if parts.tracer is not None or parts.state != ConnectionState.CONFIRMED or not parts.configuration.shortcuts:
            return index
        received = self._received
        first_number = expected = received.largest + 1
        run_id, start, end = -1, 0, -1
        same_size, same_limit, bits, lead, tail, at, unpack = -1, -1, 0, b"", b"", 0, read_word
        views: list[memoryview] = []
        try:
            for packet in packets[index:] if index else packets:
                if packet is None or packet[0] != expected or packet[1] & RESERVED_BITS:
                    break
                payload = packet[2]
                size = len(payload)
                if size == same_size and end < same_limit and unpack(payload) == (lead, end | bits, tail):
                    views.append(payload[at:])  # as the one before, and next to it
                    end += size - at
                    expected += 1
                    continue
                decoded = decode_head(payload, size)
                if decoded is None:
                    break
                stream_id, offset, id_end, offset_end, at = decoded
                if offset != end or stream_id != run_id:
                    if views:
                        self._streams.handle_run(run_id, start, end, views, now)
                        views = []
                    run_id, start, end = stream_id, offset, offset
                same_size = -1
                if offset_end > id_end:
                    same_size, (same_limit, bits) = size, OFFSETS[offset_end - id_end]
                    lead, tail = bytes(payload[:id_end]), bytes(payload[offset_end:at])
                    unpack = _layout(id_end, offset_end - id_end, at - offset_end).unpack_from
                views.append(payload[at:])
                end += size - at
                expected += 1
            if views:
                self._streams.handle_run(run_id, start, end, views, now)
        except QuicError as error:
            reason = CloseReason(error.code, str(error), frame_type=error.frame_type)
            end_connection(parts, ConnectionEvent.CLOSE, reason, now)
        count = expected - first_number
        if count:
            parts.counters.packets_received += count
            received.record_run(expected - 1, ecn, now)
            parts.idle.received(now)
            parts.paths.packet_processed(
                path, destination_cid=destination_cid, is_probing=False, is_newest=True, now=now
            )
        return index + count


def decode_head(payload: memoryview, size: int) -> tuple[int, int, int, int, int] | None:
    """Of a payload that is one STREAM frame without an end: stream, offset, and where stream, offset and length end.

    None where it is anything else, or so short that it had better be looked at byte by byte.
    """
    if size < LEAST_BYTES:
        return None
    frame_type = payload[0]
    if frame_type & STREAM_MASK != FRAME_STREAM:
        return None
    (word,) = read_word(payload, 1)
    stream_id = (word & VARINT_MASK) >> SHIFTS[word >> 62]
    id_end = offset_end = 1 + (1 << (word >> 62))
    offset = 0
    if frame_type & STREAM_OFF:
        (word,) = read_word(payload, id_end)
        offset = (word & VARINT_MASK) >> SHIFTS[word >> 62]
        offset_end += 1 << (word >> 62)
    at = offset_end
    if frame_type & STREAM_LEN:
        (word,) = read_word(payload, at)
        at += 1 << (word >> 62)
        if at + ((word & VARINT_MASK) >> SHIFTS[word >> 62]) != size:
            return None  # cut off, or something behind it
    return stream_id, offset, id_end, offset_end, at


@lru_cache(maxsize=64)
def _layout(lead_bytes: int, offset_bytes: int, tail_bytes: int) -> struct.Struct:
    """Of a STREAM frame's head: type and stream, offset, length."""
    return struct.Struct(f">{lead_bytes}s{CODES[offset_bytes]}{tail_bytes}s")


CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
OFFSETS = {size: (1 << (8 * size - 2), bits << (8 * size - 2)) for bits, size in enumerate((1, 2, 4, 8))}
"""By the bytes of a varint: the first value that it cannot be, and the two bits in front."""
WORD = struct.Struct(">Q")
read_word = WORD.unpack_from
VARINT_MASK = (1 << 62) - 1
SHIFTS = (56, 48, 32, 0)
"""By the class of a varint, its first two bits: where it ends in eight bytes."""
RESERVED_BITS = 0x18
STREAM_MASK = 0xF8 | STREAM_FIN
"""An end of a stream goes its own way."""
LEAST_BYTES = 1 + 3 * 8
"""So that each of three varints is at the front of eight bytes that are there."""
