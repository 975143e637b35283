"""A target and an initiator on two devices in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig, RdmaTarget, RdmaTargetConfig
from stacks.nvme.host import HostConfig, HostController, HostNamespace, Transfer
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from stacks.rdma import Device, DeviceConfig
from tests.stacks.nvme.core_rig import NQN
from transports.pump import Service
from transports.simulation import Impairments, Network, Simulation

TARGET, INITIATOR = "192.0.2.1", "192.0.2.2"
SECOND = 1_000_000_000


class RdmaRig:
    """Both ends, and the ways to run them."""

    def __init__(
        self,
        *stores: Store,
        seed: int = 1,
        impairments: Impairments | None = None,
        shortcuts: bool = True,
        initiator: RdmaInitiatorConfig | None = None,
        target: RdmaTargetConfig | None = None,
        executor: Callable[[Target], Service] | None = InlineExecutor,
    ) -> None:
        self.simulation = Simulation(seed)
        self.network = Network(self.simulation, impairments)
        self.config = DeviceConfig(shortcuts=shortcuts)
        self.subsystem = Subsystem(NQN)
        for store in stores or (MemoryStore(1 << 20),):
            self.subsystem.add_namespace(store)
        self.target = Target([self.subsystem])
        self.rdma_target = RdmaTarget(self.device(TARGET, seed), self.target, config=target)
        self.executor = executor(self.target) if executor else None
        services = [self.executor] if self.executor else []
        self.target_host = self.network.attach(self.rdma_target, self.rdma_target.device.address, services)
        self.initiator = RdmaInitiator(self.device(INITIATOR, seed + 1), config=initiator)
        self.initiator_host = self.network.attach(self.initiator, self.initiator.device.address)

    def device(self, address: str, seed: int) -> Device:
        """A device of this network."""
        return Device(address, config=self.config, rng=random.Random(seed))

    def connect(self, config: HostConfig | None = None, *, port: int = 4420, address: str = TARGET) -> HostController:
        """Connect, and run until the association is live or closed."""
        host = self.initiator.connect(address, config or HostConfig(nqn=NQN), self.simulation.now, port=port)
        self.run_until(lambda: host.is_live or host.is_closed)
        return host

    def namespace(self, **options: object) -> HostNamespace:
        """Connect and return the only namespace."""
        host = self.connect(HostConfig(nqn=NQN, **options))  # type: ignore[arg-type]
        assert host.is_live, host.failure
        return host.namespace()

    def run_until(self, condition: Callable[[], bool], timeout_ns: int = 600 * SECOND) -> None:
        """Let time pass until `condition` holds; an error after `timeout_ns`."""
        self.initiator_host.wake()
        self.target_host.wake()
        self.simulation.run_until(condition, timeout_ns=timeout_ns)

    def run_for(self, duration_ns: int) -> None:
        """Let time pass."""
        self.initiator_host.wake()
        self.target_host.wake()
        self.simulation.run_for(duration_ns)

    def finish(self, *transfers: Transfer) -> None:
        """Run until all transfers are over."""
        self.run_until(lambda: all(transfer.is_done for transfer in transfers))

    def do(self, transfer: Transfer) -> int:
        """Run one transfer, and return its status."""
        self.finish(transfer)
        return transfer.status

    def read(self, namespace: HostNamespace, block: int, blocks: int) -> bytes:
        """Read blocks."""
        into = bytearray(blocks * namespace.block_bytes)
        assert self.do(namespace.read(block, memoryview(into))) == 0
        return bytes(into)


def random_blocks(rng: random.Random, length: int) -> bytes:
    """Random data, drawn in the one way that is stable between Python versions."""
    return bytes(int(rng.random() * 256) for _ in range(length))


def total(transfers: Sequence[Transfer]) -> int:
    """How many failed."""
    return sum(1 for transfer in transfers if transfer.status)
