"""The shortcut out: full datagrams of one 1-RTT packet each, that all hold bytes of one stream.

As long as nobody but one stream has anything to send, datagrams differ in number, offset and data alone: from the first
of a burst on, or behind one that was built the complete way, with the ACK and whatever else was to be said. They are
written in one loop, sealed together, and remembered in one call. Where it is not plainly so there is no run, and the
complete way goes on; both ways make the same packets.
"""

from __future__ import annotations

import struct
from functools import lru_cache, partial

from stacks.quic.connection.assembly import Assembly
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionState
from stacks.quic.keys.header_protection import LOW_MASKS
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.paths import Path
from stacks.quic.streams.send_buffer import SendBuffer
from stacks.quic.streams.send_stream import SendStream
from wire.quic.frame_types import FRAME_STREAM, STREAM_OFF
from wire.quic.packet import number_bytes
from wire.quic.varint import encode_varint


class SendingRuns:
    """Of one connection."""

    __slots__ = ("_others", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        application = parts.spaces[SPACE_APPLICATION]
        self._others = (
            application.received, application.crypto_out, parts.control, parts.local_ids, parts.peer_ids,
            parts.datagrams,
        )  # fmt: skip

    def extend(self, assembly: Assembly, path: Path, segment: int, most: int, now: int) -> int:
        """Add up to `most` datagrams of `segment` bytes behind those that are there; how many it were.

        Now, the window and the pacer let one leave.
        """
        parts = self._parts
        streams, keys, recovery = parts.streams, parts.one_rtt, parts.recovery
        stream = self._only_stream(path, segment)
        if stream is None or stream.buffer is None or keys is None:
            return 0
        number = recovery.next_number(SPACE_APPLICATION)
        acked = recovery.largest_acked(SPACE_APPLICATION)
        width = number_bytes(number, acked)
        offset = stream.next_offset
        offset_head = encode_varint(offset)
        offset_bytes = len(offset_head)
        head = b"".join((
            (FRAME_STREAM | STREAM_OFF).to_bytes(1, "big"), encode_varint(stream.stream_id),
        ))  # fmt: skip
        cid_end = 1 + len(path.peer_cid)
        head_bytes = cid_end + width + len(head) + offset_bytes
        data_bytes = segment - head_bytes - TAG_BYTES
        start = assembly.used_bytes
        count = min(
            most,
            (len(assembly.buffer) - start) // segment,
            (MAX_BURST_BYTES - start) // segment,
            path.congestion.room_packets(segment),
            recovery.run_room(),
            (streams.run_end(stream) - offset) // data_bytes,
            NUMBER_LIMITS[width] + acked - number,
            (OFFSET_LIMITS[offset_bytes] - 1 - offset) // data_bytes + 1,
        )
        if count <= 0 or start % segment:
            return 0
        sealer = keys.sealer_for(number, now)
        front = (assembly.fixed_bit | keys.phase_bit | (width - 1)).to_bytes(1, "big") + path.peer_cid
        end = write_run(
            assembly.view, start, segment, count, stream.buffer,
            (front, number, width, head, offset, offset_bytes),
        )  # fmt: skip
        views = assembly.buffer.packets(segment, cid_end)
        sealer.seal_run(views, start // segment, count, number=number, number_bytes=width)
        streams.sent_run(stream, end)
        assembly.extend(start + count * segment)
        recovery.sent_run(
            count,
            segment,
            offset=offset,
            data_bytes=data_bytes,
            make_record=partial(streams.run_record, stream),
            congestion=path.congestion,
            now=now,
        )
        parts.counters.packets_sent += count
        path.sent_bytes += count * segment
        parts.idle.sent(now)
        return count

    def _only_stream(self, path: Path, segment: int) -> SendStream | None:
        """The stream that alone has something to send, where everything else is as a run needs it."""
        parts = self._parts
        if (
            not parts.streams.has_frames
            or parts.tracer is not None
            or parts.state != ConnectionState.CONFIRMED
            or not parts.configuration.shortcuts
            or not path.is_validated
            or segment > MAX_SEGMENT_BYTES
            or parts.spaces[SPACE_APPLICATION].probes
        ):
            return None
        for source in self._others:
            if source.has_frames:
                return None
        stream = parts.streams.next_run()
        return stream if stream is not None and stream.next_offset else None


def write_run(
    view: memoryview,
    start: int,
    segment: int,
    count: int,
    source: SendBuffer,
    fields: tuple[bytes, int, int, bytes, int, int],
) -> int:
    """Write `count` packets of `segment` bytes at `start`, without protection; the offset of the stream behind them.

    fields: what is before the packet number; the first number, and in how many bytes; what is before the offset in the
    stream; the first offset, and in how many bytes.
    """
    front, number, width, head, offset, offset_bytes = fields
    layout = _layout(len(front), width, len(head), offset_bytes)
    pack, head_bytes = layout.pack_into, layout.size
    data_bytes = segment - head_bytes - TAG_BYTES
    number_mask, offset_bits = LOW_MASKS[width], OFFSET_BITS[offset_bytes]
    while count:
        chunk, at = source.chunk_at(offset)
        inside = min(count, (len(chunk) - at) // data_bytes)
        for _ in range(inside):
            pack(view, start, front, number & number_mask, head, offset | offset_bits)
            data = start + head_bytes
            view[data : data + data_bytes] = chunk[at : at + data_bytes]
            at += data_bytes
            start += segment
            offset += data_bytes
            number += 1
        count -= inside
        if count:  # the next one has its bytes from two chunks or more
            pack(view, start, front, number & number_mask, head, offset | offset_bits)
            source.copy(offset, offset + data_bytes, view, start + head_bytes)
            start += segment
            offset += data_bytes
            number += 1
            count -= 1
    return offset


@lru_cache(maxsize=64)
def _layout(front_bytes: int, number_bytes: int, head_bytes: int, offset_bytes: int) -> struct.Struct:
    return struct.Struct(f">{front_bytes}s{CODES[number_bytes]}{head_bytes}s{CODES[offset_bytes]}")


CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
TAG_BYTES = 16
MAX_BURST_BYTES = 65_507
MAX_SEGMENT_BYTES = 16_000
"""In longer packets STREAM frames say how long they are."""
NUMBER_LIMITS = (0, 0x80, 0x8000, 0, 1 << 62)
"""By the bytes of a packet number: how far above the largest acknowledged it may be (RFC 9000 A.2). Those of three
bytes, which 32,768 unacknowledged packets take, have no shortcut.
"""
OFFSET_LIMITS = {1: 0x40, 2: 0x4000, 4: 0x4000_0000, 8: 1 << 62}
OFFSET_BITS = {1: 0, 2: 0x4000, 4: 0x8000_0000, 8: 0xC000_0000_0000_0000}
"""By the bytes of a varint."""
