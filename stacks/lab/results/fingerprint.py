"""What tells two runs apart: a hash of the experiment, and one of the sources that ran it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from stacks.congestion.own import own_file
from stacks.lab.experiment.values import Experiment


def experiment_hash(experiment: Experiment) -> str:
    """Of everything that an experiment says but its titles; files that it names count by what is in them."""
    return _hash(json.dumps(_contents(as_plain(experiment)), sort_keys=True).encode())


@lru_cache(maxsize=1)
def sources_hash() -> str:
    """Of the modules that have a say in what a run in virtual time records."""
    root = Path(__file__).parent.parent.parent.parent
    found = hashlib.sha256()
    for folder in SOURCES:
        place = root / folder
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            found.update(f"{path.relative_to(root)}\n".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def run_hash(experiment: Experiment, runner: str) -> str:
    """What a kept result is called: short, and another one whenever anything is different."""
    return _hash(f"{runner} {experiment_hash(experiment)} {sources_hash()}".encode())[:HASH_DIGITS]


def as_plain(value: object) -> object:
    """A value of an experiment in JSON's types, without the places where it stands."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name != "place"
        }
    if isinstance(value, Mapping):
        return {str(key): as_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(each) for each in value]
    return str(value) if isinstance(value, Fraction | Path) else value


def _contents(value: object, key: str = "") -> object:
    if isinstance(value, dict):
        return {name: _contents(each, name) for name, each in value.items() if name not in TITLES}
    if isinstance(value, list):
        return [_contents(each, key) for each in value]
    if isinstance(value, str):
        path = own_file(value) if key == "controller" else Path(value) if key in FILES else None
        if path is not None:
            return [path.name, value.rpartition(":")[2] if key == "controller" else "", _hash(path.read_bytes())]
    return value


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SOURCES = ("transports/timeline.py", "transports/link", "stacks/congestion", "stacks/model", "stacks/lab")
TITLES = {"name", "title", "description"}
FILES = {"file"}
"""Keys whose text is the path of a file."""
HASH_DIGITS = 12
