"""The file that SSLKEYLOGFILE names, for Wireshark."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from apps.errors import CommandError


@contextlib.contextmanager
def key_log() -> Iterator[Callable[[str], None] | None]:
    """What appends a line to that file; None where the variable is not set. CommandError where it cannot be opened."""
    name = os.environ.get("SSLKEYLOGFILE")
    if not name:
        yield None
        return
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(
            f"SSLKEYLOGFILE={name}: {(error.strerror or str(error)).lower()}", "name another file, or unset it"
        ) from error
    with os.fdopen(descriptor, "a", buffering=1) as file:
        yield lambda line: _append(file.write, line)


def _append(write: Callable[[str], object], line: str) -> None:
    write(f"{line}\n")
