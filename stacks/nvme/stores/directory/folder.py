"""The folder under a directory of namespaces: the few operations it needs, as the operating system does them.

As with `FileLayer`, everything goes through a small protocol, which a test replaces by a folder that forgets names.
"""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

from stacks.nvme.stores.file_layer import FileLayer, cannot, lock, open_file, truncate


class Folder(Protocol):
    """A folder that nobody else changes. Names are of files in it; all may raise OSError, and `open` LocalError."""

    path: str
    """How messages call it."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file, or anything else."""

    def read(self, name: str) -> bytes:
        """What is in a file; FileNotFoundError when there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, new or over another; its content is on the medium when this returns, its name after `sync`."""

    def create(self, name: str, size_bytes: int) -> None:
        """Make a sparse file, likewise; FileExistsError when there is something already."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of whatever has it, at once."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""

    def sync(self) -> None:
        """Return when the names are on the medium."""

    def open(self, name: str, *, is_read_only: bool) -> FileLayer:
        """Open a file under a lock."""

    def close(self) -> None:
        """Give the folder up."""


class OsFolder:
    """The `Folder` at a path, under an exclusive lock; LocalError when there is none, or another process has it."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise cannot(path, error) from error
        lock(self._descriptor, path, "folder")

    def exists(self, name: str) -> bool:
        """By lstat."""
        try:
            os.lstat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """Read a file."""
        with open(self._open(name, os.O_RDONLY), "rb") as file:  # noqa: PTH123 (a descriptor has no path)
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, and fsync it."""
        with open(self._open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:  # noqa: PTH123 (as above)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def create(self, name: str, size_bytes: int) -> None:
        """Make a file, and fsync it."""
        descriptor = self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            truncate(descriptor, size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """One rename."""
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """One unlink."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Fsync of the folder."""
        os.fsync(self._descriptor)

    def open(self, name: str, *, is_read_only: bool) -> FileLayer:
        """Open a file by its path."""
        return open_file(f"{self.path}/{name}", is_read_only=is_read_only)

    def close(self) -> None:
        """Close the descriptor; the lock goes with it."""
        os.close(self._descriptor)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CLOEXEC, 0o644, dir_fd=self._descriptor)
