"""Packet headers against their definitions: each kind in both versions, other versions, random bytes, truncations."""

from __future__ import annotations

from typing import Any

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.quic.headers import TYPES, defined_header, header_fields
from wire.errors import WireError
from wire.quic import packet as p
from wire.quic.definition import HANDSHAKE, INITIAL, RETRY, VERSION_NEGOTIATION

versions = st.sampled_from(list(TYPES))
cids = st.binary(max_size=20)
long_kinds = st.sampled_from((p.KIND_INITIAL, p.KIND_ZERO_RTT, p.KIND_HANDSHAKE))
tails = st.binary(max_size=40)


def long_packet(kind: int, version: int, destination: bytes, source: bytes, token: bytes, rest: bytes) -> bytes:
    """A packet written by the codec; rest: number, payload and tag."""
    buffer = bytearray(len(token) + 100)
    length_offset, at = p.encode_long_header(buffer, 3, kind, version, destination, source, token, 2)
    p.write_length(buffer, length_offset, len(rest))
    return bytes(buffer[3:at]) + rest


@given(kind=long_kinds, version=versions, destination=cids, source=cids, token=st.binary(max_size=90), rest=tails)
def test_long_headers_equal_the_definition_but_for_the_form_of_length(
    kind: int, version: int, destination: bytes, source: bytes, token: bytes, rest: bytes
) -> None:
    packet = long_packet(kind, version, destination, source, token, rest)
    definition = INITIAL if kind == p.KIND_INITIAL else HANDSHAKE
    values: dict[str, Any] = {
        "first": {"is_long": True, "fixed": True, "type": TYPES[version][kind], "low": 1}, "version": version,
        "destination_cid": destination, "source_cid": source, "token": token, "protected": rest,
    }  # fmt: skip
    # Length is two bytes always, since it is filled in when the packet is complete.
    built = definition.build(values)
    short = len(built) - len(rest) - 1
    assert packet == built[:short] + bytes((0x40, len(rest))) + rest
    parsed = definition.parse(packet)
    assert (parsed.destination_cid, parsed.source_cid, parsed.protected) == (destination, source, rest)
    assert parsed.first.type == TYPES[version][kind]


@given(
    kind=long_kinds, version=versions, destination=cids, source=cids, token=st.binary(max_size=90), rest=tails,
    before=st.binary(max_size=5), after=st.binary(max_size=5),
)  # fmt: skip
def test_decoding_a_coalesced_packet_undoes_encoding(
    kind: int, version: int, destination: bytes, source: bytes, token: bytes, rest: bytes, before: bytes, after: bytes
) -> None:
    packet = long_packet(kind, version, destination, source, token, rest)
    whole, end = before + packet + after, len(before) + len(packet)
    token = token if kind == p.KIND_INITIAL else b""
    expected = (kind, packet[0], version, destination, source, token, len(before), end - len(rest), end)
    for buffer in (whole, bytearray(whole), memoryview(whole)):
        header = p.decode_header(buffer, len(before), len(whole), 8)
        assert header_fields(header) == expected
        assert header.is_long
        assert header.has_fixed_bit


@given(first=st.integers(0, 0x7F), rest=st.binary(max_size=40), cid_bytes=st.integers(0, 20))
def test_short_headers_equal_the_definition(first: int, rest: bytes, cid_bytes: int) -> None:
    packet = bytes((first,)) + rest
    try:
        expected = defined_header(packet, cid_bytes)
    except ConstructError:
        with pytest.raises(WireError):
            p.decode_header(packet, 0, len(packet), cid_bytes)
        return
    header = p.decode_header(memoryview(packet), 0, len(packet), cid_bytes)
    assert header_fields(header) == expected
    assert (header.has_fixed_bit, header.is_long) == (first >= 0x40, False)


@given(raw=st.binary(max_size=80), version=versions | st.integers(0, (1 << 32) - 1))
def test_random_long_headers_are_read_as_the_definition_does_or_are_a_wire_error(raw: bytes, version: int) -> None:
    packet = bytes((raw[0] | 0x80,)) + version.to_bytes(4, "big") + raw[1:] if raw else b""
    try:
        expected = defined_header(packet, 8)
    except ConstructError:
        with pytest.raises(WireError):
            p.decode_header(memoryview(packet), 0, len(packet), 8)
        return
    header = p.decode_header(memoryview(packet), 0, len(packet), 8)
    assert header_fields(header) == expected


