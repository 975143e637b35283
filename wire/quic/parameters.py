"""Transport parameters (RFC 9000 18, 9221 3, 9287 3, 9368 3, and of drafts: draft-ietf-quic-ack-frequency-13 3,
draft-ietf-quic-reliable-stream-reset-10 3, draft-ietf-quic-multipath-21 2.1).

What a value means, and who may send it, is judged elsewhere.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from wire.errors import WireError
from wire.quic.varint import Buffer, encode_varint, read_varint


@dataclass(slots=True)
class VersionInformation:
    """version_information (RFC 9368 3)."""

    chosen: int
    available: tuple[int, ...]


@dataclass(slots=True)
class PreferredAddress:
    """preferred_address: hosts in numeric text form, with port; None where it is all zeros."""

    ipv4: tuple[str, int] | None
    ipv6: tuple[str, int] | None
    connection_id: bytes
    stateless_reset_token: bytes


@dataclass(slots=True, kw_only=True)
class TransportParameters:
    """What an end announces; what it left out has its default here, or None where there is none.

    unknown: parameters that mean nothing here, by identifier.
    """

    original_destination_connection_id: bytes | None = None
    max_idle_timeout_ms: int = 0
    stateless_reset_token: bytes | None = None
    max_udp_payload_size: int = 65_527
    initial_max_data: int = 0
    initial_max_stream_data_bidi_local: int = 0
    initial_max_stream_data_bidi_remote: int = 0
    initial_max_stream_data_uni: int = 0
    initial_max_streams_bidi: int = 0
    initial_max_streams_uni: int = 0
    ack_delay_exponent: int = 3
    max_ack_delay_ms: int = 25
    disable_active_migration: bool = False
    preferred_address: PreferredAddress | None = None
    active_connection_id_limit: int = 2
    initial_source_connection_id: bytes | None = None
    retry_source_connection_id: bytes | None = None
    max_datagram_frame_size: int = 0
    grease_quic_bit: bool = False
    version_information: VersionInformation | None = None
    min_ack_delay_us: int | None = None
    reset_stream_at: bool = False
    initial_max_path_id: int | None = None
    unknown: dict[int, bytes] = dataclasses.field(default_factory=dict)

    def encode(self) -> bytes:
        """All that differ from their defaults, in the order of their identifiers; WireError where one does not fit."""
        parts: dict[int, bytes] = dict(self.unknown)
        for identifier, (name, kind) in PARAMETERS.items():
            value = getattr(self, name)
            if value != DEFAULTS[name]:
                parts[identifier] = ENCODERS[kind](value, name)
        return b"".join(
            encode_varint(identifier) + encode_varint(len(parts[identifier])) + parts[identifier]
            for identifier in sorted(parts)
        )

    @classmethod
    def decode(cls, buffer: Buffer) -> TransportParameters:
        """WireError where one is there twice, is cut off, or has a length that it cannot have."""
        data = bytes(buffer)
        values: dict[str, object] = {}
        unknown: dict[int, bytes] = {}
        seen: set[int] = set()
        offset = 0
        while offset < len(data):
            identifier, offset = read_varint(data, offset)
            length, offset = read_varint(data, offset)
            end = offset + length
            if end > len(data):
                raise _wrong("cut off", f"{identifier:#x}", offset)
            if identifier in seen:
                raise _wrong("there twice", f"{identifier:#x}", offset)
            seen.add(identifier)
            value, offset = data[offset:end], end
            if identifier in PARAMETERS:
                name, kind = PARAMETERS[identifier]
                values[name] = DECODERS[kind](value, name)
            else:
                unknown[identifier] = value
        return cls(unknown=unknown, **values)  # type: ignore[arg-type]


def _read_integer(value: bytes, name: str) -> int:
    number, end = read_varint(value, 0) if value else (0, -1)
    if end != len(value):
        raise _wrong("no single integer", name, 0)
    return number


def _token(value: bytes, name: str) -> bytes:
    if len(value) != RESET_TOKEN_BYTES:
        raise _wrong(f"{len(value)} bytes, not 16", name, 0)
    return value


def _cid(value: bytes, name: str) -> bytes:
    if len(value) > MAX_CID_BYTES:
        raise _wrong(f"{len(value)} bytes, 20 at most", name, 0)
    return value


def _read_flag(value: bytes, name: str) -> bool:
    if value:
        raise _wrong("not empty", name, 0)
    return True


def _read_versions(value: bytes, name: str) -> VersionInformation:
    if not value or len(value) % 4:
        raise _wrong(f"{len(value)} bytes are no list of versions", name, 0)
    versions = tuple(int.from_bytes(value[at : at + 4], "big") for at in range(0, len(value), 4))
    if 0 in versions:
        raise _wrong("version 0", name, 0)
    return VersionInformation(versions[0], versions[1:])


def _write_integer(value: int, _: str) -> bytes:
    return encode_varint(value)


def _write_versions(value: VersionInformation, name: str) -> bytes:
    return b"".join(_fixed(version, 4, name) for version in (value.chosen, *value.available))


def _read_preferred(value: bytes, name: str) -> PreferredAddress:
    if len(value) < PREFERRED_FIXED_BYTES or len(value) != PREFERRED_FIXED_BYTES + value[24]:
        raise _wrong(f"{len(value)} bytes are not what it says", name, 0)
    v4, v4_port = value[:4], int.from_bytes(value[4:6], "big")
    v6, v6_port = value[6:22], int.from_bytes(value[22:24], "big")
    return PreferredAddress(
        (str(ipaddress.IPv4Address(v4)), v4_port) if any(value[:6]) else None,
        (_ipv6_text(v6), v6_port) if any(value[6:24]) else None,
        value[25:-RESET_TOKEN_BYTES],
        value[-RESET_TOKEN_BYTES:],
    )


def _write_preferred(value: PreferredAddress, name: str) -> bytes:
    cid = _cid(value.connection_id, name)
    return b"".join((
        _endpoint(value.ipv4, ipaddress.IPv4Address, 4, name), _endpoint(value.ipv6, ipaddress.IPv6Address, 16, name),
        len(cid).to_bytes(1, "big"), cid, _token(value.stateless_reset_token, name),
    ))  # fmt: skip


def _endpoint(
    endpoint: tuple[str, int] | None,
    kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address],
    address_bytes: int,
    name: str,
) -> bytes:
    if endpoint is None:
        return bytes(address_bytes + 2)
    try:
        return kind(endpoint[0]).packed + _fixed(endpoint[1], 2, name)
    except ValueError:
        raise _wrong(f"{endpoint[0]!r} is no address of {address_bytes} bytes", name, 0) from None


def _fixed(value: int, length: int, name: str) -> bytes:
    try:
        return value.to_bytes(length, "big")
    except OverflowError:
        raise _wrong(f"{value} does not fit in {length} bytes", name, 0) from None


def _ipv6_text(value: bytes) -> str:
    address = ipaddress.IPv6Address(value)
    # Python writes these one way up to 3.12, and another since.
    return str(address) if address.ipv4_mapped is None else f"::ffff:{address.ipv4_mapped}"


def _wrong(reason: str, name: str, offset: int) -> WireError:
    return WireError(reason, format="QuicTransportParameters", field=name, offset=offset)


RESET_TOKEN_BYTES = 16
MAX_CID_BYTES = 20
PREFERRED_FIXED_BYTES = 4 + 2 + 16 + 2 + 1 + RESET_TOKEN_BYTES
INTEGER, TOKEN, CID, FLAG, VERSIONS, PREFERRED = "integer", "token", "cid", "flag", "versions", "preferred"
PARAMETERS: dict[int, tuple[str, str]] = {
    0x00: ("original_destination_connection_id", CID),
    0x01: ("max_idle_timeout_ms", INTEGER),
    0x02: ("stateless_reset_token", TOKEN),
    0x03: ("max_udp_payload_size", INTEGER),
    0x04: ("initial_max_data", INTEGER),
    0x05: ("initial_max_stream_data_bidi_local", INTEGER),
    0x06: ("initial_max_stream_data_bidi_remote", INTEGER),
    0x07: ("initial_max_stream_data_uni", INTEGER),
    0x08: ("initial_max_streams_bidi", INTEGER),
    0x09: ("initial_max_streams_uni", INTEGER),
    0x0A: ("ack_delay_exponent", INTEGER),
    0x0B: ("max_ack_delay_ms", INTEGER),
    0x0C: ("disable_active_migration", FLAG),
    0x0D: ("preferred_address", PREFERRED),
    0x0E: ("active_connection_id_limit", INTEGER),
    0x0F: ("initial_source_connection_id", CID),
    0x10: ("retry_source_connection_id", CID),
    0x11: ("version_information", VERSIONS),
    0x1D: ("reset_stream_at", FLAG),
    0x20: ("max_datagram_frame_size", INTEGER),
    0x3E: ("initial_max_path_id", INTEGER),
    0x2AB2: ("grease_quic_bit", FLAG),
    0xFF04DE1B: ("min_ack_delay_us", INTEGER),
}
DEFAULTS = {name: getattr(TransportParameters(), name) for name, _ in PARAMETERS.values()}
DECODERS: dict[str, Callable[[bytes, str], object]] = {
    INTEGER: _read_integer,
    TOKEN: _token,
    CID: _cid,
    FLAG: _read_flag,
    VERSIONS: _read_versions,
    PREFERRED: _read_preferred,
}
ENCODERS: dict[str, Callable[..., bytes]] = {
    INTEGER: _write_integer,
    TOKEN: _token,
    CID: _cid,
    FLAG: lambda _, __: b"",
    VERSIONS: _write_versions,
    PREFERRED: _write_preferred,
}
