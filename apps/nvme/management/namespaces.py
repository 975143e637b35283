"""Namespaces that come, go, grow, and are seen by whom."""

from __future__ import annotations

import contextlib
import errno
import uuid
from collections.abc import Sequence

import trio

from apps.nvme.management.manager import Manager
from apps.nvme.management.picture import namespace_json
from stacks.nvme.configuration import ConfiguredSubsystem, NamespaceConfiguration
from stacks.nvme.stores.faults import StoreFault
from stacks.nvme.stores.specification import is_image, place_in
from stacks.runtime import LocalError
from transports.control import Json


def add_namespace(
    manager: Manager,
    *,
    store: str,
    folder: str | None,
    nqn: str,
    nsid: int,
    block_size: int,
    uuid: uuid.UUID | None,
    ana_group: int,
    visible_to: Sequence[str] | None,
    read_only: bool,
    faults: Sequence[StoreFault] | None,
    cache: bool,
    seed: int,
) -> Json:
    """Open a store, and serve it. folder: where its paths begin, for whoever asks may be elsewhere."""
    subsystem = manager.subsystem(nqn)
    if folder is not None and is_image(store):
        store = place_in(folder, store.removeprefix("file:"))
    namespace = subsystem.add_namespace(
        NamespaceConfiguration(
            store=store,
            nsid=nsid,
            block_bytes=block_size,
            identifier=uuid,
            ana_group=ana_group,
            visible_to=None if visible_to is None else tuple(visible_to),
            is_read_only=read_only,
            faults=None if faults is None else tuple(faults),
            has_cache=cache,
            seed=seed,
        ),
        folder=folder,
    )
    return namespace_json(subsystem, namespace.nsid)


async def remove_namespace(manager: Manager, *, nqn: str, nsid: int) -> Json:
    """Serve a namespace no more, and close its store."""
    subsystem = manager.subsystem(nqn)
    gone = namespace_json(subsystem, nsid)
    with manager.server.changing():
        store = subsystem.remove_namespace(nsid)
        store.recall()
    # A flush, which may take its time; requests that come later fail.
    await trio.to_thread.run_sync(store.close)
    return gone


async def resize(manager: Manager, *, nqn: str, nsid: int, size: int, shrink: bool) -> Json:
    """Give a namespace another size."""
    subsystem = manager.subsystem(nqn)
    await _flushed(manager, nqn, nsid)
    for _ in range(TRIES):
        try:
            with manager.server.changing():
                subsystem.resize_namespace(nsid, size, may_shrink=shrink)
            break
        except LocalError as error:
            # Blocks of memory that are on their way to a host are there for a moment only.
            if error.errno == errno.ERANGE:
                raise LocalError(f"{error}: --shrink, if what is there may be lost") from error
            if error.errno != errno.EBUSY:
                raise
            await trio.sleep(PAUSE_S)
    else:
        raise LocalError(f"blocks of namespace {nsid} are on their way to a slow host all the time; try again")
    return namespace_json(subsystem, nsid)


def create(
    manager: Manager,
    *,
    directory: str,
    size: int,
    nsid: int,
    block_size: int,
    file: str,
    uuid: uuid.UUID | None,
    ana_group: int,
) -> Json:
    """Make a namespace in a folder."""
    subsystem, served = manager.configured.directory(directory)
    created = subsystem.create_namespace(
        served, size, nsid=nsid, block_bytes=block_size, file=file, identifier=uuid, ana_group=ana_group
    )
    return namespace_json(subsystem, created)


async def delete(manager: Manager, *, nqn: str, nsid: int) -> Json:
    """Remove a namespace of a folder, and its file."""
    subsystem = manager.subsystem(nqn)
    gone = namespace_json(subsystem, nsid)
    await _flushed(manager, nqn, nsid)
    with manager.server.changing():
        subsystem.delete_namespace(nsid)
    return gone


async def _flushed(manager: Manager, nqn: str, nsid: int) -> None:
    """Most of what the medium has to be waited for is done in a thread, so that hosts wait for the rest only."""
    with contextlib.suppress(OSError):  # what follows flushes again, and tells
        await trio.to_thread.run_sync(manager.namespace(nqn, nsid).store.flush)


def show(manager: Manager, *, nqn: str, nsid: int, host: str) -> Json:
    """Show a namespace to one host more, or (empty) to every host."""
    subsystem = manager.subsystem(nqn)
    if host:
        _check_list(subsystem, nsid)
        subsystem.subsystem.show_namespace(nsid, host)
    else:
        subsystem.subsystem.set_visible_to(nsid, None)
    return namespace_json(subsystem, nsid)


def hide(manager: Manager, *, nqn: str, nsid: int, host: str) -> Json:
    """Hide a namespace from a host that it was shown to, or (empty) from every host."""
    subsystem = manager.subsystem(nqn)
    if host:
        _check_list(subsystem, nsid)
        subsystem.subsystem.hide_namespace(nsid, host)
    else:
        subsystem.subsystem.set_visible_to(nsid, ())
    return namespace_json(subsystem, nsid)


def set_group(manager: Manager, *, nqn: str, nsid: int, group: int) -> Json:
    """Have a namespace belong to another ANA group."""
    subsystem = manager.subsystem(nqn)
    subsystem.subsystem.move_namespace(nsid, group)
    return namespace_json(subsystem, nsid)


def _check_list(subsystem: ConfiguredSubsystem, nsid: int) -> None:
    if subsystem.subsystem.namespace(nsid).visible_to is None:
        raise LocalError(
            f"namespace {nsid} is visible to every host; say first which hosts see it: hide --all, then show"
        )


TRIES, PAUSE_S = 400, 0.005
"""For two seconds."""