@given(
    destination=st.binary(max_size=255), source=st.binary(max_size=255), bits=st.integers(0, 0x7F),
    listed=st.lists(st.integers(0, (1 << 32) - 1), max_size=9),
)  # fmt: skip
def test_version_negotiation_equals_the_definition(
    destination: bytes, source: bytes, bits: int, listed: list[int]
) -> None:
    packet = p.encode_version_negotiation(destination, source, listed, bits)
    values = {
        "first": {"is_long": True, "fixed": True, "unused": bits & 0x3F}, "destination_cid": destination,
        "source_cid": source, "versions": listed,
    }  # fmt: skip
    assert packet == VERSION_NEGOTIATION.build(values)
    found = p.decode_version_negotiation(packet)
    assert (found.destination_cid, found.source_cid, found.versions) == (destination, source, tuple(listed))
    for size in range(len(packet)):
        if size < 7 + len(destination) + len(source) or (len(packet) - size) % 4:
            with pytest.raises(WireError):
                p.decode_version_negotiation(packet[:size])


@given(version=versions, destination=cids, source=cids, token=st.binary(max_size=60), bits=st.integers(0, 15))
def test_retry_equals_the_definition(
    version: int, destination: bytes, source: bytes, token: bytes, bits: int
) -> None:
    tag = bytes(range(16))
    packet = p.encode_retry(version, destination, source, token, bits) + tag
    values = {
        "first": {"is_long": True, "fixed": True, "type": TYPES[version][p.KIND_RETRY], "low": bits},
        "version": version, "destination_cid": destination, "source_cid": source, "rest": token + tag,
    }  # fmt: skip
    assert packet == RETRY.build(values)
    found = p.decode_retry(packet)
    assert (found.version, found.destination_cid, found.source_cid) == (version, destination, source)
    assert (found.token, found.tag) == (token, tag)
    for size in range(len(packet) - len(token)):
        with pytest.raises(WireError):
            p.decode_retry(packet[:size])


@pytest.mark.parametrize("kind", [p.KIND_INITIAL, p.KIND_ZERO_RTT, p.KIND_HANDSHAKE])
@pytest.mark.parametrize("version", TYPES)
def test_every_truncation_is_a_wire_error(kind: int, version: int) -> None:
    packet = long_packet(kind, version, b"destination", b"source", b"t" * 70, bytes(40))
    for size in range(len(packet)):
        with pytest.raises(WireError):
            p.decode_header(packet, 0, size, 8)
        with pytest.raises(WireError):
            p.decode_header(memoryview(packet)[:size], 0, size, 8)


def test_a_connection_id_of_21_bytes_is_for_other_versions_alone() -> None:
    for destination, source in ((bytes(21), b""), (b"", bytes(255))):
        packet = b"\xc0\0\0\0\2" + bytes((len(destination),)) + destination + bytes((len(source),)) + source
        header = p.decode_header(packet, 0, len(packet), 8)
        assert (header.kind, header.destination_cid, header.source_cid) == (p.KIND_UNKNOWN, destination, source)
        for version in TYPES:
            with pytest.raises(WireError, match="20 bytes"):
                p.decode_header(packet[:1] + version.to_bytes(4, "big") + packet[5:] + bytes(40), 0, 300, 8)


def test_what_is_no_such_packet_is_a_wire_error() -> None:
    negotiation = p.encode_version_negotiation(b"a", b"b", [1])
    with pytest.raises(WireError):
        p.decode_retry(negotiation + bytes(16))
    with pytest.raises(WireError):
        p.decode_version_negotiation(p.encode_retry(p.VERSION_1, b"a", b"b", b"") + bytes(16))
    with pytest.raises(WireError):
        p.decode_retry(b"")


def test_what_does_not_fit_is_a_wire_error() -> None:
    long, version = p.KIND_HANDSHAKE, p.VERSION_1
    for arguments in (
        (long, 5, b"", b"", b"", 1), (long, 0, b"", b"", b"", 1), (p.KIND_ONE_RTT, version, b"", b"", b"", 1),
        (long, version, bytes(21), b"", b"", 1), (long, version, b"", bytes(21), b"", 1),
        (long, version, b"", b"", b"", 0), (long, version, b"", b"", b"", 5),
    ):  # fmt: skip
        with pytest.raises(WireError):
            p.encode_long_header(bytearray(100), 0, *arguments)
    for room in range(9):
        buffer = bytearray(room)
        with pytest.raises(WireError):
            p.encode_long_header(buffer, 0, long, version, b"", b"", b"", 1)
        assert len(buffer) == room
    for length in (-1, 0x4000):
        with pytest.raises(WireError):
            p.write_length(bytearray(2), 0, length)
    for destination, listed in ((bytes(256), [1]), (b"", [-1]), (b"", [1 << 32])):
        with pytest.raises(WireError):
            p.encode_version_negotiation(destination, b"", listed)
    for retry_version, destination in ((5, b""), (version, bytes(21))):
        with pytest.raises(WireError):
            p.encode_retry(retry_version, destination, b"", b"token")
