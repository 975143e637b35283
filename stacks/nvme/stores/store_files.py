"""Which files a store lives in, from its text and before it is opened: for a look at whether it can be."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stacks.nvme.stores.capacity import block_count_of
from stacks.nvme.stores.faults import is_fault, parse_fault
from stacks.nvme.stores.overlay.opening import MEMORY
from stacks.nvme.stores.specification import parse_size, place_in, split_faulty, split_form, split_overlay
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file of a store.

    path: where; is_shared: it is only read, so others may have it as well; is_layer: the layer of an overlay, which is
    made where there is none, unless it is only read.
    """

    path: str
    is_shared: bool
    is_layer: bool = False

    @property
    def real_path(self) -> str:
        """The same for two names of one file."""
        return os.path.realpath(self.path)


def store_files(text: str, *, is_read_only: bool = False, folder: str | Path = "") -> list[StoreFile]:
    """The files of the store that `text` names; the arguments are those of `open_store`. LocalError as there, for a
    text that is none.
    """
    return list(_files(text, is_shared=is_read_only, folder=str(folder)))


def check_store(text: str, *, block_bytes: int = 4096, is_read_only: bool = False, folder: str | Path = "") -> None:
    """Raise LocalError, with what to do about it, where the store that `text` names cannot be opened as its files are
    now. Nothing is opened, made or locked, so this can still turn out otherwise.
    """
    for file in store_files(text, is_read_only=is_read_only, folder=folder):
        if file.is_layer:
            _check_layer(file)
        else:
            _check_image(file.path, block_bytes)
    _check_memory(text, block_bytes)


def _files(text: str, *, is_shared: bool, folder: str) -> Iterator[StoreFile]:
    kind, rest = split_form(text)
    if kind == "mem":
        parse_size(rest)
    elif kind == "file":
        yield StoreFile(place_in(folder, rest), is_shared)
    elif kind == "ro":
        yield from _files(rest, is_shared=True, folder=folder)
    elif kind == "overlay":
        base, layer, snapshot = split_overlay(rest)
        yield from _files(base, is_shared=True, folder=folder)
        if layer != MEMORY:
            yield StoreFile(place_in(folder, layer), is_shared or snapshot is not None, is_layer=True)
    elif kind == "faulty":
        inner, options = split_faulty(rest)
        for option in filter(is_fault, options):
            parse_fault(option)
        yield from _files(inner, is_shared=is_shared, folder=folder)
    elif kind == "dir":
        raise LocalError(f"{text} has several namespaces, and is no single store; name an image in it")


def _check_layer(file: StoreFile) -> None:
    if Path(file.path).is_dir():
        raise LocalError(f"{file.path} is a directory; name the layer's file")
    folder = Path(file.path).parent
    if not folder.is_dir():
        raise LocalError(f"{folder}: no such folder for a layer; make it: mkdir -p {folder}")
    if file.is_shared and not Path(file.path).exists():
        raise LocalError(f"{file.path}: no such file, and a layer that is only read is not made")


def _check_image(path: str, block_bytes: int) -> None:
    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        raise LocalError(f"{path}: no such file; make one: truncate -s 1G {path}") from error
    except OSError as error:
        raise LocalError(f"{path}: {(error.strerror or str(error)).lower()}; check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise LocalError(f"{path} is a directory; name an image file, or make one: truncate -s 1G disk.img")
    if not stat.S_ISREG(status.st_mode):
        return
    if not status.st_size:
        raise LocalError(f"{path} is empty; give it a size: truncate -s 1G {path}")
    if status.st_size % block_bytes:
        raise LocalError(
            f"{path} has {status.st_size} bytes, no whole number of blocks of {block_bytes}; "
            f"round it up: truncate -s %{block_bytes} {path}"
        )


def _check_memory(text: str, block_bytes: int) -> None:
    kind, rest = split_form(text)
    if kind == "mem":
        block_count_of(text, parse_size(rest), block_bytes)
    elif kind == "ro":
        _check_memory(rest, block_bytes)
    elif kind == "overlay":
        _check_memory(split_overlay(rest)[0], block_bytes)
    elif kind == "faulty":
        _check_memory(split_faulty(rest)[0], block_bytes)
