"""Variable-length integers: RFC 9000 A.1, their definition, short and wrong input."""

from __future__ import annotations

from io import BytesIO

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.quic.bodies import EDGES, varints
from wire.errors import WireError
from wire.quic.definition import VARINT
from wire.quic.varint import VARINT_MAX, encode_varint, read_varint, varint_bytes, write_varint

A_1 = [
    ("c2197c5eff14e88c", 151_288_809_941_952_652),
    ("9d7f3e7d", 494_878_333),
    ("7bbd", 15_293),
    ("25", 37),
    ("4025", 37),
]


@pytest.mark.parametrize(("raw", "value"), A_1)
def test_appendix_a_1_of_rfc_9000(raw: str, value: int) -> None:
    buffer = bytes.fromhex(raw)
    assert read_varint(buffer, 0) == (value, len(buffer))
    if raw != "4025":
        assert encode_varint(value) == buffer


@given(value=varints, before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_writing_equals_the_definition_and_reading_undoes_it(value: int, before: bytes, after: bytes) -> None:
    expected = VARINT.build(value)
    assert encode_varint(value) == expected
    assert varint_bytes(value) == len(expected)
    end = len(before) + len(expected)
    for buffer in (bytearray(before + bytes(len(expected)) + after), memoryview(bytearray(end + len(after)))):
        assert write_varint(buffer, len(before), value) == end
        assert bytes(buffer[len(before) : end]) == expected
        assert bytes(buffer[end:]) == (after if isinstance(buffer, bytearray) else bytes(len(after)))
    whole = before + expected + after
    for source in (whole, bytearray(whole), memoryview(whole)):
        assert read_varint(source, len(before)) == (value, end)


@given(raw=st.binary(max_size=9))
def test_reading_random_bytes_equals_the_definition_or_is_a_wire_error(raw: bytes) -> None:
    stream = BytesIO(raw)
    try:
        expected = VARINT.parse_stream(stream)
    except ConstructError:
        for buffer in (raw, bytearray(raw), memoryview(raw)):
            with pytest.raises(WireError):
                read_varint(buffer, 0)
        return
    assert read_varint(memoryview(raw), 0) == (expected, stream.tell())


@pytest.mark.parametrize("value", EDGES)
def test_every_truncation_is_a_wire_error(value: int) -> None:
    whole = encode_varint(value)
    for size in range(len(whole)):
        for buffer in (whole[:size], memoryview(whole)[:size]):
            with pytest.raises(WireError):
                read_varint(buffer, 0)
        for short in (bytearray(size), memoryview(bytearray(size))):
            with pytest.raises(WireError):
                write_varint(short, 0, value)
            assert len(short) == size


@pytest.mark.parametrize("value", [-1, -(1 << 62), VARINT_MAX + 1, 1 << 64, 1 << 70])
def test_what_has_no_62_bits_is_a_wire_error(value: int) -> None:
    with pytest.raises(WireError, match="62 bits"):
        encode_varint(value)
    with pytest.raises(WireError, match="62 bits"):
        write_varint(bytearray(16), 0, value)


@given(value=varints, length=st.integers(0, 3))
def test_longer_forms_are_read_as_well(value: int, length: int) -> None:
    size = 1 << length
    if value >> 8 * size - 2:
        return
    assert read_varint((value | length << 8 * size - 2).to_bytes(size, "big"), 0) == (value, size)
