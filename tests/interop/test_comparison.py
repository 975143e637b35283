"""The judge itself: it must notice a field that differs, one that we do not know, and excuse only what it says."""

from __future__ import annotations

import pytest

from interop.comparison import Expected, Report
from interop.pdml import Field


def field(
    name: str, show: str, value: str = "", *, size: int = 1, bits_of: Field | None = None, parts: bool = False
) -> Field:
    return Field(name, show, value, size, is_bits=bits_of is not None, has_parts=parts, parent=bits_of)


def report(fields: list[Field], expected: Expected) -> Report:
    found = Report()
    found.compare("frame 1", fields, expected)
    return found


@pytest.mark.parametrize(
    ("shown", "ours"),
    [
        (field("x", "0x1f", "1f"), 31),
        (field("x", "31", "1f"), 31),
        (field("x", "7f", "7f"), 127),
        (field("x", "Linux   ", "4c696e7578202020"), "Linux"),
        (field("x", "00:01", "0001"), b"\0\1"),
    ],
)
def test_equal_values_agree(shown: Field, ours: int | str | bytes) -> None:
    found = report([shown], {"x": [ours]})
    assert (found.agreed["x"], found.disagreements, found.unknown.total()) == (1, [], 0)


@pytest.mark.parametrize(
    ("shown", "ours"), [(field("x", "32", "20"), 31), (field("x", "a", "61"), "b"), (field("x", "00", "00"), b"\1")]
)
def test_different_values_are_reported_with_place_and_name(shown: Field, ours: int | str | bytes) -> None:
    found = report([shown], {"x": [ours]})
    [line] = found.disagreements
    assert line.startswith("frame 1: x: tshark has")
    assert not found.agreed


@pytest.mark.parametrize("count", [1, 3])
def test_one_too_many_or_too_few_is_a_disagreement(count: int) -> None:
    assert report([field("x", "0", "00")] * count, {"x": [0, 0]}).disagreements


def test_bytes_may_come_in_pieces() -> None:
    pieces = [field("x", "", "0001"), field("x", "", "02")]
    assert report(pieces, {"x": [b"\0\1\2"]}).agreed["x"] == 2


def test_field_without_a_value_of_ours_is_unknown() -> None:
    assert report([field("x", "1", "01")], {}).unknown == {"x": 1}


def test_excused_are_made_up_reserved_and_divided_fields_and_bits_of_compared_ones() -> None:
    whole = field("x", "3", "03", parts=True)
    excused = [
        whole,
        field("x.bit", "1", "1", bits_of=whole),
        field("y.latency", "0.5", size=0),
        field("y.rsvd1", "0", "00"),
        field("y.tree", "", "00", parts=True),
    ]
    assert not report(excused, {"x": [3]}).unknown


def test_bits_of_a_field_that_is_not_compared_are_unknown() -> None:
    whole = field("x", "3", "03", parts=True)
    assert report([whole, field("x.bit", "1", "1", bits_of=whole)], {}).unknown == {"x.bit": 1}
