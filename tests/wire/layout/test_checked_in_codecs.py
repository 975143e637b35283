"""Every derived codec of wire/ but NVMe's against its Construct definition, on random, short and wrong input."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.layout.formats import LAYOUT_FILES, Format, byte_strings, checked_in_formats, values_of
from wire.errors import WireError
from wire.layout.generate import generate

each_format = pytest.mark.parametrize("form", checked_in_formats(), ids=lambda form: form.codec.__name__)


@pytest.mark.parametrize("layout", LAYOUT_FILES, ids=lambda path: path.stem)
def test_checked_in_codec_is_what_the_definition_generates(layout: Path) -> None:
    codec, text = generate(layout)
    assert codec.read_text() == text


@each_format
@settings(max_examples=25)
@given(data=st.data())
def test_encoding_equals_construct(form: Format, data: st.DataObject) -> None:
    values = data.draw(values_of(form.codec))
    assert form.make(**values).encode() == form.build(values)


@each_format
@settings(max_examples=25)
@given(data=st.data())
def test_decoding_random_bytes_equals_construct_at_any_offset(form: Format, data: st.DataObject) -> None:
    raw = data.draw(byte_strings(form.codec.SIZE))
    before, after = data.draw(st.tuples(st.binary(max_size=5), st.binary(max_size=5)))
    for buffer in (before + raw + after, bytearray(before + raw + after), memoryview(before + raw + after)):
        assert form.codec.decode(buffer, len(before)).as_dict() == form.parse(raw)


@each_format
@settings(max_examples=10)
@given(data=st.data())
def test_decoding_undoes_encoding(form: Format, data: st.DataObject) -> None:
    header = form.make(**data.draw(values_of(form.codec)))
    assert form.codec.decode(header.encode()) == header


@each_format
def test_defaults_equal_construct(form: Format) -> None:
    header = form.codec()
    assert header.as_dict() == {field.name: field.default for field in form.layout.fields if field.name}
    assert form.build(header.as_dict()) == header.encode()


@each_format
def test_every_truncation_is_a_wire_error(form: Format) -> None:
    whole = form.codec().encode()
    for size in range(form.codec.SIZE):
        with pytest.raises(WireError) as caught:
            form.codec.decode(memoryview(whole)[:size])
        assert (caught.value.format, caught.value.field) == (form.codec.__name__, "")
        with pytest.raises(WireError):
            form.codec().encode_into(bytearray(size))


@each_format
def test_a_field_out_of_range_is_named(form: Format) -> None:
    for name, width in form.codec.FIELDS:
        wrong = [-1, 1 << width] if width > 0 else [bytes(-width - 1), bytes(-width + 1)]
        for value in wrong:
            with pytest.raises(WireError) as caught:
                form.make(**{name: value}).encode_into(bytearray(form.codec.SIZE + 2), 2)
            assert (caught.value.format, caught.value.field) == (form.codec.__name__, name)
            assert caught.value.offset == 2


@each_format
@settings(max_examples=5)
@given(data=st.data())
def test_words_of_a_burst_hold_the_fields_of_each_header(form: Format, data: st.DataObject) -> None:
    codec = form.codec
    if not codec.WORDS:
        with pytest.raises(ValueError, match="0 words"):
            codec.words(2, 8192)
        return
    stride = codec.SIZE + data.draw(st.integers(0, 9))
    headers = [codec.decode(data.draw(byte_strings(codec.SIZE))) for _ in range(3)]
    buffer = bytearray(7 + 2 * stride + codec.SIZE)
    for index, header in enumerate(headers):
        header.encode_into(buffer, 7 + index * stride)
    words = codec.words(3, stride)(buffer, 7)
    for index, header in enumerate(headers):
        for name, value in header.as_dict().items():
            if hasattr(codec, f"{name.upper()}_WORD"):
                word, shift, mask = (getattr(codec, f"{name.upper()}_{part}") for part in ("WORD", "SHIFT", "MASK"))
                assert words[index * codec.WORDS + word] >> shift & mask == value
