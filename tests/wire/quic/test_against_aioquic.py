"""The same bytes read and written by aioquic: someone else's reading of the same documents."""

from __future__ import annotations

from aioquic.buffer import Buffer
from aioquic.quic import packet as theirs
from aioquic.quic.rangeset import RangeSet
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.quic.bodies import varints
from wire.quic import packet as p
from wire.quic.ack_frames import decode_ack, encode_ack
from wire.quic.frame_types import FRAME_ACK
from wire.quic.parameters import PreferredAddress, TransportParameters, VersionInformation
from wire.quic.varint import encode_varint, read_varint

cids = st.binary(max_size=20)
some_cids = st.binary(min_size=1, max_size=20)
small = st.integers(0, 1 << 20)


@given(value=varints)
def test_integers(value: int) -> None:
    buffer = Buffer(capacity=8)
    buffer.push_uint_var(value)
    assert buffer.data == encode_varint(value)
    assert read_varint(buffer.data, 0) == (value, len(buffer.data))


@given(steps=st.lists(st.tuples(st.integers(2, 9000), small), min_size=1, max_size=30), delay=varints)
def test_acknowledgements(steps: list[tuple[int, int]], delay: int) -> None:
    ranges, last = [], -2
    for gap, length in steps:
        ranges.append((last + gap, last + gap + length))
        last = ranges[-1][1]
    ranges.reverse()
    buffer = Buffer(capacity=4000)
    received = RangeSet([range(first, last + 1) for first, last in ranges])
    theirs.push_ack_frame(buffer, received, delay, capacity=4000)
    assert encode_ack(ranges, delay) == bytes((FRAME_ACK,)) + buffer.data
    assert decode_ack(FRAME_ACK, memoryview(buffer.data), 0) == (ranges, delay, None, len(buffer.data))
    found, found_delay = theirs.pull_ack_frame(Buffer(data=encode_ack(ranges, delay)[1:]))
    assert [(each.start, each.stop - 1) for each in reversed(list(found))] == ranges
    assert found_delay == delay


@given(
    length=st.integers(1, 4), bits=st.integers(0, (1 << 32) - 1), expected=st.integers(0, (1 << 62) - 1)
)  # fmt: skip
def test_packet_numbers(length: int, bits: int, expected: int) -> None:
    truncated = bits % (1 << 8 * length)
    assert p.decode_number(truncated, length, expected) == theirs.decode_packet_number(truncated, 8 * length, expected)


KINDS = {
    p.KIND_INITIAL: theirs.QuicPacketType.INITIAL, p.KIND_ZERO_RTT: theirs.QuicPacketType.ZERO_RTT,
    p.KIND_HANDSHAKE: theirs.QuicPacketType.HANDSHAKE,
}  # fmt: skip


@given(
    kind=st.sampled_from(list(KINDS)), version=st.sampled_from([p.VERSION_1, p.VERSION_2]), destination=cids,
    source=cids, token=st.binary(max_size=90), rest=st.binary(max_size=60),
)  # fmt: skip
def test_long_headers(kind: int, version: int, destination: bytes, source: bytes, token: bytes, rest: bytes) -> None:
    buffer = bytearray(400)
    length_offset, at = p.encode_long_header(buffer, 0, kind, version, destination, source, token, 2)
    p.write_length(buffer, length_offset, len(rest))
    packet = bytes(buffer[:at]) + rest
    header = theirs.pull_quic_header(Buffer(data=packet), host_cid_length=8)
    assert (header.packet_type, header.version) == (KINDS[kind], version)
    assert (header.destination_cid, header.source_cid) == (destination, source)
    assert header.token == (token if kind == p.KIND_INITIAL else b"")
    assert header.packet_length == len(packet)


@given(destination=cids, source=cids, versions=st.lists(st.integers(1, 1 << 31), min_size=1, max_size=5))
def test_version_negotiation(destination: bytes, source: bytes, versions: list[int]) -> None:
    packet = theirs.encode_quic_version_negotiation(
        source_cid=source, destination_cid=destination, supported_versions=versions
    )
    # Its first byte is random, and so not the same twice.
    assert packet[1:] == p.encode_version_negotiation(destination, source, versions)[1:]
    assert p.decode_version_negotiation(packet).versions == tuple(versions)


@given(
    version=st.sampled_from([p.VERSION_1, p.VERSION_2]), original=cids, destination=cids, source=cids,
    token=st.binary(min_size=1, max_size=60),
)  # fmt: skip
def test_retry(version: int, original: bytes, destination: bytes, source: bytes, token: bytes) -> None:
    packet = theirs.encode_quic_retry(
        version=version, source_cid=source, destination_cid=destination, original_destination_cid=original,
        retry_token=token,
    )  # fmt: skip
    found = p.decode_retry(packet)
    assert (found.destination_cid, found.source_cid, found.token) == (destination, source, token)
    assert p.encode_retry(version, destination, source, token, packet[0] & 0xF) + found.tag == packet


ours_and_theirs = {
    "max_idle_timeout_ms": "max_idle_timeout", "max_udp_payload_size": "max_udp_payload_size",
    "initial_max_data": "initial_max_data", "initial_max_streams_bidi": "initial_max_streams_bidi",
    "initial_max_stream_data_bidi_local": "initial_max_stream_data_bidi_local",
    "initial_max_stream_data_bidi_remote": "initial_max_stream_data_bidi_remote",
    "initial_max_stream_data_uni": "initial_max_stream_data_uni", "initial_max_streams_uni": "initial_max_streams_uni",
    "ack_delay_exponent": "ack_delay_exponent", "max_ack_delay_ms": "max_ack_delay",
    "active_connection_id_limit": "active_connection_id_limit", "max_datagram_frame_size": "max_datagram_frame_size",
}  # fmt: skip


@given(values=st.lists(varints, min_size=12, max_size=12), cid=some_cids, token=st.binary(min_size=16, max_size=16))
def test_transport_parameters(values: list[int], cid: bytes, token: bytes) -> None:
    integers = dict(zip(ours_and_theirs, values, strict=True))
    ours = TransportParameters(
        original_destination_connection_id=cid, initial_source_connection_id=cid, retry_source_connection_id=cid,
        stateless_reset_token=token, disable_active_migration=True,
        preferred_address=PreferredAddress(("192.0.2.7", 443), ("2001:db8::7", 444), cid, token),
        version_information=VersionInformation(1, (p.VERSION_2, 1)), **integers,
    )  # fmt: skip
    other = theirs.QuicTransportParameters(
        original_destination_connection_id=cid, initial_source_connection_id=cid, retry_source_connection_id=cid,
        stateless_reset_token=token, disable_active_migration=True,
        preferred_address=theirs.QuicPreferredAddress(("192.0.2.7", 443), ("2001:db8::7", 444), cid, token),
        version_information=theirs.QuicVersionInformation(1, [p.VERSION_2, 1]),
        **{ours_and_theirs[name]: value for name, value in integers.items()},  # type: ignore[arg-type]
    )  # fmt: skip
    buffer = Buffer(capacity=2000)
    theirs.push_quic_transport_parameters(buffer, other)
    assert TransportParameters.decode(buffer.data) == ours
    found = theirs.pull_quic_transport_parameters(Buffer(data=ours.encode()))
    for name, value in integers.items():
        theirs_value = getattr(found, ours_and_theirs[name])
        assert value == (getattr(TransportParameters(), name) if theirs_value is None else theirs_value)
    assert found.preferred_address == other.preferred_address
    assert found.version_information == other.version_information
    assert (found.stateless_reset_token, found.disable_active_migration) == (token, True)
