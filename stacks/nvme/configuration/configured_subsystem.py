"""A subsystem with the stores and folders that its namespaces are from.

What the methods do, they do to all of it: a namespace comes with its store, and goes with it. They are synchronous, and
may be called while hosts do I/O; LocalError, in one line, says what cannot be, and then nothing has changed.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass

from stacks.nvme.configuration.keeping import kept_reservations
from stacks.nvme.configuration.served_directory import ServedDirectory
from stacks.nvme.configuration.values import (
    DirectoryConfiguration,
    NamespaceConfiguration,
    SubsystemConfiguration,
)
from stacks.nvme.stores import DirectoryEvent, FaultyStore, Store, open_directory, open_store
from stacks.nvme.stores.specification import place_in
from stacks.nvme.target import Subsystem
from stacks.nvme.target.namespace import Namespace
from stacks.runtime import LocalError
from stacks.runtime.toml_problems import Origin


@dataclass(frozen=True, slots=True)
class Source:
    """Where a namespace is from: its store's text; or the folder that it is one of, and its file there."""

    text: str
    directory: ServedDirectory | None = None


class ConfiguredSubsystem:
    """What a `SubsystemConfiguration` describes, open.

    folder, state: where paths begin, and where reservations are kept, or empty. origin: of the configuration.
    subsystem: the same in the core; sources: where each namespace is from; directories: the folders.
    LocalError, with the line where there are lines, for what cannot be opened.
    """

    def __init__(
        self, configuration: SubsystemConfiguration, *, folder: str = "", state: str = "", origin: Origin | None = None
    ) -> None:
        origin = origin or Origin()
        self.sources: dict[int, Source] = {}
        self.directories: list[ServedDirectory] = []
        self._folder = folder
        self._state = state
        with origin.at(configuration.place):
            self.subsystem = _subsystem(configuration)
        try:
            for directory in configuration.directories:
                with origin.at((*directory.place, "path")):
                    self._add_directory(directory)
            # Those that have numbers first, so that the others do not take them.
            for namespace in sorted(configuration.namespaces, key=lambda each: not each.nsid):
                with origin.at((*namespace.place, "store")):
                    self.add_namespace(namespace)
            for state_of in configuration.ana:
                with origin.at(state_of.place):
                    self.subsystem.set_ana_state(state_of.group, state_of.state, portid=state_of.portid)
        except BaseException:
            self.close()
            raise

    def recall(self) -> None:
        """Return when no other process has any of the stores; before `close` is called in another thread."""
        for namespace in self.subsystem.namespaces.values():
            namespace.store.recall()

    def close(self) -> None:
        """Close every store and folder, which nobody may use any more; OSError, when that is done, if one could not be
        flushed.
        """
        with contextlib.ExitStack() as stack:
            for nsid, source in self.sources.items():
                # The stores of folders are closed with those.
                if source.directory is None:
                    stack.callback(self.subsystem.namespaces[nsid].store.close)
            for directory in self.directories:
                stack.callback(directory.close)
            self.sources, self.directories = {}, []

    def add_namespace(self, configuration: NamespaceConfiguration, *, folder: str | None = None) -> Namespace:
        """Open a store, and serve it as a namespace. folder: where its paths begin, if not where all others do."""
        subsystem, folder = self.subsystem, self._folder if folder is None else folder
        nsid = configuration.nsid or subsystem.free_nsid()
        identifier = configuration.identifier or subsystem.default_identifier(nsid)
        if nsid not in subsystem.namespaces:
            self._check_identifier(identifier)
        kept = kept_reservations(configuration, identifier, folder=folder, state=self._state)
        store = open_configured(configuration, folder=folder)
        try:
            namespace = subsystem.add_namespace(
                store,
                nsid=nsid,
                identifier=identifier,
                ana_group=configuration.ana_group,
                visible_to=configuration.visible_to,
                reservations=kept,
            )
        except LocalError:
            store.close()
            raise
        self.sources[nsid] = Source(configuration.store)
        return namespace

    def remove_namespace(self, nsid: int) -> Store:
        """Serve a namespace no more; its store, for the caller to close once nothing uses it."""
        source = self.source(nsid)
        if source.directory is not None:
            raise LocalError(f"namespace {nsid} is one of the folder {source.directory.path}; delete it there")
        del self.sources[nsid]
        return self.subsystem.remove_namespace(nsid).store

    def resize_namespace(self, nsid: int, size_bytes: int, *, may_shrink: bool = False) -> None:
        """Give a namespace and its store another size; may_shrink: without it, a smaller one is refused."""
        directory = self.source(nsid).directory
        if directory is not None:
            directory.directory.resize(nsid, size_bytes, may_shrink=may_shrink)
            return
        # Nothing reaches the store between these two.
        self.subsystem.namespace(nsid).store.resize(size_bytes, may_shrink=may_shrink)
        self.subsystem.resize_namespace(nsid)

    def create_namespace(
        self,
        directory: ServedDirectory,
        size_bytes: int,
        *,
        nsid: int = 0,
        block_bytes: int = 4096,
        file: str = "",
        identifier: uuid.UUID | None = None,
        ana_group: int = 1,
    ) -> int:
        """Make a namespace in one of the folders; its number. See `ServedDirectory.create`."""
        if identifier is not None:
            self._check_identifier(identifier)
        return directory.create(
            size_bytes, nsid=nsid, block_bytes=block_bytes, file=file, identifier=identifier, ana_group=ana_group
        )

    def delete_namespace(self, nsid: int) -> None:
        """Serve a namespace of a folder no more, and remove its file."""
        source = self.source(nsid)
        if source.directory is None:
            raise LocalError(f"namespace {nsid} is {source.text}, and in no folder of namespaces; remove it")
        source.directory.directory.delete(nsid)

    def source(self, nsid: int) -> Source:
        """Where a namespace is from; LocalError when there is none."""
        self.subsystem.namespace(nsid)
        return self.sources[nsid]

    def _add_directory(self, configuration: DirectoryConfiguration) -> None:
        path = place_in(self._folder, configuration.path)

        def changed(event: DirectoryEvent, nsid: int) -> None:
            if event is DirectoryEvent.REMOVED:
                del self.sources[nsid]
            elif event is DirectoryEvent.ADDED:
                self.sources[nsid] = _source_in(served, nsid)

        served = ServedDirectory(
            path,
            open_directory(path),
            self.subsystem,
            visible_to=configuration.visible_to,
            state=self._state,
            on_change=changed,
        )
        self.directories.append(served)
        self.sources.update({nsid: _source_in(served, nsid) for nsid in served.directory.namespaces})

    def _check_identifier(self, identifier: uuid.UUID) -> None:
        for nsid, namespace in self.subsystem.namespaces.items():
            if namespace.identifier == identifier:
                raise LocalError(f"{self.subsystem.nqn} has the UUID {identifier} already, of namespace {nsid}")


def open_configured(namespace: NamespaceConfiguration, *, folder: str = "") -> Store:
    """The store of a namespace, with the faults and the cache that it is to have; as `open_store`."""
    store = open_store(
        namespace.store, block_bytes=namespace.block_bytes, is_read_only=namespace.is_read_only, folder=folder
    )
    if namespace.faults is None and not namespace.has_cache:
        return store
    return FaultyStore(store, namespace.faults or (), has_cache=namespace.has_cache, seed=namespace.seed)


def _subsystem(configuration: SubsystemConfiguration) -> Subsystem:
    return Subsystem(
        configuration.nqn,
        serial=configuration.serial,
        model=configuration.model,
        allowed_hosts=configuration.allowed_hosts,
        kind=configuration.kind,
        controllers_max=configuration.controllers_max,
    )


def _source_in(served: ServedDirectory, nsid: int) -> Source:
    return Source(place_in(served.path, served.directory.namespaces[nsid].entry.file), served)
