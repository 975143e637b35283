"""Kinds of things by name, with parameters that are typed, documented and checked before anything is made.

A catalogue (`elements`, `linkrates`) lists kinds; what is written for one becomes a `Spec`:

    "1%"                                    the kind that is meant where none is named, and its first parameter
    "ge:p=0.01,r=0.3"                       on a command line
    {"kind": "gilbert-elliott", "p": 0.01, "r": 0.3}       in TOML; times also as delay_ms = 20

Every mistake is a TransportError of one line: `loss: p is a probability from 0 to 1 such as 0.02 or 2%, not 3`.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transports.errors import TransportError
from transports.link.readers import TIMES, Reader, duration, durations, room, span
from transports.timeline import Timeline

Build = Callable[..., Any]
"""Called with a timeline, a generator, and the values of the parameters in their order."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. name: as it is written. reads: see `readers`. text: what it is, with its unit, in a few words.

    default: what it is when it is left out, as it would be read; REQUIRED: it may not be.
    """

    name: str
    reads: Reader
    text: str
    default: Any = None

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. name, aliases: how it is called. text: what it does, in a few words. source: of its definition."""

    name: str
    text: str
    build: Build
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A kind with its parameters: all is checked, nothing is made yet."""

    kind: Kind
    values: tuple[tuple[str, Any], ...] = ()
    # What it was read from, for messages.
    name: str = field(default="", compare=False)

    def build(self, timeline: Timeline, rng: random.Random) -> Any:
        """Make it. TransportError for parameters that do not go together."""
        try:
            return self.kind.build(timeline, rng, *[value for _, value in self.values])
        except TransportError as error:
            raise TransportError(f"{self.name}: {error}") from None


def read_spec(name: str, value: object, kinds: Iterable[Kind], *, short: str = "") -> Spec:
    """What was written for `name`, as a Spec. short: the kind that is meant where none is named."""
    by_name = {each: kind for kind in kinds for each in (kind.name, *kind.aliases)}
    word, written = _split(name, value, by_name, short)
    kind = by_name.get(word)
    if kind is None:
        raise TransportError(f"{name}: there is no kind {word!r}; {suggestion(word, by_name)}")
    given = dict(written)
    values = tuple((each.name, _read(name, each, given)) for each in kind.parameters)
    for key in given:
        known = [each.name for each in kind.parameters]
        raise TransportError(f"{name}: {kind.name} has no parameter {key!r}; {suggestion(str(key), known)}")
    spec = Spec(kind, values, name)
    # What only shows when it is made, shows now.
    spec.build(Timeline(), random.Random(0))
    return spec


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the one that is nearest, or all of them."""
    words = list(known)
    near = [each for each in words if word and each.startswith(word)] or difflib.get_close_matches(word, words, n=1)
    return f"is it {near[0]}?" if near else f"there are: {', '.join(words) or 'none'}"


def _split(
    name: str, value: object, by_name: Mapping[str, Kind], short: str
) -> tuple[str, Iterable[tuple[str, object]]]:
    if isinstance(value, Mapping):
        written = dict(value)
        word = written.pop("kind", short)
        if not isinstance(word, str) or not word:
            raise TransportError(f"{name}: kind is a word in quotes, one of: {', '.join(by_name)}")
        return word, written.items()
    if isinstance(value, str):
        word, colon, rest = value.partition(":")
        if word in by_name and (colon or not by_name[word].parameters or word != short):
            return word, _pairs(name, rest, by_name[word])
        if "=" in value and not colon:
            return short, _pairs(name, value, by_name[short]) if short else ()
        if colon:
            return word, ()
    if not short:
        raise TransportError(f"{name}: is a kind and its parameters, such as {_example(by_name)}, not {value!r}")
    first = by_name[short].parameters[:1]
    return short, [(each.name, value) for each in first]


def _pairs(name: str, text: str, kind: Kind) -> Iterable[tuple[str, object]]:
    for piece in text.split(",") if text else ():
        key, equals, value = piece.partition("=")
        if equals and _is_name(key):
            yield key.strip(), value
        elif kind.parameters:
            yield kind.parameters[0].name, piece
        else:
            raise TransportError(f"{name}: parameters are written NAME=VALUE with commas between, not {piece!r}")


def _is_name(key: str) -> bool:
    return key.strip().replace("_", "a").replace("-", "a").isalpha()


def _read(name: str, parameter: Parameter, given: dict[str, object]) -> Any:
    """Takes it out of what was given."""
    value = given.pop(parameter.name, None)
    if parameter.reads in TIMED:
        for unit in TIMES:
            other = given.pop(f"{parameter.name}_{unit}", None)
            if other is None:
                continue
            if value is not None or isinstance(other, bool) or not isinstance(other, int | float | str):
                raise TransportError(f"{name}: {parameter.name}_{unit} is a number, and the only {parameter.name}")
            value = f"{other}{unit}"
    if value is None:
        if parameter.is_required:
            raise TransportError(f"{name}: {parameter.name} is needed: {parameter.text}")
        return parameter.default
    try:
        return parameter.reads(value)
    except ValueError as error:
        raise TransportError(f"{name}: {parameter.name} {error}") from None


def _example(by_name: Mapping[str, Kind]) -> str:
    kind = next(iter(by_name.values()))
    needed = ",".join(f"{each.name}=..." for each in kind.parameters if each.is_required)
    return f"{kind.name}:{needed}" if needed else kind.name


REQUIRED: Any = object()
TIMED = (duration, span, durations, room)
