"""JSON that is read while it comes."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.quic.plot.json_stream import JsonError, JsonStream

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


def stream(text: str, piece: int) -> JsonStream:
    return JsonStream(io.StringIO(text), piece=piece)


@given(DOCUMENTS, st.integers(1, 40), st.sampled_from([None, 2]))
def test_a_document_is_the_same_in_pieces_of_any_size(document: dict[str, Any], piece: int, indent: int | None) -> None:
    found = stream(json.dumps(document, indent=indent) + "\n", piece)
    assert {key: found.value() for key in found.members()} == document
    assert found.peek() == ""


@given(st.lists(VALUES, max_size=6), st.integers(1, 40))
def test_elements_come_one_by_one(values: list[Any], piece: int) -> None:
    found = stream(json.dumps(values), piece)
    assert [found.value() for _ in found.elements()] == values


@given(DOCUMENTS.filter(bool), st.data(), st.integers(1, 40))
def test_a_document_that_is_cut_off_says_so(document: dict[str, Any], data: st.DataObject, piece: int) -> None:
    text = json.dumps(document)
    cut = data.draw(st.integers(1, len(text) - 1))
    found = stream(text[:cut], piece)
    with pytest.raises(JsonError) as error:
        _read(found)
    assert error.value.is_cut


@pytest.mark.parametrize("text", ['{"a" 1}', '{"a":1;"b":2}', '{"a":nonsense}', "{1:2}", '{"a":[1,,2]}', "[1]"])
def test_a_mistake_is_told_with_its_place(text: str) -> None:
    found = stream(text + " " * 100, 7)
    with pytest.raises(JsonError) as error:
        _read(found)
    assert not error.value.is_cut
    assert 0 <= error.value.offset <= len(text)


def test_a_value_without_an_end_is_given_up() -> None:
    with pytest.raises(JsonError, match="too long"):
        JsonStream(io.StringIO('"' + "x" * 10_000), piece=100, value_max=1000).value()


def test_nesting_without_an_end_is_a_mistake() -> None:
    with pytest.raises(JsonError):
        stream("[" * 200_000, 1 << 20).value()


def test_only_what_is_at_hand_is_in_memory() -> None:
    tracemalloc.start()
    try:
        found = JsonStream(_Endless(80_000), piece=1 << 16)  # type: ignore[arg-type]
        count = 0
        for _ in found.elements():
            assert found.value()["name"] == "packet_sent"
            count += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 80_000
    assert found.offset > 4_000_000
    assert peak < 1_000_000


def _read(found: JsonStream) -> None:
    for _ in found.members():
        found.value()


class _Endless:
    """An array of `count` events as a file that is nowhere whole."""

    def __init__(self, count: int) -> None:
        self._parts = self._texts(count)

    def read(self, _: int) -> str:
        return next(self._parts, "")

    def _texts(self, count: int) -> Iterator[str]:
        yield "["
        for index in range(count):
            yield json.dumps({"time": index, "name": "packet_sent", "data": {"number": index}})
            yield "," if index < count - 1 else "]"
