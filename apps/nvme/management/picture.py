"""What a target has, as JSON: the core's views, and where its namespaces are from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from stacks.nvme.configuration import ConfiguredSubsystem
from stacks.nvme.stores import FaultyStore, OverlayStore, Store, StoreWrapper
from stacks.nvme.target import Target
from stacks.nvme.target.views import (
    controller_views,
    namespace_view,
    port_views,
    reservation_view,
    subsystem_view,
)
from transports.control import Json

if TYPE_CHECKING:
    from apps.nvme.management.manager import Manager

S = TypeVar("S", bound=Store)


def picture(manager: Manager) -> Json:
    """Everything: ports, referrals, subsystems with their namespaces and folders, controllers."""
    target = manager.target
    return {
        "ports": [asdict(view) for view in port_views(target)],
        "referrals": referrals_json(target),
        "subsystems": [subsystem_json(each) for each in manager.configured.subsystems.values()],
        "controllers": [asdict(view) for view in controller_views(target)],
    }


def reservations(manager: Manager, *, nqn: str, nsid: int) -> Json:
    """Who has registered with a namespace, or (0) with each of a subsystem, and what is reserved."""
    subsystem = manager.subsystem(nqn).subsystem
    nsids = [nsid] if nsid else sorted(subsystem.namespaces)
    return {"nqn": subsystem.nqn, "namespaces": [asdict(reservation_view(subsystem, each)) for each in nsids]}


def subsystem_json(configured: ConfiguredSubsystem) -> dict[str, Json]:
    """A subsystem, with where its namespaces are from."""
    subsystem = configured.subsystem
    return {
        **asdict(subsystem_view(subsystem)),
        "namespaces": [namespace_json(configured, nsid) for nsid in sorted(subsystem.namespaces)],
        "directories": [each.path for each in configured.directories],
    }


def namespace_json(configured: ConfiguredSubsystem, nsid: int) -> dict[str, Json]:
    """A namespace, with where it is from, and what its store can do."""
    namespace, source = configured.subsystem.namespace(nsid), configured.source(nsid)
    overlay, faulty = layer(namespace.store, OverlayStore), layer(namespace.store, FaultyStore)
    return {
        "nqn": configured.subsystem.nqn,
        **asdict(namespace_view(namespace)),
        "source": source.text,
        "directory": None if source.directory is None else source.directory.path,
        "snapshots": None if overlay is None else [each.name for each in overlay.snapshots],
        "faults": None if faulty is None else [rule.text for rule in faulty.report().rules],
    }


def referrals_json(target: Target) -> list[Json]:
    """Where hosts are sent."""
    return [
        {"transport": address.transport.name.lower(), "host": address.host, "port": address.port, "nqn": nqn}
        for address, nqn in target.discovery.referrals.items()
    ]


def layer(store: Store, kind: type[S]) -> S | None:
    """The store of a kind among those that are around each other, the outermost first; None when there is none."""
    while not isinstance(store, kind):
        if not isinstance(store, StoreWrapper):
            return None
        store = store.inner
    return store
