"""A store in anonymous memory: it costs nothing until it is written, and is gone when it is closed."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Collection, Sequence

from stacks.nvme.stores.capacity import block_count_of, resized_block_count
from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.file import FileStore
from stacks.nvme.stores.file_layer import OsFile, write_all
from stacks.nvme.stores.sharing import Share
from stacks.runtime import LocalError


class MemoryStore(Store):
    """Blocks in a private anonymous mapping; pages appear when they are first written.

    size_bytes: capacity, a positive multiple of `block_bytes`; block_bytes: 512 or 4096.
    Raises LocalError for another size, or when the address space has no room for it.
    """

    def __init__(self, size_bytes: int, *, block_bytes: int = 4096) -> None:
        self.block_bytes = block_bytes
        self.block_count = block_count_of(NAME, size_bytes, block_bytes)
        try:
            self._map = mmap.mmap(-1, size_bytes, flags=_FLAGS)
        except (OSError, ValueError, OverflowError) as error:
            raise no_room(size_bytes) from error
        self._view = memoryview(self._map)
        self._readable = self._view.toreadonly()
        self._file: FileStore | None = None
        """Where the blocks are once they are shared: a file in memory."""
        self._written: set[int] = set()
        """Pieces of `COPY_BYTES` that may be other than zero, to be copied then."""

    def read(self, block: int, into: memoryview) -> None:
        """Copy blocks out. The pages behind never-written blocks are shared zero pages."""
        if self._file is not None:
            self._file.read(block, into)
            return
        start = block * self.block_bytes
        into[:] = self._view[start : start + len(into)]

    def view(self, block: int, blocks: int) -> memoryview | None:
        """The blocks themselves, as long as nobody else changes them."""
        if self._file is not None:
            return None
        return self._readable[block * self.block_bytes : (block + blocks) * self.block_bytes]

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Copy blocks in."""
        if self._file is not None:
            self._file.write(block, data)
            return
        start = block * self.block_bytes
        for view in data:
            self._written.update(range(start // COPY_BYTES, (start + len(view) - 1) // COPY_BYTES + 1))
            self._view[start : start + len(view)] = view
            start += len(view)

    def deallocate(self, block: int, blocks: int) -> None:
        """Give the pages back to the system; the range reads as zeroes."""
        self.write_zeroes(block, blocks)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Drop whole pages, and clear the rest by hand."""
        if self._file is not None:
            self._file.write_zeroes(block, blocks)
            return
        start, stop = block * self.block_bytes, (block + blocks) * self.block_bytes
        first_page = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last_page = stop // mmap.PAGESIZE * mmap.PAGESIZE
        if first_page >= last_page:
            self._view[start:stop] = bytes(stop - start)
            return
        self._view[start:first_page] = bytes(first_page - start)
        self._view[last_page:stop] = bytes(stop - last_page)
        self._map.madvise(mmap.MADV_DONTNEED, first_page, last_page - first_page)

    def resize(self, size_bytes: int, *, may_shrink: bool = False) -> None:
        """Grow the mapping, or give back what is cut off; LocalError while somebody has a view and it has to grow."""
        count, old = resized_block_count(NAME, self, size_bytes, may_shrink=may_shrink), self.block_count
        if self._file is not None:
            try:
                self._file.resize(size_bytes, may_shrink=may_shrink)
            finally:
                self.lock = self._file.lock
        elif count < old:
            self.block_count = count
            self.write_zeroes(count, old - count)
        elif size_bytes > len(self._map):
            self._grow(size_bytes)
        self.block_count = count

    def share(self) -> Share | None:
        """A file in memory, into which the blocks go when this is first called."""
        if self._file is None:
            self._file = _file_of(self._view, self._written, block_bytes=self.block_bytes)
            self._free()
        share = self._file.share()
        self.lock = self._file.lock
        return share

    def recall(self) -> None:
        """Return when no other process has the blocks any more."""
        if self._file is not None:
            self._file.recall()
            self.lock = self._file.lock

    def _grow(self, size_bytes: int) -> None:
        self._readable.release()
        self._view.release()
        try:
            self._map.resize(size_bytes)
        except BufferError as error:
            # The mapping may have to move, and nobody's view may be left behind.
            text = f"{NAME}: blocks of it are on their way out, resize it when they are gone"
            raise LocalError(text, errno=errno.EBUSY) from error
        except (OSError, ValueError, OverflowError) as error:
            raise no_room(size_bytes) from error
        finally:
            self._view = memoryview(self._map)
            self._readable = self._view.toreadonly()

    def close(self) -> None:
        """Free all of it."""
        if self._file is not None:
            self._file.close()
            self.lock = None
        else:
            self._free()

    def _free(self) -> None:
        self._readable.release()
        self._view.release()
        with contextlib.suppress(BufferError):  # blocks that are lent are freed with the last view
            self._map.close()


def _file_of(view: memoryview, written: Collection[int], *, block_bytes: int) -> FileStore:
    layer = OsFile(os.memfd_create("baremetal-store", os.MFD_CLOEXEC))
    layer.resize(len(view))
    for piece in sorted(written):
        write_all(layer, piece * COPY_BYTES, [view[piece * COPY_BYTES : (piece + 1) * COPY_BYTES]])
    return FileStore(layer, block_bytes=block_bytes, name=NAME)


def no_room(size_bytes: int) -> LocalError:
    """What to raise when there is no address space for a store of that size."""
    return LocalError(f"{NAME}: no room for {size_bytes} bytes of address space", errno=errno.ENOMEM)


NAME = "memory store"
COPY_BYTES = 1 << 20
"""How exactly is known where something was written."""

# Python names MAP_NORESERVE from 3.13 on; without it a big mapping needs as much memory and swap as it is long.
_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | int(getattr(mmap, "MAP_NORESERVE", 0x4000))
