"""A target and an initiator over TCP in virtual time."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.bindings.tcp import TcpInitiator, TcpInitiatorConfig, TcpTarget, TcpTargetConfig
from stacks.nvme.host import HostConfig, HostController, HostNamespace, Transfer
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from tests.stacks.nvme.core_rig import NQN
from transports.pump import Service
from transports.simulation import Simulation
from transports.simulation.streams import StreamWorld

TARGET, INITIATOR = "192.0.2.1", "192.0.2.2"
SECOND = 1_000_000_000


class TcpRig:
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
        self.simulation.run_until(condition, timeout_ns=timeout_ns)

    def run_for(self, duration_ns: int) -> None:
        """Let time pass."""
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
