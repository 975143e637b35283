"""A storage flow on a timeline: as `stacks.lab.flow.ModelFlow` is, with NVMe commands for data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.congestion import ControllerFactory
from stacks.lab.counts import FlowCounts
from stacks.lab.experiment.values import FlowConfig
from stacks.lab.network.line import Way
from stacks.lab.storage.commands import Commands, EndedCommand
from stacks.lab.storage.ends import ENDS, Setting
from stacks.nvme.host import HostConfig
from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem, Target
from transports.timeline import Timeline


class StorageFlow:
    """One flow.

    on_complete: called once when commands have moved `expected_bytes`, the flow's size. on_arrival: called with each
    command that ended: what it took is to storage what a packet's delay is to other flows.
    """

    def __init__(
        self,
        timeline: Timeline,
        factory: ControllerFactory,
        config: FlowConfig,
        way: Way,
        *,
        number: int,
        packet_bytes: int,
        seed: int,
    ) -> None:
        assert config.storage is not None
        self.on_complete: Callable[[], object] | None = None
        self.on_arrival: Callable[[EndedCommand], object] | None = None
        self.expected_bytes = NO_END
        self.state = ""
        self.commands = Commands(timeline, config.storage, seed=seed * 1_000_003 + number)
        self.commands.on_ended = self._ended
        subsystem = Subsystem(NQN)
        subsystem.add_namespace(MemoryStore(STORE_BYTES))
        setting = Setting(
            timeline, Target([subsystem]), way, factory, number, packet_bytes, seed, look=self._look
        )
        self._ends = ENDS[config.sender.partition(":")[2]](setting)
        self._host = self._ends.connect(
            HostConfig(
                nqn=NQN, io_queues=config.storage.queues, keep_alive_ms=0, command_timeout_ns=COMMAND_TIMEOUT_NS
            )
        )
        self._ends.pump()

    @property
    def goodput_bytes(self) -> int:
        """Data of commands that ended."""
        return self.commands.moved_bytes

    def sample(self) -> Sequence[int]:
        """Window, pacing rate, RTT, in flight, goodput, lost packets; -1 for what is not there."""
        lost_packets = max(0, self._ends.counts().lost_packets)
        return self._ends.window_bytes(), -1, -1, 0, self.goodput_bytes, lost_packets

    def counts(self) -> FlowCounts:
        """What it came to, so far."""
        return self._ends.counts()

    def bound(self, inflight_max_bytes: int) -> None:
        """A workload of so many commands is bounded by itself."""

    def write(self, length_bytes: int) -> None:
        """So much more data is to be moved."""
        self.commands.unsubmitted_bytes += length_bytes

    def stop(self) -> None:
        """No new commands."""
        self.commands.is_stopped = True

    def _look(self) -> None:
        self.commands.look(self._host)

    def _ended(self, command: EndedCommand) -> None:
        if self.on_arrival is not None:
            self.on_arrival(command)
        if self.goodput_bytes >= self.expected_bytes:
            self.expected_bytes = NO_END
            if self.on_complete is not None:
                self.on_complete()


NQN = "nqn.2026-11.io.baremetal:lab"
STORE_BYTES = 64 << 20
NO_END = 1 << 62
COMMAND_TIMEOUT_NS = 3600 * 10**9
