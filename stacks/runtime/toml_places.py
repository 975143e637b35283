"""Where in a TOML document each of its values stands, however deep: the line of a key, a table, an element of an array.

    [[subsystem]]                line 1    ("subsystem", 0)
    nqn = "nqn.2026-11.x:a"      line 2    ("subsystem", 0, "nqn")
    [[subsystem.namespace]]      line 3    ("subsystem", 0, "namespace", 0)
    faults = ["a",               line 4    ("subsystem", 0, "namespace", 0, "faults", 0)
              "b"]               line 5    ("subsystem", 0, "namespace", 0, "faults", 1)

`tomllib` says what a document means and whether it is one; this only walks along, so it is for documents that were
parsed before. Whatever stands in several lines has the first of them.

Follows TOML 1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""Keys, and numbers of array elements from 0, from the document inwards."""


def toml_places(text: str) -> dict[Place, int]:
    """The line, from 1, of each place in a TOML document. text: the document, which `tomllib` accepts."""
    walk = _Walk(text.replace("\r\n", "\n"))
    walk.document()
    return walk.lines


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a place, or of what is around it where it stands nowhere; 1 for the document."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


class _Walk:
    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._counts: dict[Place, int] = {}
        # How many tables each array of tables has so far.

    def document(self) -> None:
        table: Place = ()
        self._skip(_BLANKS)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._element(self._header(2))
            elif self._text[self._at] == "[":
                table = self._inside(self._header(1))
            else:
                self._pair(table)
            self._skip(_BLANKS)

    def _header(self, brackets: int) -> list[str]:
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        return keys

    def _inside(self, keys: list[str]) -> Place:
        # The table of these keys: in an array of tables, the last one that has begun.
        place: Place = ()
        for key in keys:
            place = (*place, key)
            self._note(place)
            if place in self._counts:
                place = (*place, self._counts[place] - 1)
        return place

    def _element(self, keys: list[str]) -> Place:
        array = (*self._inside(keys[:-1]), keys[-1])
        self._note(array)
        self._counts[array] = self._counts.get(array, 0) + 1
        place = (*array, self._counts[array] - 1)
        self._note(place)
        return place

    def _pair(self, table: Place) -> None:
        place, line = table, self._line
        for key in self._keys():
            place = (*place, key)
            self.lines.setdefault(place, line)
        self._skip(_SPACES)
        self._at += len("=")
        self._skip(_SPACES)
        self._value(place)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACES)
            match = _KEY.match(self._text, self._at)
            assert match is not None, "the document was parsed before"
            self._at = match.end()
            word = match[0]
            keys.append(word if word[0] not in "\"'" else str(tomllib.loads(f"k = {word}")["k"]))
            self._skip(_SPACES)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _value(self, place: Place) -> None:
        if self._text[self._at] == "[":
            self._array(place)
        elif self._text[self._at] == "{":
            self._inline_table(place)
        else:
            self._skip(_SCALAR)

    def _array(self, place: Place) -> None:
        self._at += 1
        index = 0
        self._skip(_GAPS)
        while self._text[self._at] != "]":
            self._note((*place, index))
            self._value((*place, index))
            index += 1
            self._skip(_GAPS)
        self._at += 1

    def _inline_table(self, place: Place) -> None:
        self._at += 1
        self._skip(_GAPS)
        while self._text[self._at] != "}":
            self._pair(place)
            self._skip(_GAPS)
        self._at += 1

    def _note(self, place: Place) -> None:
        self.lines.setdefault(place, self._line)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        assert match is not None, "every one of them matches nothing as well, or the document was parsed before"
        self._line += match[0].count("\n")
        self._at = match.end()


_SPACES = re.compile(r"[ \t]*")
_BLANKS = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_GAPS = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|"(?:[^"\\\n]|\\.)*"|''' + r"""'''(?:[^']|'(?!''))*'{3,5}|'[^'\n]*'|"""
    r"[^,\]}#\n]+",
    re.DOTALL,
)
"""A string of any of the four kinds, or what goes on until something that no number, date or word has."""
