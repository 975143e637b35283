"""What every rig of hosts and targets in virtual time does with time, transfers and blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stacks.nvme.host import HostConfig, HostController, HostNamespace, Transfer
from tests.stacks.nvme.core_rig import NQN
from transports.simulation import Simulation

SECOND = 1_000_000_000
TARGET, INITIATOR = "192.0.2.1", "192.0.2.2"


class Transfers:
    """A rig with a `simulation`."""

    simulation: Simulation

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

    def read(self, namespace: HostNamespace, block: int, blocks: int = 1) -> bytes:
        """Read blocks."""
        into = bytearray(blocks * namespace.block_bytes)
        assert self.do(namespace.read(block, memoryview(into))) == 0
        return bytes(into)


class Association(Transfers):
    """A rig with one `initiator`."""

    initiator: Any

    def connect(self, config: HostConfig | None = None, *, port: int = 4420, address: str = TARGET) -> HostController:
        """Connect, and run until the association is live or closed."""
        host: HostController = self.initiator.connect(
            address, config or HostConfig(nqn=NQN), self.simulation.now, port=port
        )
        self.run_until(lambda: host.is_live or host.is_closed)
        return host

    def namespace(self, **options: object) -> HostNamespace:
        """Connect and return the only namespace."""
        host = self.connect(HostConfig(nqn=NQN, **options))  # type: ignore[arg-type]
        assert host.is_live, host.failure
        return host.namespace()
