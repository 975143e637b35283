"""A subsystem behind ports of several addresses and both transports, and a host with paths to it, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaTarget
from stacks.nvme.bindings.tcp import TcpInitiator, TcpTarget
from stacks.nvme.host import HostConfig, HostNamespace, Multipath, Path, PathPolicy, ReconnectPolicy, Transfer
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from stacks.rdma import Device
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.transfers import SECOND, Transfers
from transports.simulation import Impairments, Network, Simulation
from transports.simulation.streams import StreamWorld

TCP = ("192.0.2.1", "192.0.2.2")
RDMA = ("192.0.2.3", "192.0.2.4")
INITIATOR = "192.0.2.9"
BLOCK = 4096


class PathRig(Transfers):
    """The target runs from the start. tcp, rdma: how many ports it has of each."""

    def __init__(
        self,
        *stores: Store,
        tcp: int = 1,
        rdma: int = 0,
        seed: int = 1,
        policy: PathPolicy = PathPolicy.NUMA,
        impairments: Impairments | None = None,
    ) -> None:
        self.simulation = Simulation(seed)
        self.world = StreamWorld(self.simulation)
        self.network = Network(self.simulation, impairments)
        self.stores = list(stores) or [MemoryStore(64 * BLOCK)]
        self.addresses = [*TCP[:tcp], *RDMA[:rdma]]
        self.hosts: dict[str, Any] = {}
        self.devices_made = 0
        self.tcp = TcpInitiator()
        self.world.attach(self.tcp, INITIATOR)
        self.rdma = RdmaInitiator(self._device(INITIATOR))
        self.network.attach(self.rdma, self.rdma.device.address)
        self.multipath = Multipath(policy=policy, wake=self.simulation.wake_all)
        self.start_target()

    # The target, a process that can be killed

    def start_target(self) -> None:
        """Serve the stores at all addresses."""
        self.subsystem = Subsystem(NQN)
        for store in self.stores:
            self.subsystem.add_namespace(store)
        self.prepare(self.subsystem)
        self.target = Target([self.subsystem])
        for address in self.addresses:
            self.open_port(address)

    def prepare(self, subsystem: Subsystem) -> None:
        """What else a target that starts has; for tests to change."""

    def kill_target(self) -> None:
        """No more of it: TCP connections are reset, RDMA falls silent."""
        for address in list(self.hosts):
            self.close_port(address)

    def open_port(self, address: str) -> None:
        """Serve at an address."""
        services = [InlineExecutor(self.target)]
        if address in TCP:
            core = TcpTarget(self.target, address)
            self.hosts[address] = self.world.attach(core, address, services, ports=[4420])
        else:
            device_core = RdmaTarget(self._device(address), self.target)
            self.hosts[address] = self.network.attach(device_core, device_core.device.address, services)

    def close_port(self, address: str) -> None:
        """The port is gone, and its connections with it."""
        host = self.hosts.pop(address)
        (self.world if address in TCP else self.network).detach(host)

    def _device(self, address: str) -> Device:
        self.devices_made += 1
        return Device(address, rng=random.Random(self.devices_made))

    # The host

    def path(
        self, address: str = TCP[0], *, policy: ReconnectPolicy | None = None, port: int = 4420, **config: Any
    ) -> Path:
        """A new path to an address, without anything above."""
        connector = self.tcp if address in TCP or address.startswith("198.") else self.rdma
        return Path(
            connector, address, HostConfig(**{"nqn": NQN, **config}), port=port, policy=policy or ReconnectPolicy()
        )

    def add(self, address: str = TCP[0], *, policy: ReconnectPolicy | None = None, **config: Any) -> Path:
        """A path of the multipath, started."""
        path = self.path(address, policy=policy, **config)
        self.multipath.add(path, self.simulation.now)
        return path

    def connect(self, *, policy: ReconnectPolicy | None = None, **config: Any) -> HostNamespace:
        """Paths to every address, live; the first namespace."""
        paths = [self.add(address, policy=policy, **config) for address in self.addresses]
        self.run_until(lambda: all(path.is_live for path in paths))
        return self.multipath.namespace(1)

    # Time

    def run_until(self, condition: Callable[[], bool], timeout_ns: int = 3600 * SECOND) -> None:
        """Let time pass until `condition` holds; an error after `timeout_ns`."""
        self.simulation.run_until(condition, timeout_ns=timeout_ns)


def block_of(value: int) -> memoryview:
    """A block full of one value."""
    return memoryview(bytes([value & 0xFF]) * BLOCK)


def problems(transfers: Sequence[Transfer]) -> list[str]:
    """What went wrong with which, each text once."""
    return list(dict.fromkeys(transfer.problem for transfer in transfers if transfer.status))
