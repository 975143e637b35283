"""A QUIC flow on a timeline: as `stacks.lab.flow.ModelFlow` is, with real connections at both ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.congestion import ControllerFactory
from stacks.lab.counts import FlowCounts
from stacks.lab.experiment.values import FlowConfig
from stacks.lab.network.line import Way
from stacks.lab.quic.ends import QuicSource, QuicTarget, quic_seed
from stacks.lab.quic.host import CoreHost, DatagramPacket
from transports.timeline import Timeline


class QuicFlow:
    """One flow.

    way: what its packets pass there and back. number: by which queues know it. on_arrival: called with each packet that
    arrives at the receiver. on_complete: called once when `expected_bytes` of data have arrived, the flow's size.
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
        self.on_arrival: Callable[[DatagramPacket], object] | None = None
        self.on_complete: Callable[[], object] | None = None
        self.expected_bytes = NO_END
        self._timeline = timeline
        self.source = QuicSource(
            factory, way, NEAR, packet_bytes=packet_bytes, seed=quic_seed(seed, number, 0)
        )
        self.target = QuicTarget(config, FAR, packet_bytes=packet_bytes, seed=quic_seed(seed, number, 1))
        self._near = CoreHost(
            timeline, self.source.core, here=NEAR, there=FAR, number=number,
            on_input=self._acknowledged, on_output=self.source.feed,
        )  # fmt: skip
        self._far = CoreHost(
            timeline, self.target.core, here=FAR, there=NEAR, number=number,
            on_input=self._arrived, on_output=_nothing,
        )  # fmt: skip
        self._near.route = (*way.forward, self._far.put)
        self._far.route = (*way.backward, self._near.put)
        self.source.begin(FAR, timeline.now)

    @property
    def goodput_bytes(self) -> int:
        """Data that was new."""
        return self.target.goodput_bytes

    @property
    def state(self) -> str:
        """Of its controller."""
        controller = self.source.controller
        assert controller is not None
        return controller.state

    def sample(self) -> Sequence[int]:
        """Window, pacing rate, RTT, in flight, goodput, lost packets."""
        *values, lost_packets = self.source.sample()
        return (*values, self.target.goodput_bytes, lost_packets)

    def counts(self) -> FlowCounts:
        """What it came to, so far."""
        return self.source.counts()

    def bound(self, inflight_max_bytes: int) -> None:
        """A controller of the user's own may have so much in flight at most."""
        self.source.bound(inflight_max_bytes)

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""
        self.source.write(length_bytes, is_all=self.expected_bytes != NO_END)
        self._near.pump()

    def stop(self) -> None:
        """It has no more."""
        self.source.stop()

    def _acknowledged(self, _: DatagramPacket) -> None:
        self.source.pump(self._timeline.now)

    def _arrived(self, packet: DatagramPacket) -> None:
        if self.on_arrival is not None:
            self.on_arrival(packet)
        self.target.pump(self._timeline.now)
        if self.target.goodput_bytes >= self.expected_bytes:
            self.expected_bytes = NO_END
            if self.on_complete is not None:
                self.on_complete()


def _nothing() -> None:
    pass


NEAR, FAR = ("10.0.0.1", 50_000), ("10.0.0.2", 4433)
NO_END = 1 << 62
