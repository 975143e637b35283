"""The points of a sweep: a document with some of its values replaced, once for each combination.

    [sweep]                                     --set topology.buffer=0.5bdp,1bdp
    "topology.buffer" = ["0.5bdp", "1bdp"]
    "flow.bbr.controller" = ["bbr1", "bbr3"]    flow.NAME, flow.0 (by number), flow.* (all of them)

    [[case]]                                    one more dimension, whose points have names
    name = "small windows"
    set = { "flow.*.initial_window" = 2 }
"""

from __future__ import annotations

import copy
import itertools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stacks.lab.experiment.loading import Document
from stacks.lab.experiment.reading import read_experiment
from stacks.lab.experiment.values import Experiment
from stacks.runtime.errors import LocalError
from stacks.runtime.toml_places import Place, line_of
from stacks.runtime.toml_problems import ConfigurationError, Origin, Problem
from stacks.runtime.toml_table import suggestion

Choice = tuple[str, tuple[tuple[str, object], ...], Place]
"""What a point is called in its dimension, the paths and values that it sets, and where the document says so."""


@dataclass(frozen=True, slots=True)
class Point:
    """One experiment of a sweep. parameters: by the name of each dimension, what it has there."""

    parameters: tuple[tuple[str, object], ...]
    experiment: Experiment


def read_points(document: Document, settings: Sequence[str] = ()) -> list[Point]:
    """Every point of the grid, in order, the last dimension fastest; one point where nothing is swept.

    settings: PATH=V1,V2,... of the command line, which replace dimensions of the document. ConfigurationError with all
    that is wrong with any point, before any runs.
    """
    dimensions = _dimensions(document, settings)
    points, problems = [], []
    for choices in itertools.product(*dimensions.values()):
        try:
            points.append(_point(document, list(zip(dimensions, choices, strict=True))))
        except ConfigurationError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigurationError(problems, document.origin.name)
    return points


def read_base(document: Document, settings: Sequence[str] = ()) -> Point:
    """The experiment as it stands, whatever it would sweep. settings: PATH=VALUE; LocalError for several values."""
    values = {key: value for key, value in document.values.items() if key not in ("sweep", "case")}
    points = read_points(replace(document, values=values), settings)
    if len(points) > 1:
        raise LocalError(f"that is {len(points)} runs: `baremetal lab sweep` does several, with the same --set")
    return points[0]


def _point(document: Document, chosen: list[tuple[str, Choice]]) -> Point:
    values = copy.deepcopy(document.values)
    values.pop("sweep", None)
    values.pop("case", None)
    lines = dict(document.origin.lines)
    for _, (_, settings, place) in chosen:
        line = line_of(lines, place) if place else 0
        for path, value in settings:
            try:
                lines |= dict.fromkeys(_write(values, path, value), line)
            except LocalError as error:
                raise ConfigurationError([Problem(line, str(error))], document.origin.name) from error
    try:
        experiment = read_experiment(values, Origin(document.origin.name, lines), folder=document.folder)
    except ConfigurationError as error:
        if not chosen:
            raise
        words = ", ".join(f"{name} = {choice[0]}" for name, choice in chosen)
        raise ConfigurationError(
            [Problem(problem.line, f"with {words}: {problem.text}") for problem in error.problems],
            document.origin.name,
        ) from error
    parameters = tuple((name, choice[1][0][1] if name != "case" else choice[0]) for name, choice in chosen)
    return Point(parameters, experiment)


def _dimensions(document: Document, settings: Sequence[str]) -> dict[str, list[Choice]]:
    dimensions: dict[str, list[Choice]] = {}
    problems: list[tuple[Place, str]] = []
    cases = document.values.get("case", [])
    if isinstance(cases, list) and cases:
        dimensions["case"] = [_case(case, ("case", index), problems) for index, case in enumerate(cases)]
    for path, values, place in _swept(document.values.get("sweep", {}), ("sweep",)):
        if isinstance(values, list) and values:
            dimensions[path] = [(str(value), ((path, value),), (*place, index)) for index, value in enumerate(values)]
        else:
            problems.append((place, f'what is swept is a list in brackets: "{path}" = ["1bdp", "2bdp"]'))
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path.strip() or not text.strip():
            raise LocalError(f"--set is PATH=V1,V2,..., such as topology.buffer=1bdp,2bdp, not {setting!r}")
        values = [_value(word.strip()) for word in _split(text)]
        dimensions[path.strip()] = [(str(value), ((path.strip(), value),), ()) for value in values]
    if problems:
        raise document.origin.error(problems)
    return dimensions


def _case(case: object, place: Place, problems: list[tuple[Place, str]]) -> Choice:
    if isinstance(case, dict) and isinstance(case.get("name"), str) and isinstance(case.get("set", {}), dict):
        for key in case:
            if key not in ("name", "set"):
                problems.append(((*place, key), f"unknown key {key!r}; a case has name and set"))
        return case["name"], tuple(case.get("set", {}).items()), place
    problems.append((place, 'a case has a name and what it sets: set = { "topology.buffer" = "1bdp" }'))
    return "", (), place


def _swept(values: object, place: Place) -> Iterator[tuple[str, object, Place]]:
    # `"a.b" = [...]` and `a.b = [...]` say the same.
    if not isinstance(values, dict):
        yield "sweep", None, place
        return
    for key, value in values.items():
        if isinstance(value, dict):
            for path, inner, inside in _swept(value, (*place, key)):
                yield f"{key}.{path}", inner, inside
        else:
            yield key, value, (*place, key)


def _split(text: str) -> list[str]:
    """At commas, but for those inside brackets and quotes: a table or a list is one value."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if character == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _value(word: str) -> object:
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        return word


def _write(values: dict[str, object], path: str, value: object) -> list[Place]:
    """Set what a path names; the places that it has in the document."""
    found: list[tuple[Place, object]] = [((), values)]
    *words, last = path.split(".")
    for word in words:
        found = [inner for place, each in found for inner in _inside(each, word, place, path)]
    for _, each in found:
        if not isinstance(each, dict):
            raise LocalError(f"{path}: {'.'.join(words)} has no keys")
        each[last] = value
    return [(*place, last) for place, _ in found]


def _inside(value: object, word: str, place: Place, path: str) -> list[tuple[Place, object]]:
    if isinstance(value, list):
        names = [str(each.get("name", each.get("controller", ""))) for each in value if isinstance(each, dict)]
        if word == "*":
            return [((*place, index), each) for index, each in enumerate(value)]
        if word.isdigit() and int(word) < len(value):
            return [((*place, int(word)), value[int(word)])]
        if word in names:
            return [((*place, index), value[index]) for index, name in enumerate(names) if name == word]
        raise LocalError(f"{path}: there is no {word!r}; {suggestion(word, names, 'there are')}")
    if not isinstance(value, dict):
        raise LocalError(f"{path}: there are no keys in {'.'.join(map(str, place))}")
    if word not in value and place:
        # A table that is not there yet; whether there may be one, the reading of the document knows.
        value[word] = {}
    if word not in value:
        raise LocalError(f"{path}: there is no {word!r}; {suggestion(word, value, 'there are')}")
    return [((*place, word), value[word])]
