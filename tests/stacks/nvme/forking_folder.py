"""A folder for tests whose power can be cut before any of its operations, and that can fail any of them.

Names and contents are on the medium when they were synced. Of what was not, a cut may leave anything that the order
of names allows: the changes of names up to some point, and of each file's content all, a part or nothing.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterator


class PowerCut(BaseException):
    """No `Exception`: nothing may catch it and go on."""


class ForkingFolder:
    """A `RecordFolder`.

    operations: how many were asked for. cut_at: the number of the one before which the power goes; fail_at: of the
    one that fails. Numbers count from 0.
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.operations = 0
        self.cut_at = self.fail_at = -1
        self._durable: dict[str, File] = {name: File(content, content) for name, content in (files or {}).items()}
        self._names = dict(self._durable)
        self._changes: list[Callable[[dict[str, File]], object]] = []

    def read(self, name: str) -> bytes:
        """The content; reading is no step."""
        return self._names[name].content if name in self._names else b""

    def write(self, name: str, content: bytes) -> None:
        """Make a file."""
        self._step()
        file = File(content)
        self._change(lambda names: names.__setitem__(name, file))

    def sync(self, name: str) -> None:
        """Bring a content to the medium; its name is another matter."""
        self._step()
        file = self._names[name]
        file.synced = file.content

    def rename(self, name: str, to: str) -> None:
        """Rename."""
        self._step()
        self._change(lambda names: names.__setitem__(to, names.pop(name)))

    def remove(self, name: str) -> None:
        """Remove."""
        self._step()
        self._change(lambda names: names.pop(name, None))

    def sync_folder(self) -> None:
        """Bring the names to the medium."""
        self._step()
        self._durable = dict(self._names)
        self._changes.clear()

    def after_cut(self) -> Iterator[ForkingFolder]:
        """Every folder that a power cut now may leave behind."""
        for count in range(len(self._changes) + 1):
            names = dict(self._durable)
            for change in self._changes[:count]:
                change(names)
            for contents in itertools.product(*(file.after_cut() for file in names.values())):
                yield ForkingFolder(dict(zip(names, contents, strict=True)))

    def _change(self, change: Callable[[dict[str, File]], object]) -> None:
        change(self._names)
        self._changes.append(change)

    def _step(self) -> None:
        number = self.operations
        self.operations += 1
        if number == self.cut_at:
            raise PowerCut
        if number == self.fail_at:
            raise OSError(errno.EIO, "Input/output error")


class File:
    """A file: what is read, and what the medium has, None for nothing yet."""

    def __init__(self, content: bytes, synced: bytes | None = None) -> None:
        self.content = content
        self.synced = synced

    def after_cut(self) -> tuple[bytes, ...]:
        """What may be left."""
        if self.synced is not None:
            return (self.synced,)
        return (b"", self.content[: len(self.content) // 2], self.content)
