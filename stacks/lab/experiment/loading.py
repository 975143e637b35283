"""An experiment from a file, or from the ready ones by name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from stacks.lab.experiment.reading import parse_document
from stacks.lab.library import READY, ready_names
from stacks.runtime.errors import LocalError
from stacks.runtime.toml_problems import Origin


@dataclass(frozen=True, slots=True)
class Document:
    """An experiment's document: what it says, where its lines are, and the folder in which paths in it begin."""

    values: dict[str, object]
    origin: Origin
    folder: Path


def find_document(name: str) -> Document:
    """Of a file's path, or of a ready experiment's name; LocalError when there is none, or it is no TOML."""
    path = Path(name)
    if not name.endswith(".toml"):
        if name not in ready_names():
            raise LocalError(_nothing(name))
        path = READY / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LocalError(f"{path} is no text in UTF-8, so no experiment") from error
    shown = path.name if path.parent == READY else str(path)
    values, origin = parse_document(text, shown)
    return Document(values, origin, path.parent.resolve())


def _nothing(name: str) -> str:
    near = difflib.get_close_matches(name, ready_names(), n=1)
    hint = f"is it {near[0]}?" if near else "`baremetal lab list` shows those that there are"
    return f"no ready experiment is called {name!r}, and a file ends with .toml; {hint}"
