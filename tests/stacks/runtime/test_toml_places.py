"""Where in a TOML document a value stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.runtime.toml_places import Place, line_of, toml_places

TEXT = '''\
# [[subsystem]] in a comment
title = "a # b [c]" # d = 1
"odd key"."x" = 1
long = """
a = 1
"quoted" [[b]] \\""" ""\\"
"""
raw = \'\'\'
c = 'x'
\'\'\'

[[subsystem]]
nqn = 'a'
  [[subsystem.namespace]]
  nsid = 1
  faults = [
    "one", # "two",
    ["x",
     "y"],
  ]
  [subsystem.namespace.more]
  deep.er = {a = 1, b = [{c = 2}, 3], d = "}"}

  [[subsystem.namespace]]
  nsid = 2

[[subsystem]]
when = 1979-05-27 07:32:00
size = 0x10 # hex
[[subsystem.namespace]]
nsid = 3
[other]
[ "a" . b ]
'''

LINES: dict[Place, int] = {
    ("title",): 2,
    ("odd key", "x"): 3,
    ("long",): 4,
    ("raw",): 8,
    ("subsystem",): 12,
    ("subsystem", 0): 12,
    ("subsystem", 0, "nqn"): 13,
    ("subsystem", 0, "namespace", 0): 14,
    ("subsystem", 0, "namespace", 0, "nsid"): 15,
    ("subsystem", 0, "namespace", 0, "faults", 0): 17,
    ("subsystem", 0, "namespace", 0, "faults", 1): 18,
    ("subsystem", 0, "namespace", 0, "faults", 1, 1): 19,
    ("subsystem", 0, "namespace", 0, "more"): 21,
    ("subsystem", 0, "namespace", 0, "more", "deep", "er", "b", 0, "c"): 22,
    ("subsystem", 0, "namespace", 1, "nsid"): 25,
    ("subsystem", 1, "when"): 28,
    ("subsystem", 1, "size"): 29,
    ("subsystem", 1, "namespace", 0, "nsid"): 31,
    ("other",): 32,
    ("a", "b"): 33,
}


@pytest.mark.parametrize("place", LINES, ids=lambda place: ".".join(map(str, place)))
def test_a_value_has_its_line(place: Place) -> None:
    assert toml_places(TEXT)[place] == LINES[place]


def test_every_value_has_a_line_and_nothing_else_has() -> None:
    found = set(toml_places(TEXT))
    assert set(places(tomllib.loads(TEXT))) == found


def test_what_is_nowhere_has_the_line_of_what_is_around_it() -> None:
    lines = toml_places(TEXT)
    assert line_of(lines, ("subsystem", 0, "namespace", 1, "store")) == 24
    assert line_of(lines, ("nothing",)) == 1
    assert line_of(lines, ()) == 1


def test_lines_that_end_as_on_windows_count_the_same() -> None:
    assert toml_places(TEXT.replace("\n", "\r\n")) == toml_places(TEXT)


VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(st.sampled_from("ab\"'\\#[]{}=,.\n "), max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c d"]), VALUES, max_size=3), st.booleans())
def test_any_document_is_walked_to_its_end(document: dict[str, object], is_spread: bool) -> None:
    text = "".join(f"{quoted(key)} = {written(value, is_spread)}\n" for key, value in document.items())
    assert tomllib.loads(text) == document
    found = toml_places(text)
    assert set(found) == set(places(document))
    assert all(1 <= line <= text.count("\n") for line in found.values())


def places(value: object, at: Place = ()) -> Iterator[Place]:
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


def written(value: object, is_spread: bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        gap = "\n  # a comment, [\n" if is_spread else ""
        return f"[{gap}{f',{gap}'.join(written(each, is_spread) for each in value)}{gap}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {written(each, is_spread)}" for key, each in value.items()) + "}"
    return str(value)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
