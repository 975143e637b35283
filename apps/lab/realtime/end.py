"""What the two kinds of flows in real time have in common: see `stacks.lab.running.flows.FlowRun`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence

from apps.lab.realtime.loop import Loop
from stacks.lab.counts import FlowCounts
from stacks.lab.experiment.values import FlowConfig
from stacks.lab.network.line import Way
from stacks.lab.running.flows import empty_delay_ns
from stacks.lab.running.plan import PlannedFlow

Place = tuple[str, str]
"""A node: its namespace, and its address there."""
Sizes = tuple[int, int]
"""Bytes of a full packet, and of it, those that are no payload."""


class FlowEnd(ABC):
    """Both ends of one flow.

    near, far: where it sends, and where it is received. link_name: what the link calls it. has_started.
    """

    link_name: str = ""

    def __init__(
        self, loop: Loop, planned: PlannedFlow, way: Way, *, number: int, sizes: Sizes, config: FlowConfig
    ) -> None:
        self.loop = loop
        self.number = number
        self.name = planned.name
        self.config = config
        self.way = way
        self.start_ns = planned.start_ns
        self.is_sampled = planned.is_sampled
        self.packet_bytes, self.header_bytes = sizes
        self.completed_ns = -1
        self.delays: array[int] | None = None
        self.warm_bytes = 0
        self.warm_counts = FlowCounts()
        self.has_started = False
        self._is_stopped = False

    @property
    def empty_delay_ns(self) -> int:
        """What one full packet takes to the receiver where nothing else is on the way."""
        return empty_delay_ns(self.way, self.packet_bytes)

    @property
    @abstractmethod
    def goodput_bytes(self) -> int:
        """Payload that was new."""

    @property
    @abstractmethod
    def counts(self) -> FlowCounts:
        """What it came to, so far."""

    @abstractmethod
    def sample(self) -> Sequence[int]:
        """Window, pacing rate, RTT, in flight, goodput, lost packets."""

    @property
    @abstractmethod
    def state(self) -> str:
        """Of its controller."""

    @abstractmethod
    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""

    @abstractmethod
    def stop(self) -> None:
        """The application has no more."""

    @abstractmethod
    def close(self) -> None:
        """Its sockets; idempotent."""

    def plan(self) -> None:
        """Put its start and its end on the timeline."""
        timeline = self.loop.timeline
        timeline.at(self.start_ns, self._start)
        if self.config.stop_ns is not None:
            timeline.at(self.config.stop_ns, self._stop)

    def arrived(self) -> None:
        """Called when data has arrived: see whether that is all."""
        size_bytes = self.config.size_bytes
        if size_bytes is not None and self.completed_ns < 0 and self.goodput_bytes >= size_bytes:
            self.completed_ns = self.loop.now

    def _start(self, _: object) -> None:
        self.has_started = True
        config = self.config
        if config.size_bytes is not None:
            self.write(config.size_bytes)
        elif config.write_rate_bps is not None:
            self._write_on(config.write_rate_bps)
        else:
            self.write(UNLIMITED_BYTES)

    def _stop(self, _: object) -> None:
        self._is_stopped = True
        self.stop()

    def _write_on(self, rate_bps: int) -> None:
        if self._is_stopped:
            return
        payload_bytes = self.packet_bytes - self.header_bytes
        self.write(payload_bytes)
        wait_ns = -(-payload_bytes * BIT_NS_PER_BYTE_S // rate_bps)
        timeline = self.loop.timeline
        timeline.at(timeline.now + wait_ns, self._write_on, rate_bps)


UNLIMITED_BYTES = 1 << 50
BIT_NS_PER_BYTE_S = 8_000_000_000
