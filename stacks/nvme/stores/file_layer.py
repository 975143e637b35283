"""The file under a store: the few operations it needs, as the operating system does them.

Everything that touches the operating system goes through the small `FileLayer`, which a test replaces by one that
loses, or tears, what was not synced.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from stacks.runtime import LocalError


class FileLayer(Protocol):
    """The file operations that a `FileStore` needs. All may raise OSError; offsets and lengths in bytes."""

    def size(self) -> int:
        """Length of the file."""

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read at `offset`; how many bytes came, fewer only at the end of the file."""

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        """Write `data` back to back at `offset`; how many bytes were taken, which may be fewer."""

    def sync(self) -> None:
        """Return when the file's data is on the medium (fdatasync)."""

    def punch(self, offset: int, length: int) -> bool:
        """Make a hole that reads as zeroes; False when the file system cannot."""

    def resize(self, size_bytes: int) -> None:
        """Cut the file, or extend it by a hole; durable after `sync`."""

    def close(self) -> None:
        """Close the file, which gives up its lock."""


class OsFile:
    """The `FileLayer` of a real file descriptor, which it owns."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def size(self) -> int:
        """Length of the file, or of the block device."""
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read until `into` is full or the file ends."""
        done = os.preadv(self._descriptor, (into,), offset)
        while 0 < done < len(into):
            more = os.preadv(self._descriptor, (into[done:],), offset + done)
            if not more:
                break
            done += more
        return done

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        """One pwritev, of as many views as it takes."""
        try:
            return os.pwritev(self._descriptor, data, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or len(data) <= VIEWS_MAX:
                raise
            return os.pwritev(self._descriptor, data[:VIEWS_MAX], offset)

    def sync(self) -> None:
        """fdatasync: data, and the metadata needed to read it back."""
        os.fdatasync(self._descriptor)

    def punch(self, offset: int, length: int) -> bool:
        """Punch with fallocate, keeping the size."""
        if _FALLOCATE is None:
            return False
        if _FALLOCATE(self._descriptor, _PUNCH_HOLE_KEEP_SIZE, offset, length) == 0:
            return True
        number = ctypes.get_errno()
        if number in (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV):
            return False
        raise OSError(number, os.strerror(number))

    def resize(self, size_bytes: int) -> None:
        """One ftruncate."""
        truncate(self._descriptor, size_bytes)

    def close(self) -> None:
        """Close the descriptor; its flock goes with it. What comes later fails, whoever has the number then."""
        descriptor, self._descriptor = self._descriptor, CLOSED
        os.close(descriptor)


def open_file(path: str, *, is_read_only: bool = False) -> OsFile:
    """Open a file under a lock: exclusive, or shared when it is only read.

    Raises LocalError with one line for a person: no such file, no permission, a folder, in use.
    """
    try:
        descriptor = os.open(path, (os.O_RDONLY if is_read_only else os.O_RDWR) | os.O_CLOEXEC)
    except OSError as error:
        raise cannot(path, error) from error
    lock(descriptor, path, "image", is_shared=is_read_only)
    return OsFile(descriptor)


def lock(descriptor: int, path: str, what: str, *, is_shared: bool = False) -> None:
    """Lock what was opened, without waiting. what: how the message calls it.

    LocalError, with the descriptor closed, when another process has it or it cannot be locked.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        is_ours = has_open_elsewhere(descriptor)
        os.close(descriptor)
        if isinstance(error, BlockingIOError) and is_ours:
            raise LocalError(f"{path}: {what} is in use by this process already, and can be that once only") from error
        if isinstance(error, BlockingIOError):
            raise LocalError(f"{path}: {what} is in use by another target, stop that one first") from error
        raise cannot(path, error) from error


def has_open_elsewhere(descriptor: int) -> bool:
    """Whether this process has the file of a descriptor open under another number, as far as Linux tells."""
    wanted = os.fstat(descriptor)
    with contextlib.suppress(OSError):
        for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            with contextlib.suppress(OSError):
                if number != descriptor and os.path.samestat(os.fstat(number), wanted):
                    return True
    return False


def sync_folder(path: str) -> None:
    """Return when the names in a folder are on the medium; LocalError when that fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot(path, error) from error


def write_all(layer: FileLayer, offset: int, data: Sequence[memoryview]) -> None:
    """Write all of `data`; OSError when the file takes no more."""
    write_rest(layer, offset, data, 0)


def write_rest(layer: FileLayer, offset: int, data: Sequence[memoryview], done: int) -> None:
    """Write all of `data` but its first `done` bytes, which are written; OSError when the file takes no more."""
    total = sum(map(len, data))
    while done < total:
        more = layer.write_from(offset + done, _skip(data, done))
        if more <= 0:
            raise OSError(errno.EIO, "the file takes no more")
        done += more


def truncate(descriptor: int, size_bytes: int) -> None:
    """Give a file a size; OSError when it cannot have it."""
    try:
        os.ftruncate(descriptor, size_bytes)
    except OverflowError as error:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from error


def cannot(path: str, error: OSError) -> LocalError:
    """What to raise for an OSError: the path, and why."""
    number = error.errno or errno.EIO
    return LocalError(f"{path}: {(error.strerror or os.strerror(number)).lower()}", errno=number)


def _skip(data: Sequence[memoryview], count: int) -> list[memoryview]:
    rest = []
    for view in data:
        if count < len(view):
            rest.append(view[count:])
        count = max(0, count - len(view))
    return rest


def _load_fallocate() -> ctypes._NamedFuncPointer | None:
    # The standard library has posix_fallocate only, which cannot punch.
    function = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        function.restype = ctypes.c_int
    return function


_FALLOCATE: Final = _load_fallocate()
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01

VIEWS_MAX = 1024
"""IOV_MAX of Linux."""

CLOSED = -1
"""No descriptor; the operating system refuses it with EBADF."""
