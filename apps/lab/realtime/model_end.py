"""A flow of ours in real time: its sender and its receiver, each with a UDP socket in its namespace."""

from __future__ import annotations

import random
from collections.abc import Sequence

from apps.lab.realtime.end import Place, Sizes
from apps.lab.realtime.loop import Loop
from apps.lab.realtime.pump_turn import PumpTurn
from apps.lab.realtime.udp_end import UdpEnd
from stacks.congestion import Delivery, Flow, controller_factory
from stacks.lab.counts import FlowCounts
from stacks.lab.flow import model_counts, model_sample
from stacks.lab.network.line import Way
from stacks.lab.running.flows import NO_RATE_BPS
from stacks.lab.running.plan import PlannedFlow
from stacks.model import Receiver, ReceiverConfig, Sender
from stacks.model.endpoint import ReceivingEndpoint, SendingEndpoint
from transports.pump import Pump


class ModelEnd(UdpEnd):
    """seed: of the experiment, for what the controller draws."""

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
        config = planned.config
        super().__init__(loop, planned, way, number=number, sizes=sizes, nodes=nodes)
        self._seed = seed
        self._receiving = ReceivingEndpoint(
            ReceiverConfig(ack_packets=config.ack_packets), overhead_bytes=self.header_bytes
        )
        self._far_pump = Pump(self._receiving, self.far, loop.clock)
        self._sender: Sender | None = None
        self._near_turn: PumpTurn | None = None
        self._far_turn = PumpTurn(loop, self._far_pump, self.far.fileno(), self.arrived)

    @property
    def goodput_bytes(self) -> int:
        """Payload that was new."""
        return self._receiver.goodput_bytes

    @property
    def counts(self) -> FlowCounts:
        """What it came to, so far."""
        return FlowCounts() if self._sender is None else model_counts(self._sender, self._receiver)

    @property
    def state(self) -> str:
        """Of its controller."""
        assert self._sender is not None
        return self._sender.controller.state

    def sample(self) -> Sequence[int]:
        """As of `FlowEnd`."""
        sender = self._sender
        assert sender is not None
        return model_sample(sender, self._receiver)

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""
        if self._sender is None:
            self._begin()
        assert self._sender is not None
        assert self._near_turn is not None
        self._sender.write(length_bytes)
        self.loop.turn(self._near_turn)

    def stop(self) -> None:
        """It has no more; what it has sent may still be sent again."""
        if self._sender is not None:
            self._sender.unsent_bytes = 0

    @property
    def _receiver(self) -> Receiver:
        return next(iter(self._receiving.receivers.values()), NOTHING)

    def _begin(self) -> None:
        packet_bytes = self.packet_bytes
        facts = Flow(
            line_rate_bps=self.way.rate_bps or NO_RATE_BPS,
            packet_bytes=packet_bytes,
            rng=random.Random((self._seed << 24) + self.number),
            delivery=Delivery(self.config.initial_window_packets * packet_bytes),
            start_ns=self.loop.clock.now(),
            base_rtt_ns=self.way.rtt_ns,
        )
        self._sender = Sender(controller_factory(self.config.controller), facts, overhead_bytes=self.header_bytes)
        core = SendingEndpoint(self._sender, self.far.address, flow=self.number)
        core.on_departure = self.loop.lateness.record
        pump = Pump(core, self.near, self.loop.clock)
        self._near_turn = PumpTurn(self.loop, pump, self.near.fileno())


NOTHING = Receiver()
"""What a receiver is like that nothing has come to."""
