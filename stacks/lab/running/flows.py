"""A flow of an experiment: from its start to its end, and what is remembered of it."""

from __future__ import annotations

import random
from array import array
from typing import TYPE_CHECKING, TypeVar

from stacks.congestion import ControllerFactory, Delivery, Flow
from stacks.lab.counts import FlowCounts
from stacks.lab.experiment.values import FlowConfig
from stacks.lab.flow import NO_END, ModelFlow
from stacks.lab.network.line import Way
from stacks.model import DataPacket, Receiver, ReceiverConfig, Sender
from transports.timeline import Timeline

if TYPE_CHECKING:
    from stacks.lab.quic.flow import QuicFlow
    from stacks.lab.quic.host import DatagramPacket
    from stacks.lab.storage.commands import EndedCommand
    from stacks.lab.storage.flow import StorageFlow

    AnyFlow = ModelFlow | QuicFlow | StorageFlow
    Real = TypeVar("Real", QuicFlow, StorageFlow)


class FlowRun:
    """One flow.

    number, name: of it; config: what it is one of; way: its path. start_ns; completed_ns: when the last byte of its
    size arrived, -1 before. model: None before it starts. delays: of each packet that arrived after the warm-up, in
    nanoseconds, of a storage flow of each command; None when nobody wants them. warm_bytes, warm_counts: goodput and
    counts before the warm-up ended. is_sampled: whether the time series has it.
    """

    def __init__(
        self,
        timeline: Timeline,
        config: FlowConfig,
        way: Way,
        *,
        factory: ControllerFactory,
        number: int,
        name: str,
        start_ns: int,
        packet_bytes: int,
        header_bytes: int,
        seed: int,
        is_sampled: bool = True,
    ) -> None:
        self.number = number
        self.name = name
        self.config = config
        self.way = way
        self.start_ns = start_ns
        self.completed_ns = -1
        self.model: AnyFlow | None = None
        self.delays: array[int] | None = None
        self.warm_bytes = 0
        self.warm_counts = FlowCounts()
        self.is_sampled = is_sampled
        self._timeline = timeline
        self._factory = factory
        self._full_bytes = packet_bytes
        self._header_bytes = header_bytes
        self._is_stopped = False
        self._seed = seed

    @property
    def empty_delay_ns(self) -> int:
        """What one full packet takes to the receiver where nothing else is on the way."""
        return empty_delay_ns(self.way, self._full_bytes)

    @property
    def goodput_bytes(self) -> int:
        """Data that was new, so far."""
        return self.model.goodput_bytes if self.model is not None else 0

    @property
    def counts(self) -> FlowCounts:
        """What it came to, so far."""
        return FlowCounts() if self.model is None else self.model.counts()

    def start(self, measure_from_ns: int | None) -> None:
        """Begin to send. measure_from_ns: from when one-way delays are wanted, None for not at all."""
        config = self.config
        self.model = model = self._make()
        way = self.way
        # What the way and its queues hold, many times: a sender learns of what was lost within a few round trips.
        held_bytes = way.rate_bps * way.rtt_ns // BIT_NS_PER_BYTE_S + sum(link.limit_bytes for link in way.links)
        model.bound(HELD_TIMES * held_bytes + SPARE_PACKETS * self._full_bytes)
        if measure_from_ns is not None:
            self._measure(model, measure_from_ns)
        if config.size_bytes is not None:
            model.expected_bytes = config.size_bytes
            model.on_complete = self._complete
            model.write(config.size_bytes)
        elif config.write_rate_bps is not None:
            self._write(config.write_rate_bps)
        else:
            model.write(NO_END)

    def stop(self) -> None:
        """The application has no more; what it has sent may still be sent again."""
        self._is_stopped = True
        if self.model is not None:
            self.model.stop()

    def _make(self) -> AnyFlow:
        # The stacks of the real ones are loaded by flows that need them: it takes longer than all the laboratory.
        if self.config.sender == "quic":
            from stacks.lab.quic.flow import QuicFlow

            return self._make_real(QuicFlow)
        if self.config.storage is not None:
            from stacks.lab.storage.flow import StorageFlow

            return self._make_real(StorageFlow)
        return self._make_model()

    def _make_real(self, kind: type[Real]) -> Real:
        return kind(
            self._timeline,
            self._factory,
            self.config,
            self.way,
            number=self.number,
            packet_bytes=self._full_bytes,
            seed=self._seed,
        )

    def _make_model(self) -> ModelFlow:
        config, timeline, packet_bytes = self.config, self._timeline, self._full_bytes
        flow = Flow(
            line_rate_bps=self.way.rate_bps or NO_RATE_BPS,
            packet_bytes=packet_bytes,
            rng=random.Random((self._seed << 24) + self.number),
            delivery=Delivery(config.initial_window_packets * packet_bytes),
            start_ns=timeline.now,
            base_rtt_ns=self.way.rtt_ns,
        )
        return ModelFlow(
            timeline,
            Sender(self._factory, flow, overhead_bytes=self._header_bytes),
            Receiver(ReceiverConfig(ack_packets=config.ack_packets)),
            forward=self.way.forward,
            backward=self.way.backward,
            number=self.number,
        )

    def _complete(self) -> None:
        self.completed_ns = self._timeline.now

    def _write(self, rate_bps: int) -> None:
        # The application writes a packet at a time, as evenly as it can.
        if self._is_stopped or self.model is None:
            return
        payload_bytes = self._full_bytes - self._header_bytes
        self.model.write(payload_bytes)
        wait_ns = -(-payload_bytes * BIT_NS_PER_BYTE_S // rate_bps)
        self._timeline.at(self._timeline.now + wait_ns, self._write, rate_bps)

    def _measure(self, model: AnyFlow, from_ns: int) -> None:
        self.delays = delays = array("q")
        timeline, add = self._timeline, delays.append

        def arrived(packet: DataPacket | DatagramPacket | EndedCommand) -> None:
            if timeline.now >= from_ns:
                add(timeline.now - packet.sent_ns)

        model.on_arrival = arrived


def empty_delay_ns(way: Way, packet_bytes: int) -> int:
    """What one packet takes to the receiver where nothing else is on the way."""
    packet_bits_ns = packet_bytes * BIT_NS_PER_BYTE_S
    return way.forward_ns + sum(-(-packet_bits_ns // link.rate_bps) for link in way.links)


BIT_NS_PER_BYTE_S = 8_000_000_000
HELD_TIMES = 16
SPARE_PACKETS = 100_000
"""A controller of the user's own may have so many times what its way holds in flight, and so many packets more."""
NO_RATE_BPS = 10**12
"""What a controller is told where no link has a rate."""
