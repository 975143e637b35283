"""A store from the words a person types.

    mem:1GiB                            memory
    disk.img                            an image file; file:disk.img for odd names
    ro:ANY                              any of them, read-only
    overlay:BASE+LAYER                  changes go into the layer, a file that is made where there is none, or mem:
    overlay:BASE+LAYER@SNAPSHOT         a snapshot, read-only
    faulty:ANY+read:error=EIO,count=3   with faults; also +cache for one that power cuts lose, and +seed=7

BASE is any of them as well, and opened read-only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.faults import is_fault, parse_fault
from stacks.nvme.stores.faulty import FaultyStore
from stacks.nvme.stores.file import open_image
from stacks.nvme.stores.memory import MemoryStore
from stacks.nvme.stores.overlay import open_overlay, open_snapshot
from stacks.nvme.stores.overlay.opening import MEMORY
from stacks.nvme.stores.read_only import ReadOnlyStore
from stacks.runtime import LocalError


def open_store(text: str, *, block_bytes: int = 4096, is_read_only: bool = False, folder: str | Path = "") -> Store:
    """The store that `text` names, in one of the forms of this module; its `close` closes all that it is made of.

    block_bytes: 512 or 4096. folder: where paths begin that are not absolute; empty for the current one.
    Raises LocalError with one line for a person.
    """
    return _open(text, _How(block_bytes, is_read_only, str(folder)))


def is_image(text: str) -> bool:
    """Whether `text` is the path of an image, and no other form."""
    return split_form(text)[0] == "file"


def split_form(text: str) -> tuple[str, str]:
    """The word of a text's form, `file` for a bare path, and what comes behind it."""
    kind, colon, rest = text.partition(":")
    return (kind, rest) if colon and kind in _OPENERS else ("file", text)


def split_overlay(rest: str) -> tuple[str, str, str | None]:
    """Base, layer, and snapshot or None, of what comes behind `overlay:`; LocalError when one is missing."""
    base, _, layer = rest.rpartition("+")
    path, at, snapshot = layer.rpartition("@") if "@" in layer else (layer, "", "")
    if not base or not path:
        raise LocalError(f"overlay:{rest} has no base or no layer; write overlay:golden.img+changes.layer")
    return base, path, snapshot if at else None


def split_faulty(rest: str) -> tuple[str, list[str]]:
    """The store, and the rules and options, of what comes behind `faulty:`."""
    options: list[str] = []
    inner, plus, option = rest.rpartition("+")
    while plus and _is_option(option):
        options.insert(0, option)
        rest = inner
        inner, plus, option = rest.rpartition("+")
    return rest, options


def place_in(folder: str, path: str) -> str:
    """A path that begins in `folder`, unless it is absolute; as it is where the folder is empty."""
    return str(Path(folder, path)) if folder else path


def parse_size(text: str) -> int:
    """Bytes of a size as people write it: 4096, 4k, 128KiB, 1GiB, 1.5T.

    Powers of 1024, except with a B and no i (1GB is 10^9). Raises LocalError for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(i?b)?", text.strip().lower())
    if match is None:
        raise LocalError(f"{text!r} is not a size; write 4096, 4k, 512MiB or 1GiB")
    number, prefix, unit = match.groups()
    base = 1000 if prefix and unit == "b" else 1024
    size = float(number) * base ** (" kmgtp".index(prefix) if prefix else 0)
    if size != int(size):
        raise LocalError(f"{text!r} is not a whole number of bytes")
    return int(size)


@dataclass(frozen=True, slots=True)
class _How:
    block_bytes: int
    is_read_only: bool
    folder: str


def _open(text: str, how: _How) -> Store:
    kind, rest = split_form(text)
    return _OPENERS[kind](rest, how)


def _memory(rest: str, how: _How) -> Store:
    store = MemoryStore(parse_size(rest), block_bytes=how.block_bytes)
    return ReadOnlyStore(store) if how.is_read_only else store


def _image(rest: str, how: _How) -> Store:
    return open_image(place_in(how.folder, rest), block_bytes=how.block_bytes, is_read_only=how.is_read_only)


def _read_only(rest: str, how: _How) -> Store:
    return _open(rest, replace(how, is_read_only=True))


def _overlay(rest: str, how: _How) -> Store:
    base, layer, snapshot = split_overlay(rest)
    path = layer if layer == MEMORY else place_in(how.folder, layer)

    def over(below: Store) -> Store:
        if snapshot is not None:
            return open_snapshot(below, path, snapshot)
        return open_overlay(below, path, is_read_only=how.is_read_only)

    return _around(_open(base, replace(how, is_read_only=True)), over)


def _faulty(rest: str, how: _How) -> Store:
    inner, options = split_faulty(rest)
    rules = [parse_fault(each) for each in options if is_fault(each)]
    seed = next((int(each.removeprefix("seed=")) for each in options if each.startswith("seed=")), 0)
    return FaultyStore(_open(inner, how), rules, has_cache="cache" in options, seed=seed)


def _is_option(text: str) -> bool:
    return text == "cache" or is_fault(text) or re.fullmatch(r"seed=\d+", text, re.ASCII) is not None


def _folder(rest: str, _: _How) -> Store:
    raise LocalError(f"dir:{rest} has several namespaces, and is no single store; name an image in it")


def _around(inner: Store, make: Callable[[Store], Store]) -> Store:
    try:
        return make(inner)
    except LocalError:
        inner.close()
        raise


_OPENERS: dict[str, Callable[[str, _How], Store]] = {
    "mem": _memory,
    "file": _image,
    "ro": _read_only,
    "overlay": _overlay,
    "faulty": _faulty,
    "dir": _folder,
}
"""Each form's word, and what opens what comes behind it."""
