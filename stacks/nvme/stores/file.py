"""A store in a sparse file: pread and pwrite inline, fdatasync for flush, holes for deallocated blocks.

An operating system may report that it lost written data only once, and forget the data with the report (Linux marks
the pages clean). So after a flush that failed, every change and every flush fails until the file is opened again;
reads go on.

The file is never mapped: a full disk is then an errno of a write and not a SIGBUS. Everything that touches the
operating system goes through the small `FileLayer`, which a test replaces by one that loses unsynced writes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Sequence
from typing import Final, Protocol

from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, WRITE_ZEROES, Store
from stacks.nvme.stores.memory import block_count_of
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

    def close(self) -> None:
        """Close the file, which gives up its lock."""


class FileStore(Store):
    """Blocks in a file.

    layer: the open file, owned by the store from now on; block_bytes: 512 or 4096.
    name: how messages call the file; is_read_only: refuse every change.
    Raises LocalError when the file's size is not a positive multiple of the block size.
    """

    slow_verbs = frozenset((FLUSH, DEALLOCATE, WRITE_ZEROES))

    def __init__(
        self, layer: FileLayer, *, block_bytes: int = 4096, name: str = "image", is_read_only: bool = False
    ) -> None:
        self.block_bytes = block_bytes
        self.block_count = block_count_of(name, layer.size(), block_bytes)
        self.is_read_only = is_read_only
        # A hole beyond the end changes nothing, and tells whether the file system has them.
        self.is_zero_after_deallocate = not is_read_only and layer.punch(layer.size(), block_bytes)
        self._layer = layer
        self._lost: OSError | None = None

    def read(self, block: int, into: memoryview) -> None:
        """Read blocks; a file that was cut short behind our back is a read error."""
        if self._layer.read_into(block * self.block_bytes, into) != len(into):
            raise OSError(errno.EIO, "the file is shorter than it was")

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write blocks; on an error an unknown part of them is written, as NVMe allows."""
        if self._lost is not None:
            raise self._failure()
        offset = block * self.block_bytes
        total = sum(map(len, data))
        done = self._layer.write_from(offset, data)
        while done < total:
            more = self._layer.write_from(offset + done, _skip(data, done))
            if more <= 0:
                raise OSError(errno.EIO, "the file takes no more")
            done += more

    def flush(self) -> None:
        """Wait until every write is on the medium; once that failed, it fails for ever."""
        if self._lost is not None:
            raise self._failure()
        try:
            self._layer.sync()
        except OSError as error:
            self._lost = error
            raise

    def deallocate(self, block: int, blocks: int) -> None:
        """Punch a hole, where the file system has holes."""
        if self._lost is not None:
            raise self._failure()
        if self.is_zero_after_deallocate:
            self._layer.punch(block * self.block_bytes, blocks * self.block_bytes)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Punch a hole, or write the zeroes out."""
        if self._lost is not None:
            raise self._failure()
        if not self._layer.punch(block * self.block_bytes, blocks * self.block_bytes):
            Store.write_zeroes(self, block, blocks)

    def close(self) -> None:
        """Put everything on the medium and close the file."""
        try:
            if not self.is_read_only:
                self.flush()
        finally:
            self._layer.close()

    def _failure(self) -> OSError:
        assert self._lost is not None
        return OSError(self._lost.errno or errno.EIO, "written data was lost earlier; the image must be opened again")


def open_image(path: str, *, block_bytes: int = 4096, is_read_only: bool = False) -> FileStore:
    """Open an image file under an exclusive lock, as a `FileStore`.

    Raises LocalError with one line for a person: no such file, no permission, a folder, in use, a size that is not a
    multiple of the block size.
    """
    try:
        descriptor = os.open(path, (os.O_RDONLY if is_read_only else os.O_RDWR) | os.O_CLOEXEC)
    except OSError as error:
        raise LocalError(f"{path}: {os.strerror(error.errno or 0).lower()}") from error
    layer = OsFile(descriptor)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return FileStore(layer, block_bytes=block_bytes, name=path, is_read_only=is_read_only)
    except BlockingIOError as error:
        layer.close()
        raise LocalError(f"{path}: image is in use by another target, stop that one first") from error
    except (OSError, LocalError) as error:
        layer.close()
        if isinstance(error, LocalError):
            raise
        raise LocalError(f"{path}: {os.strerror(error.errno or 0).lower()}") from error


def create_image(path: str, size_bytes: int) -> None:
    """Make a new sparse file of `size_bytes`; raises LocalError when the path exists or cannot be written."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LocalError(f"{path}: {os.strerror(error.errno or 0).lower()}") from error


class OsFile:
    """The `FileLayer` of a real file descriptor, which it owns."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

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
        """One pwritev."""
        return os.pwritev(self._descriptor, data, offset)

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

    def close(self) -> None:
        """Close the descriptor; its flock goes with it. What comes later fails, whoever has the number then."""
        descriptor, self._descriptor = self._descriptor, CLOSED
        os.close(descriptor)


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

CLOSED = -1
"""No descriptor; the operating system refuses it with EBADF."""
