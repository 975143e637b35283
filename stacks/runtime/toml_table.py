"""One table of a document, read key by key: what is wrong is noted with its place, and reading goes on."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from stacks.runtime.errors import LocalError
from stacks.runtime.toml_places import Place

T = TypeVar("T")

Reader = Callable[[object], T]
"""Makes a value of what TOML says; raises LocalError that says why not: `is 1 to 5, not 7`, or a whole sentence."""


class Table:
    """A table.

    name: what messages call it; place: where it is; values: what it says.
    problems: where to note what is wrong, shared by all tables of a document.
    """

    def __init__(
        self, name: str, place: Place, values: dict[str, object], *, problems: list[tuple[Place, str]]
    ) -> None:
        self.name = name
        self.place = place
        self._values = values
        self._problems = problems
        self._known: list[str] = []

    def read(self, key: str, reader: Reader[T], default: T) -> T:
        """The value of a key; `default` where it is left out, or wrong."""
        self._known.append(key)
        if key not in self._values:
            return default
        try:
            return reader(self._values[key])
        except LocalError as error:
            self.note(about(key, error), key)
            return default

    def need(self, key: str, reader: Reader[T], default: T, *, example: str) -> T:
        """As `read`, of a key that has to be there."""
        if key not in self._values:
            self.note(f"{self.name} needs {key}, such as {key} = {example}")
        return self.read(key, reader, default)

    def read_each(self, key: str, reader: Reader[T]) -> tuple[T, ...] | None:
        """The elements of an array, without those that are wrong; None where the key is left out."""
        self._known.append(key)
        values = self._values.get(key)
        if values is None:
            return None
        if not isinstance(values, list):
            self.note(f"{key} is a list in brackets, not {values!r}", key)
            return None
        return tuple(self._read_elements(key, reader, values))

    def tables(self, key: str, name: str) -> Iterator[Table]:
        """The tables of an array of tables; name: what messages call each."""
        self._known.append(key)
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            path = ".".join([*(str(part) for part in self.place if isinstance(part, str)), key])
            self.note(f"a {name} starts with [[{path}]], in two pairs of brackets", key)
            return
        for index, each in enumerate(values):
            yield Table(name, (*self.place, key, index), each, problems=self._problems)

    def table(self, key: str, name: str) -> Table | None:
        """The table under a key, None where it is left out; name: what messages call it."""
        self._known.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            path = ".".join([*(str(part) for part in self.place if isinstance(part, str)), key])
            self.note(f"{key} is a table, which starts with [{path}], not {value!r}", key)
            return None
        return Table(name, (*self.place, key), value, problems=self._problems)

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def note(self, text: str, *inside: str | int) -> None:
        """Note that something is wrong, with the table or with a place inside it."""
        self._problems.append(((*self.place, *inside), text))

    def finish(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._values:
            if key not in self._known:
                self.note(f"unknown key {key!r}; {suggestion(key, self._known, 'there are')}", key)

    def _read_elements(self, key: str, reader: Reader[T], values: list[object]) -> Iterator[T]:
        for index, value in enumerate(values):
            try:
                yield reader(value)
            except LocalError as error:
                self.note(about(f"each of {key}", error), key, index)


def about(key: str, error: LocalError) -> str:
    """What to say of a key that a reader complains of."""
    words = str(error)
    return f"{key} {words}" if words.startswith("is ") else f"{key}: {words}"


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for a word that is not known: the one that is nearest, or all of them behind `otherwise`."""
    words = list(known)
    near = [each for each in words if word and each.startswith(word)] or difflib.get_close_matches(word, words, n=1)
    return f"is it {near[0]}?" if near else f"{otherwise}: {', '.join(words) or 'none'}"
