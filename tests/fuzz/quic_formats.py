"""Any bytes as QUIC's formats: packet headers, frames, transport parameters.

The first byte says which: datagrams that are taken apart packet by packet, payloads frame by frame, parameters. What
the codecs read must be what the definitions read, and what they write reads the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from construct import ConstructError

from tests.wire.quic.bodies import defined, encoded, fields_of, is_forbidden, values_of
from tests.wire.quic.headers import defined_header, header_fields
from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic import frames as f
from wire.quic import packet as p
from wire.quic.ack_frames import encode_ack
from wire.quic.definition import PARAMETERS as PARAMETERS_DEFINITION
from wire.quic.parameters import PARAMETERS, PreferredAddress, TransportParameters, VersionInformation
from wire.quic.varint import encode_varint

SHORT_CID_BYTES = (0, 4, 8, 20)


def check(data: bytes) -> None:
    """Read `data`, and check everything that must hold; raises whatever does not."""
    control, rest = (data or b"\0")[0], data[1:]
    CHECKS[control % len(CHECKS)](control, rest)


def _check_headers(control: int, datagram: bytes) -> None:
    """As a connection does: packet for packet, until one cannot be read."""
    cid_bytes = SHORT_CID_BYTES[control >> 4 & 3]
    before, after = bytes(control & 3), b"" if control & 4 else bytes(9)
    view = memoryview(bytearray(before + datagram + after))
    start, end = len(before), len(before) + len(datagram)
    while start < end:
        try:
            expected = defined_header(bytes(view[start:end]), cid_bytes)
        except ConstructError:
            expected = None
        try:
            header = p.decode_header(view, start, end, cid_bytes)
        except WireError:
            assert expected is None, "a header that its definition reads"
            return
        found = list(header_fields(header))
        found[-3:] = [place - start for place in found[-3:]]
        assert tuple(found) == expected
        assert start < header.number_offset <= header.end <= end
        _check_negotiations(header, bytes(view[start : header.end]))
        start = header.end


def _check_negotiations(header: p.Header, packet: bytes) -> None:
    head = header.destination_cid, header.source_cid
    try:
        if header.kind == p.KIND_RETRY:
            retry = p.decode_retry(packet)
            written = p.encode_retry(header.version, *head, retry.token, packet[0] & 0xF) + retry.tag
        elif header.kind == p.KIND_VERSION_NEGOTIATION:
            written = p.encode_version_negotiation(*head, p.decode_version_negotiation(packet).versions, packet[0])
        else:
            return
    except WireError:
        body = header.end - header.number_offset
        assert body < p.RETRY_TAG_BYTES if header.kind == p.KIND_RETRY else body % 4
        return
    # The fixed bit is always written.
    assert written[1:] == packet[1:]
    assert written[0] == packet[0] | p.FIXED_BIT


def _check_frames(_: int, payload: bytes) -> None:
    at = 0
    frames = f.read_frames(memoryview(payload))
    while at < len(payload):
        expected = defined(payload[at:])
        is_wrong = expected is None or is_forbidden(expected[0], expected[1])
        try:
            frame_type, frame = next(frames)
        except WireError:
            assert is_wrong, "a frame that its definition reads"
            return
        assert not is_wrong
        assert expected is not None
        assert frame_type == expected[0]
        if isinstance(frame, f.Padding):
            at += frame.count
        else:
            assert fields_of(frame) == values_of(frame_type, expected[1])
            at += expected[2]
        _check_that_it_reads_the_same(frame_type, frame)
    assert next(frames, None) is None


def _check_that_it_reads_the_same(frame_type: int, frame: f.Frame) -> None:
    again = encoded(frame_type, frame)
    [(found_type, found)] = f.read_frames(memoryview(again))
    assert found == frame
    # A STREAM frame at offset 0 is written without it.
    assert found_type & ~t.STREAM_OFF == frame_type & ~t.STREAM_OFF


def _check_parameters(_: int, data: bytes) -> None:
    try:
        found = TransportParameters.decode(data)
    except WireError:
        return
    # Duplicates are refused, so that the definition's list is what there is.
    listed = {each.identifier: each.value for each in PARAMETERS_DEFINITION.parse(data)}
    assert found.unknown == {each: value for each, value in listed.items() if each not in PARAMETERS}
    again = found.encode()
    assert TransportParameters.decode(again) == found
    assert len(again) <= len(data)
    for name, _kind in (PARAMETERS[each] for each in PARAMETERS if each not in listed):
        assert getattr(found, name) == getattr(DEFAULTS, name)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Changed as one does who knows integers: others in place of them, pieces cut, doubled, put together."""
    changed = bytearray(data or b"\0")
    for _ in range(1 + int(rng.random() * 3)):
        at = 1 + int(rng.random() * len(changed))
        way = rng.random()
        if way < 0.35:
            integer = INTEGERS[int(rng.random() * len(INTEGERS))]
            size = 1 << (changed[at] >> 6) if at < len(changed) and rng.random() < 0.7 else 0
            changed[at : at + size] = encode_varint(integer)
        elif way < 0.5:
            other = SEEDS[int(rng.random() * len(SEEDS))]
            changed[at:] = other[1 + int(rng.random() * len(other)) :]
        elif way < 0.65:
            changed[at:at] = changed[at : at + int(rng.random() * 40)]
        elif way < 0.8:
            del changed[at : at + 1 + int(rng.random() * 6)]
        elif at < len(changed):
            changed[at] = int(rng.random() * 256)
    return bytes(changed)


