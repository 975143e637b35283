"""A folder of namespaces as part of a subsystem: what happens in the folder happens there, and its hosts are told.

    folder (NamespaceDirectory)  --on_change-->  Subsystem  --events-->  hosts

A namespace that shrinks does so for its hosts first, and one that is removed is gone for them before its file is.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection

from stacks.nvme.configuration.keeping import kept_by_identifier
from stacks.nvme.stores import DirectoryEvent, DirectoryNamespace, NamespaceDirectory
from stacks.nvme.stores.reservations import FileReservations
from stacks.nvme.target import Subsystem
from stacks.nvme.target.ana import ANA_GROUPS_MAX
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from stacks.runtime import LocalError


class ServedDirectory:
    """A folder whose namespaces a subsystem has.

    path: of the folder; directory: the same, open, owned from now on, also when this fails. visible_to: NQNs of the
    hosts that have its namespaces, None for every host. state: where reservations are kept, by default in the folder.
    on_change: called with each change, when the subsystem knows of it.
    LocalError when a namespace's number is taken in the subsystem, or cannot be.
    """

    def __init__(
        self,
        path: str,
        directory: NamespaceDirectory,
        subsystem: Subsystem,
        *,
        visible_to: Collection[str] | None = None,
        state: str = "",
        on_change: Callable[[DirectoryEvent, int], None] | None = None,
    ) -> None:
        self.path = path
        self.directory = directory
        self.subsystem = subsystem
        self.on_change = on_change
        self._visible_to = visible_to
        self._state = state or path
        try:
            for _, namespace in sorted(directory.namespaces.items()):
                self._add(namespace)
        except LocalError:
            self.close()
            raise
        directory.on_change = self._changed

    def create(
        self,
        size_bytes: int,
        *,
        nsid: int = 0,
        block_bytes: int = 4096,
        file: str = "",
        identifier: uuid.UUID | None = None,
        ana_group: int = 1,
    ) -> int:
        """Make a namespace full of zeroes, and serve it; its number. The arguments are those of
        `NamespaceDirectory.create`, and so are the errors; also LocalError for what the subsystem cannot have.
        """
        nsid = nsid or self.subsystem.free_nsid()
        if nsid in self.subsystem.namespaces:
            raise LocalError(f"{self.subsystem.nqn} has a namespace {nsid} already")
        if not 1 <= nsid <= NAMESPACES_MAX:
            raise LocalError(f"namespace {nsid}: numbers go from 1 to {NAMESPACES_MAX}")
        if not 1 <= ana_group <= ANA_GROUPS_MAX:
            raise LocalError(f"ANA group {ana_group}: numbers go from 1 to {ANA_GROUPS_MAX}")
        self.directory.create(
            size_bytes, nsid=nsid, block_bytes=block_bytes, file=file, identifier=identifier, ana_group=ana_group
        )
        return nsid

    def close(self) -> None:
        """Close the folder and the stores in it; nothing is served of it any more."""
        self.directory.on_change = None
        self.directory.close()

    def _changed(self, event: DirectoryEvent, namespace: DirectoryNamespace) -> None:
        nsid = namespace.entry.nsid
        if event is DirectoryEvent.ADDED:
            # Nobody has registered with what has just been made, whatever an earlier one of its UUID left behind.
            self._forget(namespace)
            self._add(namespace)
        elif event is DirectoryEvent.RESIZED:
            self.subsystem.resize_namespace(nsid)
        else:
            self.subsystem.remove_namespace(nsid)
            self._forget(namespace)
        if self.on_change is not None:
            self.on_change(event, nsid)

    def _add(self, namespace: DirectoryNamespace) -> None:
        entry = namespace.entry
        self.subsystem.add_namespace(
            namespace.store,
            nsid=entry.nsid,
            identifier=entry.identifier,
            ana_group=entry.ana_group,
            visible_to=self._visible_to,
            reservations=self._kept(namespace),
        )

    def _kept(self, namespace: DirectoryNamespace) -> FileReservations:
        return kept_by_identifier(self._state, namespace.entry.identifier)

    def _forget(self, namespace: DirectoryNamespace) -> None:
        # A file that stays is of a UUID that nobody has any more.
        with contextlib.suppress(OSError):
            self._kept(namespace).save(b"")
