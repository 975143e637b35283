"""Where what `quic get` fetches goes: files that appear when they are whole, or a stream as it comes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from apps.errors import CommandError
from apps.nvme.destinations import current_umask, existing, is_same_as_standard_output, write_all


class Download:
    """One file under way. `finish` has it appear under its name, `discard` leaves what was there before.

    path: the final name. CommandError where nothing can be made beside it.
    """

    is_standard_output = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        status = existing(path)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise CommandError(f"{path} is no regular file", "name another with --output or --directory")
        self._real = path.resolve()
        try:
            self._descriptor, name = tempfile.mkstemp(
                prefix=f".{self._real.name[:100]}.", suffix=".part", dir=self._real.parent
            )
        except OSError as error:
            raise CommandError(
                f"{path}: cannot write in {self._real.parent}, {_words(error)}",
                "choose another folder",
            ) from error
        self._part = Path(name)
        os.fchmod(self._descriptor, stat.S_IMODE(status.st_mode) if status else 0o666 & ~current_umask())

    def write(self, data: bytes) -> None:
        """Append; CommandError where the file does not take it."""
        try:
            write_all(self._descriptor, memoryview(data))
        except OSError as error:
            fate = f"{self.path} is left as it was" if self.path.exists() else f"the incomplete {self.path} is removed"
            remedy = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
            raise CommandError(f"{self.path}: {_words(error)}, {fate}", remedy) from error
        self.size_bytes += len(data)

    def finish(self) -> None:
        """All is there."""
        os.close(self._descriptor)
        self._part.replace(self._real)

    def discard(self) -> None:
        """Nothing came of it. Idempotent, and without effect after `finish`."""
        if self._part.exists():
            self._part.unlink()
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


class Outflow:
    """A pipe, a terminal, a device or our own output, written as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.is_standard_output = path == DASH or is_same_as_standard_output(path.stat())
        self._descriptor = os.dup(1) if self.is_standard_output else os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Pass on; CommandError where it is not taken."""
        try:
            write_all(self._descriptor, memoryview(data))
        except OSError as error:
            what = "standard output" if self.is_standard_output else str(self.path)
            raise CommandError(f"{what}: {_words(error)}, the transfer is not complete") from error
        self.size_bytes += len(data)

    def finish(self) -> None:
        """No more comes."""
        os.close(self._descriptor)

    def discard(self) -> None:
        """No more comes; what went out is out."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def sink(path: Path) -> Download | Outflow:
    """What takes the bytes for `path`; `-` is standard output."""
    if path == DASH:
        return Outflow(path)
    status = existing(path)
    if status is not None and not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return Outflow(path)
    return Download(path)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


DASH = Path("-")