def seeds() -> list[bytes]:
    """Inputs to begin with: every packet, every frame, all parameters."""
    return list(SEEDS)


def _packets() -> list[bytes]:
    found = [b"\x45" + bytes(40), b"\x05" + bytes(40), b"\xc0\x0a\x1a\x2a\x3a\x03abc\x04defg" + bytes(30)]
    for version in (p.VERSION_1, p.VERSION_2):
        for kind in (p.KIND_INITIAL, p.KIND_ZERO_RTT, p.KIND_HANDSHAKE):
            buffer = bytearray(100)
            length_offset, at = p.encode_long_header(buffer, 0, kind, version, b"8 bytes.", b"four", b"token", 2)
            p.write_length(buffer, length_offset, 30)
            found.append(bytes(buffer[: at + 30]))
        found.append(p.encode_retry(version, b"8 bytes.", b"four", b"token") + bytes(16))
    found.append(p.encode_version_negotiation(b"8 bytes.", bytes(100), [1, p.VERSION_2, 0x1A2A3A4A]))
    return [*found, b"".join(found[3:6]) + found[0]]


def _frames() -> list[bytes]:
    some: list[f.Frame] = [kind(*range(3, 3 + len(kind.FIELDS))) for kind in f.INTEGER_FRAMES]
    some += [kind(*[70_000] * len(kind.FIELDS)) for kind in f.INTEGER_FRAMES if kind.FIELDS]
    some += [
        f.Crypto(5, b"hello"), f.NewToken(b"token"), f.NewConnectionId(2, 1, b"8 bytes.", bytes(16)),
        f.PathChallenge(b"8 bytes."), f.PathResponse(b"8 bytes."), f.ConnectionClose(10, b"reason", frame_type=8),
        f.ConnectionClose(300, b"reason", is_application=True), f.Datagram(b"data"), f.Stream(4, 0, b"data"),
        f.Stream(70, 70_000, b"data", is_fin=True), f.Stream(4, (1 << 62) - 9, b"data"), f.Padding(7),
        f.PathAck(1, [(5, 9)], 3), f.PathNewConnectionId(2, 1, b"8 bytes.", bytes(16), path_id=3),
    ]  # fmt: skip
    found = [frame.encode() for frame in some]  # type: ignore[attr-defined]
    found += [f.Stream(4, 9, b"to the end").encode(is_last=True), f.Datagram(b"to the end").encode(is_last=True)]
    found += [f.MaxStreams(9).encode_uni(), f.StreamsBlocked(9).encode_uni()]
    many = [(5 * n, 5 * n + 2) for n in range(300, 0, -1)]
    found += [encode_ack([(5, 9)], 3), encode_ack([(70_000, 80_000), (9, 9)], 200, (3, 2, 1)), encode_ack(many, 0)]
    return [*found, b"".join(found[:-3])]


def _parameters() -> list[bytes]:
    most = TransportParameters(
        original_destination_connection_id=b"8 bytes.", max_idle_timeout_ms=30_000, stateless_reset_token=bytes(16),
        max_udp_payload_size=1452, initial_max_data=1 << 20, initial_max_streams_bidi=100, ack_delay_exponent=5,
        disable_active_migration=True, active_connection_id_limit=8, initial_source_connection_id=b"8 bytes.",
        preferred_address=PreferredAddress(("192.0.2.1", 443), ("2001:db8::1", 443), b"8 bytes.", bytes(16)),
        version_information=VersionInformation(1, (p.VERSION_2, 1)), max_datagram_frame_size=65_535,
        grease_quic_bit=True, min_ack_delay_us=1000, reset_stream_at=True, initial_max_path_id=4, unknown={27: b"?"},
    )  # fmt: skip
    return [b"", most.encode(), TransportParameters(max_ack_delay_ms=26, unknown={58: bytes(70)}).encode()]


CHECKS: tuple[Callable[[int, bytes], None], ...] = (_check_headers, _check_frames, _check_parameters)
DEFAULTS = TransportParameters()
INTEGERS = (0, 1, 7, 20, 21, 63, 64, 255, 16_383, 16_384, (1 << 30) - 1, 1 << 30, (1 << 60) + 1, (1 << 62) - 1)
HEADER_CONTROLS = (0, 33, 63)
SEEDS = (
    *(bytes((control,)) + packet for packet in _packets() for control in HEADER_CONTROLS),
    *(b"\1" + payload for payload in _frames()),
    *(b"\2" + parameters for parameters in _parameters()),
)
