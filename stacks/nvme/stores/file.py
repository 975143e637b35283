"""A store in a sparse file: pread and pwrite inline, fdatasync for flush, holes for deallocated blocks.

An operating system may report that it lost written data only once, and forget the data with the report (Linux marks
the pages clean). So after a flush that failed, every change and every flush fails until the file is opened again;
reads go on.

The file is never mapped: a full disk is then an errno of a write and not a SIGBUS.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from stacks.nvme.stores.capacity import block_count_of, resized_block_count
from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, WRITE_ZEROES, Store
from stacks.nvme.stores.file_layer import FileLayer, OsFile, cannot, open_file, truncate, write_rest
from stacks.nvme.stores.sharing import Share
from stacks.runtime import LocalError


class FileStore(Store):
    """Blocks in a file.

    layer: the open file, owned by the store from now on; block_bytes: 512 or 4096.
    name: how messages call the file; is_read_only: refuse every change.
    size_bytes: how much of the file is the store, from its beginning on; 0 for all of it.
    Raises LocalError when the size is not a positive multiple of the block size, or the file shorter than that.
    """

    slow_verbs = frozenset((FLUSH, DEALLOCATE, WRITE_ZEROES))

    def __init__(
        self,
        layer: FileLayer,
        *,
        block_bytes: int = 4096,
        name: str = "image",
        is_read_only: bool = False,
        size_bytes: int = 0,
    ) -> None:
        self.block_bytes = block_bytes
        self.block_count = block_count_of(name, size_bytes or layer.size(), block_bytes)
        if layer.size() < size_bytes:
            raise LocalError(f"{name}: the file has {layer.size()} bytes, less than the {size_bytes} of the namespace")
        self.is_read_only = is_read_only
        # A hole beyond the end changes nothing, and tells whether the file system has them.
        self.is_zero_after_deallocate = not is_read_only and layer.punch(layer.size(), block_bytes)
        self._layer = layer
        self._name = name
        self._share: Share | None = None
        self._refusal: tuple[int, str] | None = (errno.EROFS, "the image is read-only") if is_read_only else None

    def read(self, block: int, into: memoryview) -> None:
        """Read blocks; a file that was cut short behind our back is a read error."""
        if self._layer.read_into(block * self.block_bytes, into) != len(into):
            raise OSError(errno.EIO, "the file is shorter than it was")

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write blocks; on an error an unknown part of them is written, as NVMe allows."""
        if self._refusal is not None:
            raise OSError(*self._refusal)
        offset = block * self.block_bytes
        done = self._layer.write_from(offset, data)
        if done < sum(map(len, data)):
            write_rest(self._layer, offset, data, done)

    def flush(self) -> None:
        """Wait until every write is on the medium; once that failed, it fails for ever."""
        if self.is_read_only:
            return
        if self._refusal is not None:
            raise OSError(*self._refusal)
        try:
            self._layer.sync()
        except OSError as error:
            self._refusal = (error.errno or errno.EIO, "written data was lost earlier; the image must be opened again")
            raise

    def deallocate(self, block: int, blocks: int) -> None:
        """Punch a hole, where the file system has holes."""
        if self._refusal is not None:
            raise OSError(*self._refusal)
        if self.is_zero_after_deallocate:
            self._layer.punch(block * self.block_bytes, blocks * self.block_bytes)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Punch a hole, or write the zeroes out."""
        if self._refusal is not None:
            raise OSError(*self._refusal)
        if not self._layer.punch(block * self.block_bytes, blocks * self.block_bytes):
            Store.write_zeroes(self, block, blocks)

    def resize(self, size_bytes: int, *, may_shrink: bool = False) -> None:
        """Cut or extend the file, and wait until that is on the medium."""
        count = resized_block_count(self._name, self, size_bytes, may_shrink=may_shrink)
        self.recall()
        self.block_count, old = min(count, self.block_count), self.block_count
        try:
            if self._refusal is not None:
                raise OSError(*self._refusal)
            # What the file has beyond the store's end does not come to light.
            self._layer.resize(self.block_count * self.block_bytes)
            self._layer.resize(size_bytes)
            self.flush()
        except OSError as error:
            if self._layer.size() >= old * self.block_bytes:
                self.block_count = old
            raise cannot(self._name, error) from error
        self.block_count = count

    def share(self) -> Share | None:
        """The file's descriptor, unless the file refuses changes that it should take."""
        if not isinstance(self._layer, OsFile) or (self._refusal is not None and not self.is_read_only):
            return None
        if self._share is None:
            self._share = Share(self._layer.fileno(), block_bytes=self.block_bytes)
            self.lock = self._share.lock
        return self._share

    def recall(self) -> None:
        """Return when no other process has the file any more."""
        share, self._share, self.lock = self._share, None, None
        if share is not None:
            share.recall()

    def close(self) -> None:
        """Put everything on the medium and close the file."""
        self.recall()
        try:
            self.flush()
        finally:
            self._layer.close()


def open_image(path: str, *, block_bytes: int = 4096, is_read_only: bool = False) -> FileStore:
    """Open an image file under an exclusive lock, as a `FileStore`.

    Raises LocalError with one line for a person: no such file, no permission, a folder, in use, a size that is not a
    multiple of the block size.
    """
    layer = open_file(path, is_read_only=is_read_only)
    try:
        return FileStore(layer, block_bytes=block_bytes, name=path, is_read_only=is_read_only)
    except OSError as error:
        layer.close()
        raise cannot(path, error) from error
    except LocalError:
        layer.close()
        raise


def create_image(path: str, size_bytes: int) -> None:
    """Make a new sparse file of `size_bytes`; raises LocalError when the path exists or cannot be written."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            truncate(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot(path, error) from error
