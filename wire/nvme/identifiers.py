"""The namespace identification descriptors of Identify CNS 03h: a list of variable items in 4096 bytes.

Each item is a `NamespaceDescriptorHeader` (type, length) and that many bytes of identifier; type zero ends the list.

Follows NVM Express Base 2.0 5.17.2.3.
"""

from __future__ import annotations

from collections.abc import Iterable

from wire.errors import WireError
from wire.nvme.identify_codec import NamespaceDescriptorHeader

IDENTIFY_BYTES = 4096
"""Size of every Identify data structure."""


def encode_identifiers(identifiers: Iterable[tuple[int, bytes]]) -> bytes:
    """Identify data of CNS 03h from (type, identifier) pairs; WireError when they take more than 4096 bytes."""
    data = b"".join(
        NamespaceDescriptorHeader(nidt=kind, nidl=len(identifier)).encode() + identifier
        for kind, identifier in identifiers
    )
    if len(data) > IDENTIFY_BYTES:
        raise WireError("more than 4096 bytes", format="NamespaceDescriptors")
    return data.ljust(IDENTIFY_BYTES, b"\0")


def decode_identifiers(data: bytes | bytearray | memoryview) -> list[tuple[int, bytes]]:
    """(type, identifier) pairs of Identify data of CNS 03h; WireError when an item runs past the end."""
    identifiers = []
    offset = 0
    while offset + NamespaceDescriptorHeader.SIZE <= len(data):
        header = NamespaceDescriptorHeader.decode(data, offset)
        if not header.nidt:
            break
        start, offset = offset + header.SIZE, offset + header.SIZE + header.nidl
        if offset > len(data):
            raise WireError("runs past the end", format="NamespaceDescriptors", field="nidl", offset=start)
        identifiers.append((header.nidt, bytes(data[start:offset])))
    return identifiers
