"""Packet headers: long and short, Retry, Version Negotiation, and packet numbers (RFC 9000 17, RFC 9369 3, RFC 8999).

Kinds are the same integers in every version; version 2 numbers the long ones differently on the wire. Decoders tell
what is there, and judge nothing: neither the fixed bit nor reserved bits, which are protected still.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.errors import WireError
from wire.quic.varint import Buffer, encode_varint, read_varint

KIND_INITIAL, KIND_ZERO_RTT, KIND_HANDSHAKE, KIND_RETRY, KIND_VERSION_NEGOTIATION, KIND_ONE_RTT, KIND_UNKNOWN = range(7)
VERSION_NEGOTIATION, VERSION_1, VERSION_2 = 0, 0x00000001, 0x6B3343CF
LONG_BIT, FIXED_BIT = 0x80, 0x40
SHORT_FIRST = FIXED_BIT
RETRY_TAG_BYTES = 16
MAX_CID_BYTES, MAX_INVARIANT_CID_BYTES = 20, 255
MAX_NUMBER_BYTES, LENGTH_BYTES = 4, 2
NUMBERS = 1 << 62


class Header:
    """The unprotected part of a packet's header.

    kind: KIND_UNKNOWN for a version that is not known here: connection IDs and `start` are right then (RFC 8999).
    start, end: of the packet in the buffer; `end` is that of the datagram where the header does not say. number_offset:
    where the protected packet number starts, or the payload of a Retry or Version Negotiation packet.
    first: the first byte, protected still.
    """

    __slots__ = (
        "destination_cid", "end", "first", "kind", "number_offset", "source_cid", "start", "token", "version",
    )  # fmt: skip

    def __init__(
        self,
        kind: int,
        first: int,
        version: int,
        destination_cid: bytes,
        source_cid: bytes,
        token: bytes,
        start: int,
        number_offset: int,
        end: int,
    ) -> None:
        self.kind = kind
        self.first = first
        self.version = version
        self.destination_cid = destination_cid
        self.source_cid = source_cid
        self.token = token
        self.start = start
        self.number_offset = number_offset
        self.end = end

    @property
    def is_long(self) -> bool:
        """Whether it is a long header."""
        return bool(self.first & LONG_BIT)

    @property
    def has_fixed_bit(self) -> bool:
        """Whether the fixed bit is set, as it must be but for RFC 9287."""
        return bool(self.first & FIXED_BIT)


def decode_header(buffer: Buffer, start: int, end: int, short_cid_bytes: int) -> Header:
    """The header of the packet at `start` of a datagram that ends at `end`.

    short_cid_bytes: of connection IDs in short headers, which do not say. WireError where the packet is cut off.
    """
    if start >= end:
        raise _short(start)
    first = buffer[start]
    if not first & LONG_BIT:
        number_offset = start + 1 + short_cid_bytes
        if number_offset > end:
            raise _short(start)
        cid = bytes(buffer[start + 1 : number_offset])
        return Header(KIND_ONE_RTT, first, 0, cid, b"", b"", start, number_offset, end)
    return _decode_long(buffer, start, end, first)


def _decode_long(buffer: Buffer, start: int, end: int, first: int) -> Header:
    if start + 7 > end:
        raise _short(start)
    version = int.from_bytes(buffer[start + 1 : start + 5], "big")
    destination_cid, offset = _read_cid(buffer, start + 5, end)
    source_cid, offset = _read_cid(buffer, offset, end)
    kinds = KINDS.get(version)
    if version == VERSION_NEGOTIATION:
        kind = KIND_VERSION_NEGOTIATION
    elif kinds is None:
        kind = KIND_UNKNOWN
    else:
        kind = kinds[first >> 4 & 3]
        if len(destination_cid) > MAX_CID_BYTES or len(source_cid) > MAX_CID_BYTES:
            raise WireError("a connection ID of more than 20 bytes", format="QuicHeader", offset=start)
    if kind not in KINDS_WITH_LENGTH:
        return Header(kind, first, version, destination_cid, source_cid, b"", start, offset, end)
    token = b""
    if kind == KIND_INITIAL:
        token_bytes, offset = read_varint(buffer, offset)
        if offset + token_bytes > end:
            raise _short(start)
        token = bytes(buffer[offset : offset + token_bytes])
        offset += token_bytes
    length, offset = read_varint(buffer, offset)
    if offset + length > end:
        raise _short(start)
    return Header(kind, first, version, destination_cid, source_cid, token, start, offset, offset + length)


def encode_long_header(
    buffer: bytearray | memoryview,
    offset: int,
    kind: int,
    version: int,
    destination_cid: bytes,
    source_cid: bytes,
    token: bytes,
    number_bytes: int,
) -> tuple[int, int]:
    """Write a long header without the number; where its Length is (`write_length` fills it), where the number goes.

    kind: KIND_INITIAL, KIND_ZERO_RTT or KIND_HANDSHAKE. number_bytes: of the packet number, 1 to 4. token: of an
    Initial packet. WireError for a version that is not known here, for a connection ID of more than 20 bytes, and where
    there is no room.
    """
    if not 1 <= number_bytes <= MAX_NUMBER_BYTES:
        raise WireError(f"a packet number of {number_bytes} bytes", format="QuicHeader", field="number", offset=offset)
    head = _long_head(kind, version, destination_cid, source_cid, number_bytes - 1)
    if kind == KIND_INITIAL:
        head += encode_varint(len(token)) + token
    length_offset = offset + len(head)
    number_offset = length_offset + LENGTH_BYTES
    if number_offset > len(buffer):
        raise WireError("no room", format="QuicHeader", offset=offset)
    buffer[offset:length_offset] = head
    return length_offset, number_offset


def write_length(buffer: bytearray | memoryview, length_offset: int, length: int) -> None:
    """Fill in Length: of the packet number, payload and tag together. WireError where it is not below 16,384."""
    if not 0 <= length < 0x4000:
        raise WireError(f"{length} bytes do not fit", format="QuicHeader", field="length", offset=length_offset)
    buffer[length_offset : length_offset + 2] = (0x4000 | length).to_bytes(2, "big")


class VersionNegotiation:
    """A Version Negotiation packet (RFC 9000 17.2.1)."""

    __slots__ = ("destination_cid", "source_cid", "versions")

    def __init__(self, destination_cid: bytes, source_cid: bytes, versions: tuple[int, ...]) -> None:
        self.destination_cid = destination_cid
        self.source_cid = source_cid
        self.versions = versions


def encode_version_negotiation(
    destination_cid: bytes, source_cid: bytes, versions: Sequence[int], first_bits: int = 0
) -> bytes:
    """first_bits: the seven bits of the first byte that mean nothing; 0x40 is set, as 17.2.1 advises.

    WireError where a connection ID has more than 255 bytes, which is what other versions may have (RFC 8999).
    """
    first = LONG_BIT | FIXED_BIT | first_bits & 0x7F
    return b"".join((
        first.to_bytes(1, "big"), bytes(4), _cid(destination_cid, MAX_INVARIANT_CID_BYTES),
        _cid(source_cid, MAX_INVARIANT_CID_BYTES), *(_version(version) for version in versions),
    ))  # fmt: skip


def decode_version_negotiation(packet: Buffer) -> VersionNegotiation:
    """WireError where the packet is none, or its list is cut off."""
    header = decode_header(packet, 0, len(packet), 0)
    body = bytes(packet[header.number_offset :])
    if header.kind != KIND_VERSION_NEGOTIATION or len(body) % 4:
        raise _short(0)
    versions = tuple(int.from_bytes(body[at : at + 4], "big") for at in range(0, len(body), 4))
    return VersionNegotiation(header.destination_cid, header.source_cid, versions)


class Retry:
    """A Retry packet (RFC 9000 17.2.5)."""

    __slots__ = ("destination_cid", "source_cid", "tag", "token", "version")

    def __init__(self, version: int, destination_cid: bytes, source_cid: bytes, token: bytes, tag: bytes) -> None:
        self.version = version
        self.destination_cid = destination_cid
        self.source_cid = source_cid
        self.token = token
        self.tag = tag


def encode_retry(version: int, destination_cid: bytes, source_cid: bytes, token: bytes, first_bits: int = 0) -> bytes:
    """A Retry without its integrity tag. first_bits: the four bits of the first byte that mean nothing.

    WireError for a version that is not known here, and for a connection ID of more than 20 bytes.
    """
    return _long_head(KIND_RETRY, version, destination_cid, source_cid, first_bits & 0xF) + token


def decode_retry(packet: Buffer) -> Retry:
    """WireError where the packet is none, or has no room for the tag."""
    header = decode_header(packet, 0, len(packet), 0)
    body = bytes(packet[header.number_offset :])
    if header.kind != KIND_RETRY or len(body) < RETRY_TAG_BYTES:
        raise _short(0)
    token, tag = body[:-RETRY_TAG_BYTES], body[-RETRY_TAG_BYTES:]
    return Retry(header.version, header.destination_cid, header.source_cid, token, tag)


def number_bytes(number: int, largest_acked: int) -> int:
    """In how many bytes a packet number has to be sent, 1 to 4. largest_acked: -1 for none (RFC 9000 A.2).

    Four bytes are all there are: with more than 2^31 packets in flight the peer might read another number.
    """
    unacked = number - largest_acked
    if unacked <= 0x80:
        return 1
    if unacked <= 0x8000:
        return 2
    return 3 if unacked <= 0x80_0000 else 4


def decode_number(truncated: int, length: int, expected: int) -> int:
    """The number that `length` bytes stand for. expected: one above the largest received (RFC 9000 A.3)."""
    window = 1 << 8 * length
    candidate = (expected & -window) | truncated
    half = window >> 1
    if candidate <= expected - half and candidate < NUMBERS - window:
        return candidate + window
    if candidate > expected + half and candidate >= window:
        return candidate - window
    return candidate


def _read_cid(buffer: Buffer, offset: int, end: int) -> tuple[bytes, int]:
    if offset >= end:
        raise _short(offset)
    stop = offset + 1 + buffer[offset]
    if stop > end:
        raise _short(offset)
    return bytes(buffer[offset + 1 : stop]), stop


def _long_head(kind: int, version: int, destination_cid: bytes, source_cid: bytes, low_bits: int) -> bytes:
    wire_type = WIRE_TYPES.get(version, {}).get(kind)
    if wire_type is None:
        raise WireError(f"no packet of kind {kind} in version {version:#x}", format="QuicHeader", field="version")
    first = LONG_BIT | FIXED_BIT | wire_type << 4 | low_bits
    head = first.to_bytes(1, "big") + version.to_bytes(4, "big")
    return head + _cid(destination_cid, MAX_CID_BYTES) + _cid(source_cid, MAX_CID_BYTES)


def _cid(cid: bytes, most: int) -> bytes:
    if len(cid) > most:
        raise WireError(f"{len(cid)} bytes, {most} at most", format="QuicHeader", field="connection_id")
    return len(cid).to_bytes(1, "big") + cid


def _version(version: int) -> bytes:
    if not 0 <= version < 1 << 32:
        raise WireError(f"{version} is no version", format="QuicHeader", field="versions")
    return version.to_bytes(4, "big")


def _short(offset: int) -> WireError:
    return WireError("cut off", format="QuicHeader", offset=offset)


KINDS = {
    VERSION_1: (KIND_INITIAL, KIND_ZERO_RTT, KIND_HANDSHAKE, KIND_RETRY),
    VERSION_2: (KIND_RETRY, KIND_INITIAL, KIND_ZERO_RTT, KIND_HANDSHAKE),
}
WIRE_TYPES = {version: {kind: number for number, kind in enumerate(kinds)} for version, kinds in KINDS.items()}
KINDS_WITH_LENGTH = frozenset((KIND_INITIAL, KIND_ZERO_RTT, KIND_HANDSHAKE))
