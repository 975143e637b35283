"""Where `nvme read` puts what it reads: a file that appears when it is whole, or a pipe or device as it comes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from apps.errors import CommandError
from apps.signals import end_tidily


class Destination(Protocol):
    """Takes bytes in order, from the first on."""

    is_standard_output: bool
    """Whether it is what reports are printed to."""

    def write(self, view: memoryview) -> None:
        """Take the next bytes. OSError when they cannot be taken."""

    def sha256(self) -> str:
        """The SHA-256 of all that was taken."""


class WholeFile:
    """A regular file, read once more for its checksum, since that would slow the transfer down."""

    is_standard_output = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, view: memoryview) -> None:
        """Append."""
        write_all(self._descriptor, view)

    def sha256(self) -> str:
        """Of the file."""
        return sha256_of(self._descriptor, os.fstat(self._descriptor).st_size)


class Stream:
    """A pipe, a terminal or a device, whose checksum is made on the way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self.is_standard_output = is_same_as_standard_output(os.fstat(descriptor))

    def write(self, view: memoryview) -> None:
        """Pass on."""
        write_all(self._descriptor, view)
        self._digest.update(view)

    def sha256(self) -> str:
        """Of what was passed on."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def destination(path: Path) -> Iterator[Destination]:
    """Open `path` for a transfer. What is there stays until the block has ended well.

    CommandError, in one line, when it cannot be written, is an image in use, or the transfer is broken off.
    """
    status = existing(path)
    if status is not None and (not stat.S_ISREG(status.st_mode) or is_same_as_standard_output(status)):
        with stream_to(path, status) as stream:
            yield stream
        return
    real = path.resolve()
    if status is not None:
        check_replaceable(real)
    end_tidily()
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{real.name[:100]}.", suffix=".part", dir=real.parent)
    except OSError as error:
        raise CommandError(
            f"{path}: cannot write in {real.parent}, {(error.strerror or str(error)).lower()}", "choose another folder"
        ) from error
    try:
        with naming(path):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) if status else 0o666 & ~current_umask())
            yield WholeFile(descriptor)
            Path(name).replace(real)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def stream_to(path: Path, status: os.stat_result) -> Iterator[Stream]:
    """A device, pipe or our own output, written as it comes."""
    own = is_same_as_standard_output(status)
    descriptor = os.dup(1) if own else os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield Stream(descriptor)
    except OSError as error:
        raise CommandError(f"{path}: {(error.strerror or str(error)).lower()}, the transfer is not complete") from error
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say of a transfer that is broken off what became of the file."""
    fate = f"{path} is left as it was" if path.exists() else f"the incomplete {path} is removed"
    try:
        yield
    except OSError as error:
        remedy = "; free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        raise CommandError(f"{path}: {(error.strerror or str(error)).lower()}, {fate}{remedy}") from error
    except KeyboardInterrupt as error:
        raise CommandError(f"interrupted, {fate}", status=130) from error


def existing(path: Path) -> os.stat_result | None:
    """What is at `path`; None for nothing."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def check_replaceable(path: Path) -> None:
    """CommandError for a file that may not be written, or that a target serves."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"{path} is in use, a target may serve it", "name another file") from error


def is_same_as_standard_output(status: os.stat_result) -> bool:
    """Whether that is the file that our standard output goes to."""
    try:
        return os.path.samestat(status, os.fstat(1))
    except OSError:
        return False


def current_umask() -> int:
    """The mask of a new file's mode; the one way to learn it is to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_all(descriptor: int, view: memoryview) -> None:
    """Write all of `view`."""
    while view:
        view = view[os.write(descriptor, view) :]


def sha256_of(descriptor: int, length: int) -> str:
    """The SHA-256 of the first `length` bytes of a file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    at = 0
    while at < length:
        count = os.preadv(descriptor, [buffer[: min(len(buffer), length - at)]], at)
        if not count:
            break
        digest.update(buffer[:count])
        at += count
    return digest.hexdigest()
