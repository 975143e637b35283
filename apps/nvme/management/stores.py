"""What the stores behind namespaces can do besides keeping blocks: faults, power cuts, snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

import trio

from apps.nvme.management.manager import Manager
from apps.nvme.management.picture import layer, namespace_json
from stacks.nvme.stores import FaultyStore, OverlayStore, Store, VolatileStore
from stacks.nvme.stores.faults import StoreFault
from stacks.runtime import LocalError
from transports.control import Json

S = TypeVar("S", bound=Store)


def store_faults(manager: Manager, *, nqn: str, nsid: int, add: Sequence[StoreFault] | None, clear: bool) -> Json:
    """What a store's faults did, after adding some or forgetting all."""
    store = _need(manager, nqn, nsid, FaultyStore, "serve it as faulty:STORE")
    if clear:
        store.clear()
    for rule in add or ():
        store.add(rule)
    return report_json(store)


def power_cut(manager: Manager, *, nqn: str, nsid: int) -> Json:
    """Lose what is in a store's cache."""
    store = _need(manager, nqn, nsid, FaultyStore, "serve it as faulty:STORE+cache")
    store.power_cut()
    return report_json(store)


async def snapshot(manager: Manager, *, nqn: str, nsid: int, name: str) -> Json:
    """Keep the present state of an overlay under a name."""
    return await _with_overlay(manager, nqn, nsid, lambda overlay: overlay.snapshot(name))


async def delete_snapshot(manager: Manager, *, nqn: str, nsid: int, name: str) -> Json:
    """Forget a snapshot."""
    return await _with_overlay(manager, nqn, nsid, lambda overlay: overlay.delete_snapshot(name))


async def rollback(manager: Manager, *, nqn: str, nsid: int, name: str) -> Json:
    """Have all blocks as they were when a snapshot was taken, and tell the hosts that the namespace has changed."""
    found = await _with_overlay(manager, nqn, nsid, lambda overlay: overlay.roll_back(name))
    with manager.server.changing():
        manager.subsystem(nqn).subsystem.refresh((nsid,))
    return found


def report_json(store: FaultyStore) -> Json:
    """What a faulty store did on purpose."""
    report = asdict(store.report())
    return {**report, "rules": list(report["rules"])}


async def _with_overlay(manager: Manager, nqn: str, nsid: int, change: Callable[[OverlayStore], object]) -> Json:
    subsystem = manager.subsystem(nqn)
    overlay = _need(manager, nqn, nsid, OverlayStore, "serve it as overlay:BASE+LAYER")
    store = manager.namespace(nqn, nsid).store
    if layer(store, VolatileStore) is not None:
        # What is in the cache belongs to the present state as well.
        store.flush()
    await trio.to_thread.run_sync(change, overlay)
    return namespace_json(subsystem, nsid)


def _need(manager: Manager, nqn: str, nsid: int, kind: type[S], remedy: str) -> S:
    found = layer(manager.namespace(nqn, nsid).store, kind)
    if found is None:
        raise LocalError(f"the store of namespace {nsid} cannot do that; {remedy}")
    return found
