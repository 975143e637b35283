"""A target as values: what is served, to whom, and where. A document says it, or a program.

`place`, everywhere, is where in the document it stands; it counts for nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stacks.nvme.bindings.rdma.target_configuration import RdmaTargetConfig
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig
from stacks.nvme.stores.faults import StoreFault
from stacks.nvme.target.controller_kind import IO, ControllerKind
from stacks.nvme.target.discovery_record import PortAddress
from stacks.nvme.url import NvmeUrl
from stacks.runtime.toml_places import Place
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import DISCOVERY_NQN


@dataclass(frozen=True, slots=True, kw_only=True)
class PortConfiguration:
    """Where hosts come in.

    url: transport, address and port number; it names no subsystem. portid: its number, 0 for the lowest free one.
    serves: NQNs of the subsystems that are reached here, None for all, none for discovery alone.
    in_capsule_bytes: data that a capsule may carry; connections_max: at a time; None for the binding's own values.
    host_data_bytes, digests: of TCP, see `TcpTargetConfig`.
    """

    url: NvmeUrl
    portid: int = 0
    serves: tuple[str, ...] | None = None
    in_capsule_bytes: int | None = None
    connections_max: int | None = None
    host_data_bytes: int | None = None
    digests: int | None = None
    place: Place = field(default=(), compare=False, repr=False)

    def tcp_config(self, base: TcpTargetConfig | None = None) -> TcpTargetConfig:
        """The sizes of a TCP port. base: what holds where this says nothing."""
        base = base or TcpTargetConfig()
        return replace(
            base,
            in_capsule_bytes=_said(self.in_capsule_bytes, base.in_capsule_bytes),
            connections_max=_said(self.connections_max, base.connections_max),
            host_data_bytes=_said(self.host_data_bytes, base.host_data_bytes),
            digests=_said(self.digests, base.digests),
        )

    def rdma_config(self) -> RdmaTargetConfig:
        """The sizes of a port on an RDMA device."""
        base = RdmaTargetConfig()
        return replace(
            base,
            in_capsule_bytes=_said(self.in_capsule_bytes, base.in_capsule_bytes),
            queues_max=_said(self.connections_max, base.queues_max),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceConfiguration:
    """A namespace.

    store: its text, as `open_store` takes it. nsid: its number, 0 for the lowest free one; identifier: its UUID, None
    for one that follows from NQN and number. visible_to: NQNs of the hosts that have it, None for every host.
    faults: rules, None for a store without; has_cache: changes stay in a cache that power cuts lose; seed: of those.
    """

    store: str
    nsid: int = 0
    block_bytes: int = 4096
    identifier: uuid.UUID | None = None
    ana_group: int = 1
    visible_to: tuple[str, ...] | None = None
    is_read_only: bool = False
    faults: tuple[StoreFault, ...] | None = None
    has_cache: bool = False
    seed: int = 0
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryConfiguration:
    """A folder of namespaces, whose numbers, UUIDs and groups its manifest says. visible_to: as of each of them."""

    path: str
    visible_to: tuple[str, ...] | None = None
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnaConfiguration:
    """The state of an ANA group at one port, or (None) at all that have none of their own."""

    group: int
    state: AnaState
    portid: int | None = None
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsystemConfiguration:
    """A subsystem; the values are those of `Subsystem`."""

    nqn: str
    serial: str = ""
    model: str = "BareMetal NVMe"
    kind: ControllerKind = IO
    allowed_hosts: tuple[str, ...] | None = None
    controllers_max: int | None = None
    namespaces: tuple[NamespaceConfiguration, ...] = ()
    directories: tuple[DirectoryConfiguration, ...] = ()
    ana: tuple[AnaConfiguration, ...] = ()
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralConfiguration:
    """A discovery service elsewhere that hosts are sent to."""

    address: PortAddress
    nqn: str = DISCOVERY_NQN
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetConfiguration:
    """A whole target.

    discovery_nqn: a name of its own for the discovery service. folder: where paths begin that are not absolute.
    state: the folder for what outlives the process beside the namespaces' blocks; empty for beside their images.
    """

    ports: tuple[PortConfiguration, ...] = ()
    subsystems: tuple[SubsystemConfiguration, ...] = ()
    referrals: tuple[ReferralConfiguration, ...] = ()
    discovery_nqn: str = DISCOVERY_NQN
    folder: str = ""
    state: str = ""


def numbered(ports: Sequence[PortConfiguration]) -> list[PortConfiguration]:
    """The ports with numbers: those that have none get, one after the other, the lowest that is free."""
    taken = {port.portid for port in ports}
    given = []
    for port in ports:
        portid = port.portid or next(number for number in range(1, len(ports) + 2) if number not in taken)
        taken.add(portid)
        given.append(replace(port, portid=portid))
    return given


def _said(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
