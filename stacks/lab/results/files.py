"""Files that are whole or not there, and errors that name them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name beside it and rename it; OSError, which names `path`, leaves what was there."""
    part = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        with naming(path):
            part.write_bytes(content)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError of the block the name of what could not be written: a full disk is told without any."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
