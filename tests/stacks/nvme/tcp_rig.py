"""A target and an initiator over TCP in virtual time."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.bindings.tcp import TcpInitiator, TcpInitiatorConfig, TcpTarget, TcpTargetConfig
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.transfers import INITIATOR, TARGET, Association
from transports.pump import Service
from transports.simulation import Simulation
from transports.simulation.streams import StreamWorld


class TcpRig(Association):
    """Both ends, and the ways to run them."""

    def __init__(
        self,
        *stores: Store,
        seed: int = 1,
        cuts: bool = True,
        capacity_bytes: int = 1 << 18,
        initiator: TcpInitiatorConfig | None = None,
        target: TcpTargetConfig | None = None,
        executor: Callable[[Target], Service] = InlineExecutor,
    ) -> None:
        self.simulation = Simulation(seed)
        self.world = StreamWorld(self.simulation, cuts=cuts, capacity_bytes=capacity_bytes)
        self.subsystem = Subsystem(NQN)
        for store in stores or (MemoryStore(1 << 20),):
            self.subsystem.add_namespace(store)
        self.target = Target([self.subsystem])
        self.tcp_target = TcpTarget(self.target, TARGET, config=target)
        self.executor = executor(self.target)
        self.target_host = self.world.attach(self.tcp_target, TARGET, [self.executor, *self.services()], ports=[4420])
        self.initiator = TcpInitiator(config=initiator)
        self.initiator_host = self.world.attach(self.initiator, INITIATOR)

    def services(self) -> list[Service]:
        """Further services of the target's pump."""
        return []
