"""JSON that is read while it comes: of a document of any size only the value at hand is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any


class JsonError(Exception):
    """The text is no JSON from `offset` on (characters). is_cut: it ends too soon, and was right so far."""

    def __init__(self, problem: str, offset: int, *, is_cut: bool = False) -> None:
        super().__init__(problem)
        self.offset = offset
        self.is_cut = is_cut


class JsonStream:
    """A document, from its front to its end, once.

    `value` takes a whole value; `members` and `elements` go through an object or array, and whoever goes through takes
    the value of each key, or each element, before the next. has_separator: whether a record separator was skipped.
    """

    def __init__(self, file: IO[str], *, piece: int = 1 << 18, value_max: int = 1 << 25) -> None:
        self._file = file
        self._piece = piece
        self._value_max = value_max
        self._text = ""
        self._at = 0
        self._before = 0
        self._is_ended = False
        self.has_separator = False
        self._decode = json.JSONDecoder().raw_decode

    @property
    def offset(self) -> int:
        """How far it was read, in characters."""
        return self._before + self._at

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in SPACE:
                self.has_separator |= text[at] == SEPARATOR
                at += 1
            self._at = at
            if at < len(text):
                return text[at]
            if not self._more():
                return ""

    def value(self) -> Any:
        """The value that comes next, whatever it is."""
        self.peek()
        while True:
            try:
                found, end = self._decode(self._text, self._at)
            except RecursionError as error:
                raise JsonError("this is nested too deeply", self.offset) from error
            except json.JSONDecodeError as error:
                may_go_on = error.pos >= len(self._text) - LITERAL_MAX or error.msg.startswith("Unterminated")
                if may_go_on and self._refill():
                    continue
                problem = "this is no JSON" if not may_go_on or self._is_ended else "this value is too long"
                raise JsonError(problem, self.offset, is_cut=may_go_on and self._is_ended) from error
            if not self._text[end : end + LITERAL_MAX].strip(NUMBER) and isinstance(found, int | float):
                # The number may go on behind what was read; true and false, which are integers here, do no harm.
                if self._refill():
                    continue
                if end < len(self._text):
                    raise JsonError("this is no number", self.offset, is_cut=True)
            self._at = end
            return found

    def members(self) -> Iterator[str]:
        """The keys of the object that comes next."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise JsonError("a key that is no text", self.offset)
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def elements(self) -> Iterator[None]:
        """Once for each element of the array that comes next."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        while True:
            yield
            if self._take(",]") == "]":
                return

    def rest(self) -> Iterator[str]:
        """The lines behind what was read, each with its end."""
        text = self._text[self._at :] + self._file.readline()
        self._at = len(self._text)
        yield from text.splitlines(keepends=True)
        yield from self._file

    def _take(self, wanted: str) -> str:
        found = self.peek()
        if not found:
            raise JsonError("it ends too soon", self.offset, is_cut=True)
        if found not in wanted:
            raise JsonError(f"{' or '.join(wanted)} was expected, and {found!r} is there", self.offset)
        self._at += 1
        return found

    def _refill(self) -> bool:
        """More text for the value at hand, unless there is none, or it is too long."""
        return len(self._text) - self._at <= self._value_max and self._more()

    def _more(self) -> bool:
        if self._is_ended:
            return False
        # A value that did not fit gets twice the room, so that it is not decoded once for each piece.
        more = self._file.read(max(self._piece, len(self._text) - self._at))
        if not more:
            self._is_ended = True
            return False
        self._before += self._at
        self._text = self._text[self._at :] + more
        self._at = 0
        return True


SEPARATOR = "\x1e"
SPACE = " \t\r\n\x1e\ufeff"
"""Of JSON, and what may stand before a document or a record (RFC 7464 2.2)."""
NUMBER = "0123456789.eE+-"
LITERAL_MAX = 12
"""Characters of what cannot be told from a mistake before it is whole: -Infinity, an escape."""
