"""What a target has, as plain values: for a management command, a live view, JSON.

Each view is a frozen dataclass of texts, numbers, and lists and dicts of them, so that `dataclasses.asdict` makes JSON
of it. It is taken at one moment, and nothing in it changes afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.nvme.kinds import AnaState
from wire.nvme.reservations import ReservationType

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.port import Port
    from stacks.nvme.target.subsystem import Subsystem
    from stacks.nvme.target.target import Target


@dataclass(frozen=True, slots=True)
class PortView:
    """A way in. transport, address: where it listens, empty for a port without an address; serves: NQNs of the
    subsystems that it is limited to, None for all.
    """

    portid: int
    transport: str
    address: str
    serves: list[str] | None


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A namespace. visible_to: NQNs of the hosts that have it, None for every host."""

    nsid: int
    uuid: str
    block_bytes: int
    block_count: int
    is_read_only: bool
    ana_group: int
    visible_to: list[str] | None


@dataclass(frozen=True, slots=True)
class SubsystemView:
    """A subsystem. allowed_hosts: NQNs of those that may connect, None for every host; ana: the state of each group by
    its number, and by `GROUP at port PORTID` where a port has one of its own.
    """

    nqn: str
    kind: str
    serial: str
    model: str
    allowed_hosts: list[str] | None
    namespaces: list[NamespaceView]
    ana: dict[str, str]
    controllers: int


@dataclass(frozen=True, slots=True)
class ControllerView:
    """An association. transport, address, portid: our port; remote: the host's address, where the binding says it.

    io_queues: size of each by its QID; kato_ms: 0 for none; namespaces: NSIDs that the host has; ana: the state of each
    group as the host sees it.
    """

    subsystem: str
    cntlid: int
    kind: str
    state: str
    host_nqn: str
    host_id: str
    portid: int
    transport: str
    address: str
    remote: str
    io_queues: dict[str, int]
    kato_ms: int
    namespaces: list[int]
    ana: dict[str, str]


@dataclass(frozen=True, slots=True)
class ReservationView:
    """The reservations of a namespace. kind: type of the reservation, empty when there is none; holder: host ID of the
    one host that holds it, empty where all registrants do; registrants: key of each by its host ID; hosts: their NQNs,
    of those that are connected.
    """

    nsid: int
    kind: str
    holder: str
    registrants: dict[str, int]
    hosts: dict[str, str]
    generation: int
    is_persistent: bool


def port_views(target: Target) -> list[PortView]:
    """The ports of a target."""
    return [PortView(each.portid, *_where(each), _sorted(each.serves)) for each in target.ports]


def subsystem_views(target: Target) -> list[SubsystemView]:
    """The subsystems of a target, the discovery subsystem among them."""
    return [subsystem_view(each) for each in target.subsystems.values()]


def controller_views(target: Target) -> list[ControllerView]:
    """The controllers of all subsystems of a target."""
    return [_controller(each) for each in target.controllers]


def subsystem_view(subsystem: Subsystem) -> SubsystemView:
    """One subsystem."""
    ana = subsystem.ana
    states = {
        f"{group}" if place is None else f"{group} at port {place}": _name(ana.state(group, place))
        for group in ana
        for place in ana.places(group)
    }
    return SubsystemView(
        nqn=subsystem.nqn,
        kind=subsystem.kind.type.name.lower(),
        serial=subsystem.serial,
        model=subsystem.model,
        allowed_hosts=_sorted(subsystem.allowed_hosts),
        namespaces=[namespace_view(each) for _, each in sorted(subsystem.namespaces.items())],
        ana=states,
        controllers=len(subsystem.controllers),
    )


def namespace_view(namespace: Namespace) -> NamespaceView:
    """One namespace."""
    return NamespaceView(
        nsid=namespace.nsid,
        uuid=str(namespace.identifier),
        block_bytes=namespace.block_bytes,
        block_count=namespace.block_count,
        is_read_only=namespace.store.is_read_only,
        ana_group=namespace.ana_group,
        visible_to=_sorted(namespace.visible_to),
    )


def reservation_view(subsystem: Subsystem, nsid: int) -> ReservationView:
    """The reservations of one namespace; LocalError when there is none."""
    state = subsystem.namespace(nsid).reservations.state
    connected = {each.host_id: each.host_nqn for each in subsystem.controllers.values()}
    return ReservationView(
        nsid=nsid,
        kind="" if state.kind is None else _name(state.kind),
        holder="" if state.holder is None else state.holder.hex(),
        registrants={host_id.hex(): key for host_id, key in state.registrants.items()},
        hosts={host_id.hex(): connected[host_id] for host_id in state.registrants if host_id in connected},
        generation=state.generation,
        is_persistent=state.is_persistent,
    )


def _controller(controller: Controller) -> ControllerView:
    transport, address = _where(controller.port)
    return ControllerView(
        subsystem=controller.subsystem.nqn,
        cntlid=controller.cntlid,
        kind=controller.kind.type.name.lower(),
        state=controller.state.value,
        host_nqn=controller.host_nqn,
        host_id=controller.host_id.hex(),
        portid=controller.port.portid,
        transport=transport,
        address=address,
        remote="" if controller.admin_queue is None else controller.admin_queue.remote,
        io_queues={str(qid): queue.entries for qid, queue in sorted(controller.io_queues.items())},
        kato_ms=controller.kato_ms,
        namespaces=list(controller.attachments.attached),
        ana={str(group): _name(seen.state) for group, seen in controller.attachments.groups.items()},
    )


def _where(port: Port) -> tuple[str, str]:
    if port.address is None:
        return "", ""
    host = f"[{port.address.host}]" if ":" in port.address.host else port.address.host
    return port.address.transport.name.lower(), f"{host}:{port.address.port}"


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _name(state: AnaState | ReservationType) -> str:
    return state.name.lower().replace("_", "-")
