"""What no frame can say: encoders refuse it, decoders raise; and how frames compare and show themselves."""

from __future__ import annotations

import pytest

from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic import frames as f
from wire.quic.ack_frames import MAX_ACK_RANGES, decode_ack, encode_ack
from wire.quic.stream_frames import decode_stream, stream_header_bytes, write_stream_header
from wire.quic.varint import VARINT_MAX, encode_varint

TOKEN = bytes(16)


@pytest.mark.parametrize("kind", f.INTEGER_FRAMES)
def test_an_integer_of_63_bits_or_below_0_is_a_wire_error(kind: type[f.IntegerFrame]) -> None:
    for place in range(len(kind.FIELDS)):
        for wrong in (-1, VARINT_MAX + 1):
            values = [1] * len(kind.FIELDS)
            values[place] = wrong
            with pytest.raises(WireError):
                kind(*values).encode()


@pytest.mark.parametrize(
    "frame",
    [
        f.Crypto(VARINT_MAX + 1, b""),
        f.Stream(VARINT_MAX + 1, 0, b""),
        f.Stream(-1, 5, b""),
        f.Stream(0, VARINT_MAX + 1, b""),
        f.Stream(0, -1, b""),
        f.Stream(100, 1 << 64, b""),
        f.NewConnectionId(-1, 0, b"x", TOKEN),
        f.NewConnectionId(0, 1 << 62, b"x", TOKEN),
        f.NewConnectionId(0, 0, bytes(256), TOKEN),
        f.NewConnectionId(0, 0, b"x", bytes(15)),
        f.PathNewConnectionId(0, 0, b"x", TOKEN, path_id=-1),
        f.PathChallenge(bytes(7)),
        f.PathResponse(bytes(9)),
        f.ConnectionClose(-1, b""),
        f.ConnectionClose(1, b"", frame_type=1 << 62),
        f.ConnectionClose(1 << 62, b"", is_application=True),
        f.Ack([], 0),
        f.Ack([(-1, 3)], 0),
        f.Ack([(3, 2)], 0),
        f.Ack([(0, 1 << 62)], 0),
        f.Ack([(5, 9)], -1),
        f.Ack([(5, 9), (2, 4)], 0),
        f.Ack([(5, 9), (2, 6)], 0),
        f.Ack([(5, 9), (3, 2)], 0),
        f.Ack([(5, 9), (-1, 2)], 0),
        f.Ack([(2, 3), (7, 9)], 0),
        f.Ack([(5, 9)], 0, (0, -1, 0)),
        f.PathAck(-1, [(5, 9)], 0),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_a_wire_error(frame: f.Frame) -> None:
    with pytest.raises(WireError):
        frame.encode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("raw", ["02 00 00 00 01", "02 05 00 00 06", "02 05 00 01 00 04 00", "02 05 00 01 00 00 04"])
def test_a_range_below_packet_0_is_a_wire_error(raw: str) -> None:
    with pytest.raises(WireError, match="below packet 0"):
        list(f.read_frames(memoryview(bytes.fromhex(raw))))


def test_of_many_ranges_the_highest_are_told_and_the_frame_is_read_to_its_end() -> None:
    ranges = [(3 * number, 3 * number) for number in range(MAX_ACK_RANGES + 50, 0, -1)]
    raw = encode_ack(ranges, 7, (1, 2, 3)) + b"\1"
    found, delay, ecn, end = decode_ack(t.FRAME_ACK_ECN, memoryview(raw), 1)
    assert found == ranges[:MAX_ACK_RANGES]
    assert (delay, ecn, end) == (7, (1, 2, 3), len(raw) - 1)


def test_a_count_of_ranges_beyond_all_bounds_costs_no_more_than_the_bytes_that_are_there() -> None:
    raw = b"\x02" + encode_varint(1 << 40) + b"\0" + encode_varint(VARINT_MAX) + bytes(1000)
    with pytest.raises(WireError):
        list(f.read_frames(memoryview(raw)))


def test_data_that_ends_above_the_largest_offset_is_a_wire_error() -> None:
    last = VARINT_MAX - 3
    for whole in (f.Stream(4, last, b"abc"), f.Crypto(last, b"abc")):
        assert list(f.read_frames(memoryview(whole.encode()))) == [(whole.encode()[0], whole)]
    for beyond in (f.Stream(4, last, b"abcd"), f.Crypto(last, b"abcd")):
        with pytest.raises(WireError, match=r"2\^62"):
            list(f.read_frames(memoryview(beyond.encode())))


def test_a_stream_header_needs_its_room() -> None:
    for stream_id, offset, length in ((4, 0, None), (4, 5, 6), (4, 20_000, None), (70, 1 << 40, 70), (3, 1 << 30, 1)):
        size = stream_header_bytes(stream_id, offset, length)
        buffer = bytearray(size + 3)
        assert write_stream_header(buffer, 3, stream_id, offset, length, is_fin=True) == size + 3
        for room in range(size):
            with pytest.raises(WireError):
                write_stream_header(bytearray(room), 0, stream_id, offset, length, is_fin=False)
            with pytest.raises(WireError):
                write_stream_header(memoryview(bytearray(room)), 0, stream_id, offset, length, is_fin=False)


def test_data_is_a_slice_of_what_was_given() -> None:
    buffer = bytearray(f.Stream(4, 9, b"abc").encode())
    data = decode_stream(buffer[0], memoryview(buffer), 1)[2]
    buffer[-3:] = b"xyz"
    assert data == b"xyz"


def test_frames_compare_by_their_fields_and_show_them() -> None:
    assert f.Stream(1, 2, b"ab") == f.Stream(1, 2, bytearray(b"ab"))
    assert f.Stream(1, 2, b"ab") != f.Stream(1, 2, b"ab", is_fin=True)
    assert f.MaxData(5) != f.DataBlocked(5)
    assert repr(f.Stream(1, 2, b"ab")) == "Stream(stream_id=1, offset=2, data=6162, is_fin=False)"
    assert repr(f.PathNewConnectionId(1, 0, b"\1", TOKEN, path_id=7)).startswith("PathNewConnectionId(path_id=7, seq")
    assert repr(f.NewToken(b"")) == "NewToken(token=empty)"
