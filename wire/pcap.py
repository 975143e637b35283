"""Classic capture files, as tcpdump writes them (draft-ietf-opsawg-pcap); reading only, `pcapng` is what we write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from wire.errors import WireError
from wire.pcapng import CapturedPacket

Order = Literal["little", "big"]


def is_pcap(buffer: bytes) -> bool:
    """Whether a file begins as a classic capture."""
    return buffer[:4] in _MAGICS


def decode_pcap(buffer: bytes) -> Iterator[CapturedPacket]:
    """The packets of a whole file in memory; WireError where it stops being one."""
    if not is_pcap(buffer) or len(buffer) < FILE_HEADER_BYTES:
        raise WireError("is no classic capture", format="pcap")
    order, fraction_ns = _MAGICS[buffer[:4]]
    link_type = int.from_bytes(buffer[20:24], order) & 0xFFFF
    offset = FILE_HEADER_BYTES
    while offset < len(buffer):
        head = buffer[offset : offset + RECORD_HEADER_BYTES]
        if len(head) < RECORD_HEADER_BYTES:
            raise WireError("ends within a record's header", format="pcap", offset=offset)
        seconds, fraction, length, original = (int.from_bytes(head[at : at + 4], order) for at in (0, 4, 8, 12))
        offset += RECORD_HEADER_BYTES
        if offset + length > len(buffer):
            raise WireError("ends within a packet", format="pcap", offset=offset)
        time_ns = seconds * 1_000_000_000 + fraction * fraction_ns
        data = buffer[offset : offset + length]
        yield CapturedPacket(time_ns, data, original_length=original, link_type=link_type, interface=0)
        offset += length


FILE_HEADER_BYTES = 24
RECORD_HEADER_BYTES = 16
_MAGICS: dict[bytes, tuple[Order, int]] = {
    b"\xd4\xc3\xb2\xa1": ("little", 1000),
    b"\xa1\xb2\xc3\xd4": ("big", 1000),
    b"\x4d\x3c\xb2\xa1": ("little", 1),
    b"\xa1\xb2\x3c\x4d": ("big", 1),
}
"""Byte order, and nanoseconds in a unit of the second half of a timestamp."""
