"""A target whose connections are moved by workers, and an initiator, in virtual time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.bindings.tcp.agreement import Agreed
from stacks.nvme.bindings.tcp.workers.board import BOARD_BYTES, Board
from stacks.nvme.bindings.tcp.workers.grants import Right, Terms
from stacks.nvme.bindings.tcp.workers.handover import Handover
from stacks.nvme.bindings.tcp.workers.owner_side import OwnerChannel
from stacks.nvme.bindings.tcp.workers.worker_side import TcpWorker
from stacks.nvme.stores import InlineExecutor, Store
from stacks.nvme.stores.sharing import Share
from stacks.nvme.target import Target
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import TARGET
from transports.errors import TransportError
from transports.pump import Service
from transports.simulation.streams import StreamHost, WorldStream
from transports.stream import StreamCore, StreamTransport


class SimulatedWorker:
    """A worker process: a host of its own in the rig's world, and a channel to the owner."""

    def __init__(self, rig: WorkersRig, name: str, config: TcpTargetConfig | None) -> None:
        self.rig = rig
        self.board = Board(memoryview(bytearray(BOARD_BYTES)))
        self.core = TcpWorker(self.board, config)
        self.host: StreamHost = rig.world.attach(self.core, name, [self.core.executor])
        self.channel = OwnerChannel(rig.tcp_target)
        near, far = rig.world.pair(rig.target_host, self.host)
        rig.target_host.streams.attach(self.channel, near)
        self.host.streams.attach(self.core.channel, far)
        self.taken = self.granted = self.revoked = 0
        self.is_dead = False

    def take(self, number: int, agreed: Agreed, unread: bytes, transport: StreamTransport) -> None:
        """Have the connection."""
        self.check()
        assert isinstance(transport, WorldStream)
        self.taken += 1
        transport.host = self.host
        connection = self.core.adopt(number, agreed)
        self.host.streams.attach(connection, transport)
        connection.arrive(agreed, unread)
        connection.handle_received(0, self.rig.simulation.now)
        self.host.wake()

    def grant(self, number: int, terms: Terms, share: Share) -> None:
        """Let a connection do I/O by itself."""
        self.check()
        self.granted += 1
        self.core.grant(number, terms, [os.dup(share.descriptor), os.dup(share.lock.descriptor)])

    def revoke(self, pairs: Sequence[tuple[int, int]]) -> None:
        """End grants."""
        self.check()
        self.revoked += len(pairs)
        self.core.revoke(pairs)
        self.host.wake()

    def check(self) -> None:
        """TransportError when it is dead."""
        if self.is_dead:
            raise TransportError("the other process is gone")

    def kill(self) -> None:
        """Lose it, as with SIGKILL."""
        if not self.is_dead:
            self.is_dead = True
            self.rig.world.detach(self.host)


class WorkersRig(TcpRig):
    """As `TcpRig`, with `workers` workers."""

    def __init__(
        self,
        *stores: Store,
        workers: int = 2,
        seed: int = 1,
        cuts: bool = True,
        capacity_bytes: int = 1 << 18,
        initiator: TcpInitiatorConfig | None = None,
        target: TcpTargetConfig | None = None,
        executor: Callable[[Target], Service] = InlineExecutor,
    ) -> None:
        super().__init__(
            *stores, seed=seed, cuts=cuts, capacity_bytes=capacity_bytes, initiator=initiator, target=target,
            executor=executor,
        )  # fmt: skip
        self.workers = [self.add_worker(f"worker-{index}", target) for index in range(workers)]

    def services(self) -> list[Service]:
        """The handing over of connections."""
        self.handover = Handover(self.tcp_target, self._detach)
        return [self.handover]

    def _detach(self, core: StreamCore) -> StreamTransport | None:
        return self.target_host.streams.detach(core)

    def add_worker(self, name: str, config: TcpTargetConfig | None = None) -> SimulatedWorker:
        """Start one."""
        worker = SimulatedWorker(self, name, config)
        self.handover.add(worker)
        return worker

    @property
    def rights(self) -> list[Right]:
        """The grants that stand."""
        return self.handover.grants.rights

    @property
    def forwarded(self) -> int:
        """How many commands workers left to the owner."""
        return sum(worker.channel.commands_forwarded for worker in self.workers)

    def is_direct(self, run: Callable[[], object]) -> bool:
        """Whether workers do by themselves all that `run` does."""
        before = self.forwarded
        run()
        return self.forwarded == before

    @property
    def taken(self) -> list[int]:
        """How many connections each worker got so far."""
        return [worker.taken for worker in self.workers]


__all__ = ["TARGET", "SimulatedWorker", "WorkersRig"]
