"""Namespaces in a folder, with a manifest; made, resized and deleted while they are served.

Each change goes in steps, and is told in the manifest before the first that a crash could leave half done (`Work`):

    create   manifest: creating   file, with its name   manifest
    grow     file                 manifest
    shrink   manifest: shrinking  file                  manifest
    delete   manifest: deleting   no file               manifest without it

Whoever opens the folder after a crash finishes a shrinking and a deleting, and undoes a creating (`ledger`). Each step
waits until the one before is on the medium.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.directory.folder import Folder, OsFolder
from stacks.nvme.stores.directory.ledger import Ledger
from stacks.nvme.stores.directory.manifest import NSID_MAX, ManifestEntry, Work
from stacks.nvme.stores.file import FileStore
from stacks.nvme.stores.file_layer import cannot
from stacks.runtime import LocalError


class DirectoryEvent(enum.Enum):
    """What has happened to a namespace of a directory."""

    ADDED = "added"
    RESIZED = "resized"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DirectoryNamespace:
    """A namespace: what the manifest says of it, and its store, which is the directory's."""

    entry: ManifestEntry
    store: Store


class NamespaceDirectory:
    """The namespaces in a folder.

    folder: owned from now on, also when this fails. namespaces: by NSID.
    on_change: called with each change, when it is done; of a removed namespace, or of one that shrinks, before its
    file goes. It must not raise.
    Raises LocalError, with the line of the manifest, for everything that is wrong.
    """

    def __init__(self, folder: Folder) -> None:
        self.namespaces: dict[int, DirectoryNamespace] = {}
        self.on_change: Callable[[DirectoryEvent, DirectoryNamespace], None] | None = None
        self._folder = folder
        try:
            with self._told():
                self._ledger = Ledger(folder)
                self._clean_up()
                for index, entry in enumerate(self._ledger.found.entries):
                    if entry.nsid in self._ledger.entries:
                        self._open(self._ledger.entries[entry.nsid], index)
        except BaseException:
            self.close()
            raise

    def create(
        self,
        size_bytes: int,
        *,
        nsid: int = 0,
        block_bytes: int = 4096,
        file: str = "",
        identifier: uuid.UUID | None = None,
        ana_group: int = 1,
    ) -> DirectoryNamespace:
        """Make a namespace full of zeroes, which takes no space until it is written.

        nsid: its number, 0 for the lowest free one; file: by default named after it; identifier: by default random.
        LocalError when a number, a file or a UUID is taken, or a value makes no sense.
        """
        with self._told():
            self._clean_up()
            nsid = nsid or next(number for number in range(1, NSID_MAX) if number not in self._ledger.entries)
            entry = ManifestEntry(
                nsid, identifier or uuid.uuid4(), size_bytes, file or f"ns-{nsid}.img", block_bytes, ana_group=ana_group
            )
            self._check_new(entry)
            self._ledger.put(entry, Work.CREATING)
            self._create_file(entry)
            made = self._open(entry)
            try:
                self._ledger.put(entry)
            except OSError:
                self.namespaces.pop(nsid).store.close()
                raise
        self._tell(DirectoryEvent.ADDED, made)
        return made

    def resize(self, nsid: int, size_bytes: int, *, may_shrink: bool = False) -> DirectoryNamespace:
        """Give a namespace another size; LocalError, with nothing changed, when it cannot have it.

        may_shrink: without it a smaller size is refused. What is beyond a smaller one is gone.
        """
        old = self._named(nsid)
        entry = replace(old.entry, size_bytes=size_bytes)
        with self._told():
            self._clean_up()
            if size_bytes < old.entry.size_bytes:
                self._shrink(old, entry, may_shrink=may_shrink)
            elif size_bytes > old.entry.size_bytes:
                self._grow(old, entry)
        return self.namespaces[nsid]

    def delete(self, nsid: int) -> None:
        """Remove a namespace and its file; LocalError when there is none."""
        gone = self._named(nsid)
        with self._told():
            self._clean_up()
            self._ledger.put(gone.entry, Work.DELETING)
            del self.namespaces[nsid]
            self._tell(DirectoryEvent.REMOVED, gone)
            # What was not flushed goes with the file.
            with contextlib.suppress(OSError):
                gone.store.close()
            self._clean_up()

    def close(self) -> None:
        """Close every store and the folder; OSError, when that is done, if a store could not be flushed."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._folder.close)
            for namespace in self.namespaces.values():
                stack.callback(namespace.store.close)
            self.namespaces = {}

    def _create_file(self, entry: ManifestEntry) -> None:
        try:
            self._folder.create(entry.file, entry.size_bytes)
        except FileExistsError:
            # It is somebody else's, and nothing to clean up.
            self._ledger.drop(entry.nsid)
            raise
        self._folder.sync()

    def _shrink(self, old: DirectoryNamespace, entry: ManifestEntry, *, may_shrink: bool) -> None:
        if old.store.is_read_only or not may_shrink:
            # It says why not.
            old.store.resize(entry.size_bytes, may_shrink=may_shrink)
        self._ledger.put(entry, Work.SHRINKING)
        changed = self.namespaces[entry.nsid] = DirectoryNamespace(entry, old.store)
        old.store.block_count = entry.size_bytes // entry.block_bytes
        self._tell(DirectoryEvent.RESIZED, changed)
        old.store.resize(entry.size_bytes, may_shrink=True)
        self._ledger.put(entry)

    def _grow(self, old: DirectoryNamespace, entry: ManifestEntry) -> None:
        old.store.resize(entry.size_bytes)
        try:
            self._ledger.put(entry)
        except OSError:
            # The file stays as it is, since nobody knows which manifest the medium has; it may be longer.
            old.store.block_count = old.entry.size_bytes // entry.block_bytes
            raise
        changed = self.namespaces[entry.nsid] = DirectoryNamespace(entry, old.store)
        self._tell(DirectoryEvent.RESIZED, changed)

    def _clean_up(self) -> None:
        self._ledger.clean_up(self._cut)

    def _cut(self, entry: ManifestEntry) -> None:
        if entry.nsid in self.namespaces:
            self.namespaces[entry.nsid].store.resize(entry.size_bytes, may_shrink=True)
            return
        layer = self._folder.open(entry.file, is_read_only=False)
        try:
            if layer.size() > entry.size_bytes:
                layer.resize(entry.size_bytes)
            layer.sync()
        finally:
            layer.close()

    def _open(self, entry: ManifestEntry, index: int | None = None) -> DirectoryNamespace:
        """Open a namespace; index: of its entry in the manifest that was found."""
        try:
            layer = self._folder.open(entry.file, is_read_only=entry.is_read_only)
            try:
                store = FileStore(
                    layer,
                    block_bytes=entry.block_bytes,
                    name=f"{self._folder.path}/{entry.file}",
                    is_read_only=entry.is_read_only,
                    size_bytes=entry.size_bytes,
                )
            except BaseException:
                layer.close()
                raise
        except LocalError as error:
            raise error if index is None else self._ledger.found.error(index, "file", error) from error
        found = self.namespaces[entry.nsid] = DirectoryNamespace(entry, store)
        return found

    def _check_new(self, entry: ManifestEntry) -> None:
        if entry.nsid in self._ledger.entries:
            raise LocalError(f"{self._folder.path} has a namespace {entry.nsid} already", errno=errno.EEXIST)
        if any(entry.identifier == other.identifier for other in self._ledger.entries.values()):
            raise LocalError(f"{self._folder.path} has a namespace of UUID {entry.identifier}", errno=errno.EEXIST)
        if self._folder.exists(entry.file):
            raise LocalError(f"{self._folder.path}/{entry.file} is there already", errno=errno.EEXIST)

    def _named(self, nsid: int) -> DirectoryNamespace:
        if nsid not in self.namespaces:
            there = ", ".join(map(str, sorted(self.namespaces))) or "none"
            raise LocalError(f"{self._folder.path} has no namespace {nsid}; there are: {there}", errno=errno.ENOENT)
        return self.namespaces[nsid]

    def _tell(self, event: DirectoryEvent, namespace: DirectoryNamespace) -> None:
        if self.on_change is not None:
            self.on_change(event, namespace)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot(self._folder.path, error) from error


def open_directory(path: str) -> NamespaceDirectory:
    """The namespaces in the folder at `path`, under an exclusive lock; with an empty manifest where there is none.

    Raises LocalError with one line for a person.
    """
    return NamespaceDirectory(OsFolder(path))
