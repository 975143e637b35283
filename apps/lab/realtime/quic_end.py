"""A flow of our QUIC in real time: a connection between two UDP sockets, each in its namespace."""

from __future__ import annotations

from collections.abc import Sequence

from apps.lab.realtime.end import Place, Sizes
from apps.lab.realtime.loop import Loop
from apps.lab.realtime.pump_turn import PumpTurn
from apps.lab.realtime.udp_end import UdpEnd
from stacks.congestion import controller_factory
from stacks.lab.counts import FlowCounts
from stacks.lab.network.line import Way
from stacks.lab.quic.ends import QuicSource, QuicTarget, quic_seed
from stacks.lab.running.plan import PlannedFlow
from transports.pump import Pump


class QuicEnd(UdpEnd):
    """seed: of the experiment, for what the controller and the connection draw."""

    def __init__(
        self,
        loop: Loop,
        planned: PlannedFlow,
        way: Way,
        *,
        number: int,
        sizes: Sizes,
        nodes: tuple[Place, Place],
        seed: int,
    ) -> None:
        config, packet_bytes = planned.config, sizes[0]
        super().__init__(loop, planned, way, number=number, sizes=sizes, nodes=nodes)
        factory = controller_factory(config.controller)
        source_seed, target_seed = quic_seed(seed, number, 0), quic_seed(seed, number, 1)
        self._source = QuicSource(factory, way, self.near.address, packet_bytes=packet_bytes, seed=source_seed)
        self._target = QuicTarget(config, self.far.address, packet_bytes=packet_bytes, seed=target_seed)
        near_pump = Pump(self._source.core, self.near, loop.clock, (self._source,))
        far_pump = Pump(self._target.core, self.far, loop.clock, (self._target,), receive_budget=RECEIVE_BUDGET)
        self._near_turn = PumpTurn(loop, near_pump, self.near.fileno())
        self._far_turn = PumpTurn(loop, far_pump, self.far.fileno(), self.arrived)
        self._has_begun = False

    @property
    def goodput_bytes(self) -> int:
        """Payload that was new."""
        return self._target.goodput_bytes

    @property
    def counts(self) -> FlowCounts:
        """What it came to, so far."""
        return self._source.counts()

    @property
    def state(self) -> str:
        """Of its controller."""
        controller = self._source.controller
        assert controller is not None
        return controller.state

    def sample(self) -> Sequence[int]:
        """As of `FlowEnd`."""
        *values, lost_packets = self._source.sample()
        return (*values, self._target.goodput_bytes, lost_packets)

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""
        if not self._has_begun:
            self._has_begun = True
            self._source.begin(self.far.address, self.loop.clock.now())
        self._source.write(length_bytes, is_all=self.config.size_bytes is not None)
        self.loop.turn(self._near_turn)

    def stop(self) -> None:
        """It has no more; what its stream has is still sent."""
        self._source.stop()


RECEIVE_BUDGET = 4
"""Bursts before acknowledgements leave, or they would wait for a whole buffer."""
