"""A folder for tests that forgets at a power cut what was not synced: names, sizes and contents."""

from __future__ import annotations

import errno
import os
import random

from stacks.nvme.stores import FileLayer
from stacks.runtime import LocalError
from tests.stacks.nvme.vanishing_file import SPARED, PowerCut, VanishingFile


class FolderFile(VanishingFile):
    """A file in such a folder; its operations are the folder's as well."""

    def __init__(self, folder: VanishingFolder) -> None:
        super().__init__()
        self._folder = folder

    def _operate(self) -> None:
        self._folder.operate()


class VanishingFolder:
    """A `Folder`. operations: all that change something or wait for it; cut_at: as of `VanishingFile`.

    fail_at: number of the operation that fails, once; 0 for none.
    """

    path = "disks"

    def __init__(self) -> None:
        self.operations = 0
        self.cut_at = 0
        self.fail_at = 0
        self.is_open = True
        self.names: dict[str, FolderFile] = {}
        self._durable: dict[str, FolderFile] = {}
        self._log: list[tuple[str, FolderFile | None]] = []

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.names

    def read(self, name: str) -> bytes:
        """All of a file."""
        if name not in self.names:
            raise FileNotFoundError
        file = self.names[name]
        into = bytearray(file.size())
        file.read_into(0, memoryview(into))
        return bytes(into)

    def write(self, name: str, content: bytes) -> None:
        """Write and sync a file."""
        if name not in self.names:
            self._link(name, FolderFile(self))
        file = self.names[name]
        file.resize(0)
        file.write_from(0, [memoryview(content)])
        file.sync()

    def create(self, name: str, size_bytes: int) -> None:
        """Make and sync a file."""
        if name in self.names:
            raise FileExistsError(17, "File exists")
        file = FolderFile(self)
        self._link(name, file)
        file.resize(size_bytes)
        file.sync()

    def rename(self, old: str, new: str) -> None:
        """Rename at once; a cut spares both changes or none."""
        self.operate()
        file = self.names.pop(old)
        self.names[new] = file
        self._log.append((f"{old}>{new}", file))

    def remove(self, name: str) -> None:
        """Unlink."""
        if name in self.names:
            self.operate()
            del self.names[name]
            self._log.append((name, None))

    def sync(self) -> None:
        """Keep the names."""
        self.operate()
        self._durable = dict(self.names)
        self._log.clear()

    def open(self, name: str, *, is_read_only: bool) -> FileLayer:
        """Open a file."""
        if name not in self.names:
            raise LocalError(f"{self.path}/{name}: no such file or directory")
        self.names[name].is_open = True
        return self.names[name]

    def close(self) -> None:
        """Nothing is called afterwards."""
        self.is_open = False

    def operate(self) -> None:
        """Count an operation; PowerCut when it is the one."""
        assert self.is_open
        self.operations += 1
        if self.cut_at and self.operations >= self.cut_at:
            raise PowerCut
        if self.operations == self.fail_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def power_cut(self, rng: random.Random) -> None:
        """Each change of a name since the last sync is there or not, by a coin's toss; and so what is in the files."""
        for name, file in self._log:
            if rng.random() < SPARED:
                old, _, new = name.rpartition(">")
                self._durable.pop(old or name, None)
                if file is not None:
                    self._durable[new] = file
        self._log.clear()
        self.names = dict(self._durable)
        for file in self.names.values():
            file.power_cut(rng)
        self.restart()

    def restart(self) -> None:
        """As for another process."""
        self.cut_at = 0
        self.is_open = True

    def _link(self, name: str, file: FolderFile) -> None:
        self.operate()
        self.names[name] = file
        self._log.append((name, file))
