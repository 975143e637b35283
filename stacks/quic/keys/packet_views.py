"""Slices of a buffer that is used again and again for equal packets: made once, each costs as much as a small copy.

    |<--- step --->|
    | header | number | payload | tag |  and so on, `count` times, packet 0 at the start of the buffer
"""

from __future__ import annotations

from stacks.quic.keys.header_protection import SAMPLE_BYTES

TAG_BYTES = 16
SAMPLE_OFFSET = 4


class PacketViews:
    """step: bytes of a packet. number_offset: in it. count: of packets. samples: of header protection, one a packet."""

    __slots__ = ("_parts", "buffer", "count", "number_offset", "samples", "step")

    def __init__(self, buffer: memoryview, step: int, number_offset: int, count: int) -> None:
        self.buffer = buffer
        self.step = step
        self.number_offset = number_offset
        self.count = count
        starts = range(number_offset + SAMPLE_OFFSET, number_offset + SAMPLE_OFFSET + count * step, step)
        self.samples = [buffer[start : start + SAMPLE_BYTES] for start in starts]
        self._parts: dict[int, tuple[list[memoryview], list[memoryview], list[memoryview]]] = {}

    def parts(self, number_bytes: int) -> tuple[list[memoryview], list[memoryview], list[memoryview]]:
        """Headers with the number, payloads, payloads with the tag, where packet numbers have `number_bytes`."""
        parts = self._parts.get(number_bytes)
        if parts is None:
            buffer, step, header_bytes = self.buffer, self.step, self.number_offset + number_bytes
            starts = range(0, self.count * step, step)
            parts = self._parts[number_bytes] = (
                [buffer[start : start + header_bytes] for start in starts],
                [buffer[start + header_bytes : start + step - TAG_BYTES] for start in starts],
                [buffer[start + header_bytes : start + step] for start in starts],
            )
        return parts
