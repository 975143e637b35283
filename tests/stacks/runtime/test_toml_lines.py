"""Where in a TOML document a mistake is."""

from __future__ import annotations

import pytest

from stacks.runtime import LocalError
from stacks.runtime.toml_lines import key_line, parse_toml, table_lines

TEXT = """\
# a comment
seed = 3

[[disk]]
name = "one"   # name = "no"
"size" = 5

  [[ disk ]]
name = "two"

[other]
size = 7
"""


def test_a_document_is_read() -> None:
    assert parse_toml(TEXT, "x.toml")["disk"] == [{"name": "one", "size": 5}, {"name": "two"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = = 2\n", r"^x\.toml:2: invalid value$"),
        ("a = 1\na = 2\n", r"^x\.toml:2: this key or table is there already; several are each in"),
        ("[port]\na = 1\n[port]\n", r"^x\.toml:3: there is a \[port\] already; several are each \[\[port\]\]$"),
        ('a = 1\nb = "x\n', r"^x\.toml:2: the text that begins here has no closing quote$"),
        pytest.param("a = " + "[" * 5000, r"^x\.toml:1: brackets are nested too deeply$", id="deep"),
        ("a = 1\nb = ", r"^x\.toml:2: invalid value$"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        parse_toml(text, "x.toml")


def test_each_table_of_an_array_has_its_line() -> None:
    assert table_lines(TEXT, "disk") == [4, 8]
    assert table_lines(TEXT, "other") == []


@pytest.mark.parametrize(
    ("key", "start", "line"),
    [("seed", 1, 2), ("name", 4, 5), ("size", 4, 6), ("name", 8, 9), ("size", 8, 8), ("size", 11, 12), ("", 8, 8)],
)
def test_a_key_is_looked_for_in_its_table_alone(key: str, start: int, line: int) -> None:
    assert key_line(TEXT, key, start) == line
