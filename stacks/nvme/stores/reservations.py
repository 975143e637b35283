"""Where the reservations of a namespace are kept through a loss of power: a file, or memory for tests.

A record is bytes that mean something to the target only. `FileReservations` writes a new file beside the old one,
syncs it, and puts it in the old one's place, so that at every moment the name leads to one whole record; the folder is
synced before `save` returns. What touches the operating system goes through the small `RecordFolder`, which a test
replaces by one that loses what was not synced.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from stacks.nvme.stores.specification import is_image
from stacks.runtime import LocalError


class ReservationStore(Protocol):
    """Keeps one record. Subclass it, or just have the same methods.

    where: how messages call it.
    """

    where: str = "saved reservations"

    def load(self) -> bytes:
        """The record that was saved last; empty when there is none. Called once, before anything is saved.

        Raises LocalError, with one line for a person, when it cannot be read.
        """

    def save(self, record: bytes) -> None:
        """Keep `record` in place of the one before, an empty one meaning none; it is on the medium on return.

        May block; an executor with threads calls it there. Raises OSError when it cannot be kept; a loss of power may
        then leave either record.
        """


class MemoryReservations(ReservationStore):
    """Keeps its record for as long as it lives: a target that is made anew with it finds it. For tests."""

    def __init__(self) -> None:
        self.record = b""
        self.saves = 0

    def load(self) -> bytes:
        """What was saved."""
        return self.record

    def save(self, record: bytes) -> None:
        """Keep it."""
        self.record = bytes(record)
        self.saves += 1


class RecordFolder(Protocol):
    """The operations in one folder that `FileReservations` needs. All may raise OSError; names have no folder."""

    def read(self, name: str) -> bytes:
        """The content of a file; empty when there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Make a file with this content, in place of one that has the name."""

    def sync(self, name: str) -> None:
        """Return when a file's content is on the medium."""

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, and take that from whatever had it, at once."""

    def remove(self, name: str) -> None:
        """Take a file away; nothing happens when there is none."""

    def sync_folder(self) -> None:
        """Return when the names are on the medium."""


class FileReservations(ReservationStore):
    """A record in a file, made when there is something to keep and removed when there is not.

    folder: where; name: of the file there, which belongs to one namespace. Beside it `NAME.new` appears for moments.
    where: how messages call the file; its name if left out.
    """

    def __init__(self, folder: RecordFolder, name: str, *, where: str = "") -> None:
        self.where = where or name
        self._folder = folder
        self._name = name

    def load(self) -> bytes:
        """The file's content. LocalError when it cannot be read."""
        try:
            return self._folder.read(self._name)
        except OSError as error:
            raise LocalError(f"{self.where}: {(error.strerror or str(error)).lower()}") from error

    def save(self, record: bytes) -> None:
        """Replace the file by one with the record, or remove it."""
        if record:
            new = f"{self._name}.new"
            self._folder.write(new, record)
            self._folder.sync(new)
            self._folder.rename(new, self._name)
        else:
            self._folder.remove(self._name)
        self._folder.sync_folder()


def open_reservations(path: str | Path) -> FileReservations:
    """The reservations kept in a file at `path`, which need not be there yet; its folder must be."""
    place = Path(path)
    return FileReservations(OsRecordFolder(place.parent), place.name, where=str(path))


def reservations_of(text: str) -> FileReservations | None:
    """Where the reservations of the namespace that `open_store(text)` gives are kept: `PATH.reservations` beside an
    image file, and nowhere for any other, which has no place beside it that lasts as long.
    """
    path = Path(text.removeprefix("file:"))
    if not is_image(text) or not path.is_file():
        return None
    return open_reservations(f"{path}.reservations")


class OsRecordFolder:
    """The `RecordFolder` of a real folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        """Read a file."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return b""

    def write(self, name: str, content: bytes) -> None:
        """Write a file that only its owner can read."""
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def sync(self, name: str) -> None:
        """Wait for content and length (fsync)."""
        _sync(self._path / name)

    def rename(self, name: str, to: str) -> None:
        """Replace whatever has the other name."""
        (self._path / name).replace(self._path / to)

    def remove(self, name: str) -> None:
        """Unlink a file."""
        with contextlib.suppress(FileNotFoundError):
            (self._path / name).unlink()

    def sync_folder(self) -> None:
        """Wait for the names (fsync of the folder)."""
        _sync(self._path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
