"""The derivation itself: random definitions, every construct that it knows, and what it refuses."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    BytesInteger,
    ByteSwapped,
    Const,
    Default,
    Enum,
    Float32b,
    GreedyBytes,
    Int8sb,
    Int8ub,
    Int16ub,
    Int16ul,
    Int24ub,
    Int24ul,
    Int32ub,
    Int32ul,
    Int64ub,
    Int64ul,
    Padding,
    Struct,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.layout.formats import byte_strings, derive, values_of
from wire.errors import WireError
from wire.layout.fields import LayoutError, layout_of
from wire.layout.generate import WIRE, definitions, generate, layout_files, load

EVERYTHING = Struct(
    "magic" / Const(b"NVMe"),
    "status" / ByteSwapped(BitStruct("more" / BitsInteger(1), "code" / BitsInteger(14), "phase" / BitsInteger(1))),
    "flags" / BitStruct("high" / BitsInteger(4), Padding(2), "low" / BitsInteger(2)),
    "length" / Int24ul,
    "key" / Int32ul,
    "kind" / Default(Int8ub, 0x40),
    "counter" / BytesInteger(16, swapped=True),
    "inner" / Struct("address" / Int64ul, "bits" / BitStruct("seven" / BitsInteger(7), "one" / BitsInteger(1))),
    "text" / Default(Bytes(5), b"abc  "),
    Padding(11),
    "mac" / BytesInteger(6, swapped=True),
    Const(0x1234, Int16ul),
)


@settings(max_examples=30)
@given(data=st.data())
def test_a_definition_with_everything_equals_construct(data: st.DataObject) -> None:
    form = derive("Everything", EVERYTHING)
    assert EVERYTHING.sizeof() == form.codec.SIZE
    values = data.draw(values_of(form.codec))
    raw = form.make(**values).encode()
    assert raw == form.build(values)
    assert form.codec.decode(raw).as_dict() == form.parse(raw) == values


def test_nested_names_join_bit_groups_vanish_and_defaults_hold() -> None:
    header = derive("Everything", EVERYTHING).codec()
    values = header.as_dict()
    assert list(values) == [
        "phase", "code", "more", "low", "high", "length", "key", "kind", "counter",
        "inner_address", "inner_one", "inner_seven", "text", "mac",
    ]  # fmt: skip
    assert (values["kind"], values["text"]) == (0x40, b"abc  ")


@settings(max_examples=30)
@given(data=st.data())
def test_packing_values_is_encoding_an_object_of_them(data: st.DataObject) -> None:
    form = derive("Plain", Struct("one" / Int8ub, "two" / Int32ub, Padding(3), "text" / Bytes(5), "last" / Int16ub))
    values = data.draw(values_of(form.codec))
    buffer = bytearray(form.codec.SIZE + 2)
    form.codec.PACK(buffer, 2, *(values[name] for name, _ in form.codec.FIELDS))
    assert buffer[2:] == form.make(**values).encode()


def test_a_format_with_cut_fields_or_constants_cannot_be_packed() -> None:
    assert not hasattr(derive("Everything", EVERYTHING).codec, "PACK")


def test_a_constant_is_written_and_checked() -> None:
    codec = derive("Everything", EVERYTHING).codec
    raw = bytearray(codec().encode())
    raw[0] ^= 1
    with pytest.raises(WireError, match="differs from the constant"):
        codec.decode(raw)


def _bit_group(order: str, widths: list[int], pads: set[int]) -> Any:
    """Bit fields, those numbered in `pads` nameless, filled up to whole bytes; little-endian by swapping."""
    parts = [Padding(width) if i in pads else f"f{i}" / BitsInteger(width) for i, width in enumerate(widths)]
    missing = -sum(widths) % 8
    group = BitStruct(*parts, *[Padding(missing)] * bool(missing))
    return ByteSwapped(group) if order == "little" else group


def _definitions(order: str) -> st.SearchStrategy[Any]:
    big = order == "big"
    leaves = st.one_of(
        st.sampled_from(
            [Int8ub, Int16ub, Int24ub, Int32ub, Int64ub] if big else [Int8ub, Int16ul, Int24ul, Int32ul, Int64ul]
        ),
        st.integers(1, 9).map(lambda size: BytesInteger(size, swapped=not big)),
        st.integers(1, 20).map(Bytes),
        st.builds(
            _bit_group,
            st.just(order),
            st.lists(st.integers(1, 26), min_size=1, max_size=6),
            st.sets(st.integers(1, 5)),
        ),
        st.integers(1, 5).map(Padding),
    )
    return st.lists(leaves, min_size=1, max_size=10).map(
        lambda parts: Struct(
            *(part if type(part).__name__ == "Padded" else f"p{i}" / _named(part) for i, part in enumerate(parts)),
            "end" / Int8ub,
        )
    )


def _named(part: Any) -> Any:
    """Bit groups share field names, so each goes into a structure of its own."""
    return Struct("g" / part) if type(part).__name__ == "Transformed" else part


@pytest.mark.slow
@settings(max_examples=200)
@given(data=st.data(), order=st.sampled_from(["big", "little"]))
def test_random_definitions_equal_construct(data: st.DataObject, order: str) -> None:
    form = derive("Random", data.draw(_definitions(order)))
    raw = data.draw(byte_strings(form.codec.SIZE))
    assert form.codec.decode(raw).as_dict() == form.parse(raw)
    values = data.draw(values_of(form.codec))
    assert form.make(**values).encode() == form.build(values)


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (Struct("a" / Int16ub, "b" / Int16ul), "mixes byte orders"),
        (Struct("a" / GreedyBytes), ""),
        (Struct("a" / Int8sb), "not understood"),
        (Struct("a" / Array(2, Int8ub)), "not understood"),
        (Struct("a" / Float32b), "not understood"),
        (Struct("a" / Enum(Int8ub, one=1)), "not understood"),
        (Struct("a" / BitStruct("x" / Int16ub)), ""),
        (Struct("a" / Int8ub, BitStruct("x" / BitsInteger(8))), "needs a name"),
        (Struct(Padding(4)), "no field"),
        (Struct("a_b" / Int8ub, "a" / Struct("b" / Int8ub)), "two fields of one name"),
        (Struct("a" / ByteSwapped(Struct("x" / Bytes(2)))), "only bit fields"),
        (Struct("a" / Int8ub, "words" / Int8ub), "taken"),
    ],
)
def test_what_cannot_be_derived_is_refused(definition: Any, why: str) -> None:
    with pytest.raises(LayoutError, match=f"Refused.*{why}"):
        layout_of("Refused", definition)


def test_a_page_of_4096_bytes_is_one_unpack() -> None:
    page = Struct(*(f"f{i}" / (Int32ul if i % 3 else Int24ul) for i in range(300)), Padding(2996))
    form = derive("Page", page)
    raw = bytes(i * 7 & 0xFF for i in range(form.codec.SIZE))
    assert form.codec.SIZE == 4096
    assert form.codec.decode(raw).as_dict() == form.parse(raw)
    with pytest.raises(ValueError, match="0 words"):
        form.codec.words(1, 4096)


def test_equality_is_by_type_and_fields_and_repr_tells_them() -> None:
    one, two = derive("One", Struct("a" / Int8ub)).make, derive("Two", Struct("a" / Int8ub)).make
    assert one(a=1) == one(a=1) != one(a=2)
    assert one(a=1) != two(a=1)
    assert repr(one(a=3)) == "One(a=3)"


def test_the_command_writes_what_is_out_of_date_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "thing_layout.py"
    path.write_text('"""A thing."""\nfrom construct import *\nTHING = Struct("a" / Int8ub)\n')
    monkeypatch.setattr(sys, "argv", ["wire.layout", str(path)])
    runpy.run_module("wire.layout", run_name="__main__")
    assert capsys.readouterr().out == f"{tmp_path / 'thing_codec.py'}\n"
    runpy.run_module("wire.layout", run_name="__main__")
    assert capsys.readouterr().out == ""
    assert (tmp_path / "thing_codec.py").read_text() == generate(path)[1]


def test_no_codec_imports_construct() -> None:
    program = "import sys, wire.roce, wire.ibcm, wire.udp, wire.ethernet; sys.exit('construct' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=WIRE.parent)


def test_a_layout_module_becomes_a_codec_module_of_the_same_stem(tmp_path: Path) -> None:
    path = tmp_path / "thing_layout.py"
    path.write_text('"""A thing."""\nfrom construct import *\n_PART = Struct()\nBIG_THING = Struct("a" / Int8ub)\n')
    assert list(layout_files(tmp_path)) == [path]
    assert list(definitions(load(path))) == ["BigThing"]
    codec, text = generate(path)
    assert codec == tmp_path / "thing_codec.py"
    assert text.startswith("# generated by python -m wire.layout from thing_layout.py")
