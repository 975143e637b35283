"""A target and an initiator on two devices in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig, RdmaTarget, RdmaTargetConfig
from stacks.nvme.host import Transfer
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from stacks.rdma import Device, DeviceConfig
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET, Association
from transports.pump import Service
from transports.simulation import Impairments, Network, Simulation


class RdmaRig(Association):
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


def random_blocks(rng: random.Random, length: int) -> bytes:
    """Random data, drawn in the one way that is stable between Python versions."""
    return bytes(int(rng.random() * 256) for _ in range(length))


def total(transfers: Sequence[Transfer]) -> int:
    """How many failed."""
    return sum(1 for transfer in transfers if transfer.status)
