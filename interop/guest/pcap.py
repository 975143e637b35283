"""The capture files that qemu writes, in the older format of libpcap, made into pcapng.

Follows draft-ietf-opsawg-pcap; only what qemu writes: little-endian, microseconds, Ethernet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wire.errors import WireError
from wire.pcapng import enhanced_packet, interface_description, section_header


def pcap_to_pcapng(data: bytes, *, name: str) -> bytes:
    """The same frames as pcapng, of an interface called `name`; WireError when `data` is no such file."""
    head = [section_header("BareMetal"), interface_description(name)]
    return b"".join([*head, *(enhanced_packet(time_ns, [frame]) for time_ns, frame in frames(data))])


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Time in nanoseconds since 1970, and bytes, of each frame; a last one that is not all there is left out."""
    if len(data) < FILE_HEADER_BYTES or data[:4] != MAGIC:
        raise WireError("no pcap file of qemu's", format="pcap", field="magic", offset=0)
    offset = FILE_HEADER_BYTES
    while offset + RECORD.size <= len(data):
        seconds, microseconds, captured, _ = RECORD.unpack_from(data, offset)
        offset += RECORD.size
        if offset + captured > len(data):
            return
        yield (seconds * 1_000_000 + microseconds) * 1000, data[offset : offset + captured]
        offset += captured


MAGIC = bytes.fromhex("d4c3b2a1")
FILE_HEADER_BYTES = 24
RECORD = struct.Struct("<IIII")
"""Seconds, microseconds, captured length, original length."""
