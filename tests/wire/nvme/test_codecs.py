"""Every derived NVMe codec against its Construct definition, on random, short, random-byte and out-of-range input."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wire.nvme
from tests.wire.layout.formats import Format
from wire.errors import WireError
from wire.layout import Header
from wire.layout.generate import definitions, generate, load

LAYOUTS = sorted(Path(wire.nvme.__file__).parent.glob("*_layout.py"))


def _formats() -> list[tuple[Any, type[Header]]]:
    found = []
    for path in LAYOUTS:
        codecs = importlib.import_module(f"wire.nvme.{path.stem.removesuffix('_layout')}_codec")
        found += [(definition, getattr(codecs, name)) for name, definition in definitions(load(path)).items()]
    return found


FORMATS = _formats()
each_format = pytest.mark.parametrize(("definition", "codec"), FORMATS, ids=[codec.__name__ for _, codec in FORMATS])


def _values(codec: type[Header]) -> st.SearchStrategy[dict[str, Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, width in codec.FIELDS:
        assert isinstance(width, int), "no arrays here"
        fields[name] = st.integers(0, (1 << width) - 1) if width > 0 else _byte_strings(-width)
    return st.fixed_dictionaries(fields)


def _byte_strings(size: int) -> st.SearchStrategy[bytes]:
    if size <= 64:
        return st.binary(min_size=size, max_size=size)
    return st.binary(min_size=16, max_size=16).map(lambda piece: (piece * (size // 16 + 1))[:size])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda path: path.stem)
def test_checked_in_codec_is_what_the_definition_generates(layout: Path) -> None:
    codec, text = generate(layout)
    assert codec.read_text() == text


def test_every_codec_is_offered_by_the_package() -> None:
    assert [codec.__name__ for _, codec in FORMATS if getattr(wire.nvme, codec.__name__, None) is not codec] == []


@each_format
@settings(max_examples=20)
@given(data=st.data())
def test_encoding_equals_construct(definition: Any, codec: type[Header], data: st.DataObject) -> None:
    values = data.draw(_values(codec))
    assert codec(**values).encode() == Format(definition, codec).build(values)


@each_format
@settings(max_examples=20)
@given(data=st.data())
def test_decoding_random_bytes_equals_construct(definition: Any, codec: type[Header], data: st.DataObject) -> None:
    raw = data.draw(_byte_strings(codec.SIZE))
    before, after = data.draw(st.tuples(st.binary(max_size=3), st.binary(max_size=3)))
    header = codec.decode(before + raw + after, len(before))
    assert header.as_dict() == Format(definition, codec).parse(raw)


@each_format
@settings(max_examples=10)
@given(data=st.data())
def test_decoding_undoes_encoding(definition: Any, codec: type[Header], data: st.DataObject) -> None:
    header = codec(**data.draw(_values(codec)))
    assert codec.decode(header.encode()) == header


@each_format
def test_every_truncation_is_a_wire_error(definition: Any, codec: type[Header]) -> None:
    whole = codec().encode()
    for size in range(codec.SIZE):
        with pytest.raises(WireError) as caught:
            codec.decode(memoryview(whole)[:size])
        assert caught.value.format == codec.__name__


@each_format
def test_value_out_of_range_names_format_and_field(definition: Any, codec: type[Header]) -> None:
    for name, width in codec.FIELDS:
        assert isinstance(width, int)
        wrong: list[object] = [1 << width, -1] if width > 0 else [bytes(-width - 1), bytes(1 - width)]
        for value in wrong:
            with pytest.raises(WireError) as caught:
                codec(**{name: value}).encode()
            assert (caught.value.format, caught.value.field) == (codec.__name__, name)


@each_format
def test_encoding_into_a_short_buffer_is_a_wire_error(definition: Any, codec: type[Header]) -> None:
    buffer = bytearray(codec.SIZE - 1)
    with pytest.raises(WireError):
        codec().encode_into(buffer)
    assert not any(buffer)
