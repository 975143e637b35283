"""The shortcut in: packets of a burst that come in order and hold one STREAM frame each, taken together.

    opened packets -> those that are next by number, and all stream data -> one call a stream, one record of them all

What is not plainly so ends a run and goes every step of its own, in `Receiving`; both ways come to the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

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
        first_index, expected = index, received.largest + 1
        run_id, start, end = -1, 0, -1
        views: list[memoryview] = []
        try:
            for packet in packets[index:] if index else packets:
                if packet is None or packet[0] != expected or packet[1] & RESERVED_BITS:
                    break
                payload = packet[2]
                size, frame_type = len(payload), payload[0]
                if size < LEAST_BYTES or frame_type & STREAM_MASK != FRAME_STREAM:
                    break
                (word,) = read_word(payload, 1)
                class_bits = word >> 62
                stream_id = (word & VARINT_MASK) >> SHIFTS[class_bits]
                at = 1 + (1 << class_bits)
                offset = 0
                if frame_type & STREAM_OFF:
                    (word,) = read_word(payload, at)
                    class_bits = word >> 62
                    offset = (word & VARINT_MASK) >> SHIFTS[class_bits]
                    at += 1 << class_bits
                if frame_type & STREAM_LEN:
                    (word,) = read_word(payload, at)
                    class_bits = word >> 62
                    at += 1 << class_bits
                    if at + ((word & VARINT_MASK) >> SHIFTS[class_bits]) != size:
                        break  # cut off, or something behind it
                if offset != end or stream_id != run_id:
                    if views:
                        self._streams.handle_run(run_id, start, end, views, now)
                        views = []
                    run_id, start, end = stream_id, offset, offset
                views.append(payload[at:])
                end += size - at
                expected += 1
                index += 1
            if views:
                self._streams.handle_run(run_id, start, end, views, now)
        except QuicError as error:
            reason = CloseReason(error.code, str(error), frame_type=error.frame_type)
            end_connection(parts, ConnectionEvent.CLOSE, reason, now)
        count = index - first_index
        if count:
            parts.counters.packets_received += count
            received.record_run(expected - 1, ecn, now)
            parts.idle.received(now)
            parts.paths.packet_processed(
                path, destination_cid=destination_cid, is_probing=False, is_newest=True, now=now
            )
        return index


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
