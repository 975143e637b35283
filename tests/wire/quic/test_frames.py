"""Every frame against its definition: any values, random bytes, every truncation, at any offset."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.quic.bodies import (
    BODIES,
    TO_THE_END,
    Body,
    bodies,
    defined,
    encoded,
    fields_of,
    is_forbidden,
    values_of,
)
from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic.definition import FRAME
from wire.quic.frames import DECODERS, INTEGER_FRAMES, Padding, read_frames
from wire.quic.varint import encode_varint

each_type = pytest.mark.parametrize("frame_type", BODIES, ids=hex)
each_but_padding = pytest.mark.parametrize("frame_type", [each for each in BODIES if each != t.FRAME_PADDING], ids=hex)


def test_every_type_that_has_a_definition_has_a_decoder() -> None:
    assert set(DECODERS) == set(BODIES)
    assert {kind.TYPE for kind in INTEGER_FRAMES} < set(BODIES)
    named = {value for name, value in vars(t).items() if name.startswith("FRAME_")}
    assert named == set(BODIES) - {t.FRAME_STREAM | bits for bits in range(1, 8)}


@each_but_padding
@settings(max_examples=15)
@given(data=st.data())
def test_coding_equals_the_definition(frame_type: int, data: st.DataObject) -> None:
    body: Body = data.draw(bodies(frame_type))
    raw = FRAME.build({"type": frame_type, "body": body})
    [(found, frame)] = read_frames(memoryview(raw))
    assert found == frame_type
    assert fields_of(frame) == values_of(frame_type, body)
    assert encoded(frame_type, frame) == raw


@each_but_padding
@settings(max_examples=5)
@given(data=st.data())
def test_a_frame_is_read_at_any_offset_and_ends_where_it_ends(frame_type: int, data: st.DataObject) -> None:
    raw = FRAME.build({"type": frame_type, "body": data.draw(bodies(frame_type))})
    before, after = data.draw(st.tuples(st.binary(max_size=5), st.binary(max_size=5)))
    if frame_type in TO_THE_END:
        after = b""
    view = memoryview(before + raw + after)
    found, offset = t.decode_type(view, len(before))
    frame, end = DECODERS[frame_type](found, view, offset)
    assert end == len(before) + len(raw)
    assert frame == next(frame for _, frame in read_frames(memoryview(raw)))


@each_but_padding
@settings(max_examples=20)
@given(rest=st.binary(max_size=60))
def test_random_bytes_are_read_as_the_definition_does_or_are_a_wire_error(frame_type: int, rest: bytes) -> None:
    raw = encode_varint(frame_type) + rest
    expected = defined(raw)
    view, start = memoryview(raw), len(raw) - len(rest)
    if expected is None or is_forbidden(frame_type, expected[1]):
        with pytest.raises(WireError):
            DECODERS[frame_type](frame_type, view, start)
        return
    frame, end = DECODERS[frame_type](frame_type, view, start)
    assert end == expected[2]
    assert fields_of(frame) == values_of(frame_type, expected[1])


@each_but_padding
@settings(max_examples=5)
@given(data=st.data())
def test_every_truncation_is_a_wire_error(frame_type: int, data: st.DataObject) -> None:
    body: Body = data.draw(bodies(frame_type))
    raw = FRAME.build({"type": frame_type, "body": body})
    [(_, whole)] = read_frames(memoryview(raw))
    data_bytes = len(body["data"]) if frame_type in TO_THE_END else 0
    for size in range(1, len(raw)):
        if size < len(raw) - data_bytes:
            with pytest.raises(WireError):
                list(read_frames(memoryview(raw)[:size]))
        else:
            # Without a length it is a frame with less data.
            [(_, frame)] = read_frames(memoryview(raw)[:size])
            shorter = fields_of(whole) | {"data": raw[len(raw) - data_bytes : size]}
            assert fields_of(frame) == shorter


@given(payload=st.binary(max_size=80))
def test_a_random_payload_is_read_frame_for_frame_as_the_definition_does(payload: bytes) -> None:
    found, error = [], None
    try:
        for frame_type, frame in read_frames(memoryview(payload)):
            found.append((frame_type, frame))
    except WireError as caught:
        error = caught
    at = 0
    for frame_type, frame in found:
        expected = defined(payload[at:])
        assert expected is not None
        assert expected[0] == frame_type
        if isinstance(frame, Padding):
            assert payload[at : at + frame.count] == bytes(frame.count)
            at += frame.count
            assert payload[at : at + 1] != b"\0"
        else:
            assert fields_of(frame) == values_of(frame_type, expected[1])
            at += expected[2]
    expected = defined(payload[at:])
    if error is None:
        assert at == len(payload)
    else:
        assert expected is None or is_forbidden(expected[0], expected[1])


def test_padding_is_counted() -> None:
    payload = memoryview(b"\0\0\0\1\0")
    assert [(kind, frame) for kind, frame in read_frames(payload) if kind == 0] == [(0, Padding(3)), (0, Padding(1))]
    assert Padding(3).encode() == bytes(3)


@pytest.mark.parametrize("raw", ["4001", "80000001", "c000000000000001", "4008", "80003e75", "800000af"])
def test_a_type_that_is_not_in_its_shortest_form_is_a_wire_error(raw: str) -> None:
    with pytest.raises(WireError, match="shortest"):
        list(read_frames(memoryview(bytes.fromhex(raw) + bytes(80))))


@pytest.mark.parametrize("raw", ["20", "32", "3d", "4040", "7e74", "7e7d", "9d7f3e7d", "ffffffffffffffff"])
def test_an_unknown_type_is_a_wire_error(raw: str) -> None:
    with pytest.raises(WireError, match="unknown"):
        list(read_frames(memoryview(bytes.fromhex(raw) + bytes(80))))


def test_types_of_two_bytes_have_the_numbers_of_their_drafts() -> None:
    numbers = {
        t.FRAME_ACK_FREQUENCY: "40af", t.FRAME_PATH_ABANDON: "7e75", t.FRAME_PATH_STATUS_BACKUP: "7e76",
        t.FRAME_PATH_STATUS_AVAILABLE: "7e77", t.FRAME_PATH_NEW_CONNECTION_ID: "7e78",
        t.FRAME_PATH_RETIRE_CONNECTION_ID: "7e79", t.FRAME_MAX_PATH_ID: "7e7a", t.FRAME_PATHS_BLOCKED: "7e7b",
        t.FRAME_PATH_CIDS_BLOCKED: "7e7c",
    }  # fmt: skip
    assert {frame_type: encode_varint(frame_type).hex() for frame_type in numbers} == numbers
