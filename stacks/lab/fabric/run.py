"""One run: flows arrive at hosts, cross the fabric, and are noted as they complete."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from stacks.congestion import Delivery, Flow
from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.network import LeafSpine
from stacks.lab.fabric.nic import HostNic
from stacks.lab.fabric.schemes import Scheme
from stacks.lab.flow import ModelFlow
from stacks.lab.workloads import FlowArrival
from stacks.model import Receiver, ReceiverConfig, Sender
from transports.link import LinkPacket, Sink
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """A flow that has completed. completion_ns: from start to last acknowledgement. ideal_ns: see FabricConfig."""

    arrival: FlowArrival
    completion_ns: int
    ideal_ns: int

    @property
    def slowdown_1000(self) -> int:
        """Completion time over the ideal one, in thousandths, 1000 at least."""
        return max(1000, self.completion_ns * 1000 // self.ideal_ns)


@dataclass(slots=True)
class FabricResult:
    """Of one run. records: in the order of completion. queues_bytes: of each port of a switch, each time that one was
    looked at. peak_bytes: the longest queue. packets: of data. lost_packets: of them. pause_frames: sent by switches.
    end_ns: when the last flow completed.
    """

    records: list[FlowRecord] = field(default_factory=list)
    queues_bytes: list[int] = field(default_factory=list)
    peak_bytes: int = 0
    packets: int = 0
    lost_packets: int = 0
    pause_frames: int = 0
    end_ns: int = 0


class FabricFlow(ModelFlow):
    """A flow whose packets wait for their turn at the host's card."""

    def __init__(
        self,
        timeline: Timeline,
        sender: Sender,
        receiver: Receiver,
        *,
        forward: Sequence[Sink],
        backward: Sequence[Sink],
        number: int,
        nic: HostNic,
    ) -> None:
        self.waiting: deque[LinkPacket] = deque()
        self.nic = nic
        super().__init__(
            timeline, sender, receiver, forward=[self._enter, *forward], backward=backward, number=number
        )

    def pump(self) -> None:
        """Make packets, unless some still wait: then the card asks when they have left."""
        if not self.waiting:
            super().pump()
            if self.sender.is_done:
                self._timer.cancel()

    def _enter(self, packet: LinkPacket) -> None:
        self.nic.enter(self, packet)


class FabricRun:
    """arrivals: in the order of their starts. seed: of marking. sample_ns: between two looks at queues, 0 for none."""

    def __init__(
        self,
        config: FabricConfig,
        scheme: Scheme,
        arrivals: Sequence[FlowArrival],
        *,
        seed: int = 1,
        sample_ns: int = 0,
    ) -> None:
        self.config = config
        self.result = FabricResult()
        self.timeline = Timeline()
        self.network = LeafSpine(self.timeline, config, scheme, random.Random(seed))
        self._scheme = scheme
        self._arrivals = arrivals
        self._next = 0
        self._sample_ns = sample_ns
        self._receiver = ReceiverConfig(
            ack_packets=1,
            ack_delay_ns=0,
            ack_bytes=config.ack_bytes,
            cnp_interval_ns=scheme.cnp_interval_ns,
            cnp_bytes=config.ack_bytes,
        )
        self._overhead_bytes = config.header_bytes + (config.telemetry_bytes if scheme.has_telemetry else 0)

    def run(self, until_ns: int) -> FabricResult:
        """Until all flows have completed, or `until_ns`."""
        timeline, result = self.timeline, self.result
        if self._arrivals:
            timeline.at(self._arrivals[0].start_ns, self._arrive)
        if self._sample_ns:
            timeline.at(self._sample_ns, self._sample)
        while len(result.records) < len(self._arrivals) and timeline.now < until_ns:
            timeline.run(min(until_ns, timeline.now + SLICE_NS))
        result.peak_bytes = max(queue.peak_bytes for queue in self.network.queues)
        result.pause_frames = self.network.pause_frames
        return result

    def _arrive(self, _: object) -> None:
        arrival = self._arrivals[self._next]
        self._start(arrival, self._next)
        self._next += 1
        if self._next < len(self._arrivals):
            self.timeline.at(self._arrivals[self._next].start_ns, self._arrive)

    def _start(self, arrival: FlowArrival, number: int) -> None:
        config, network, timeline = self.config, self.network, self.timeline
        flow = Flow(
            line_rate_bps=config.host_rate_bps, packet_bytes=config.payload_bytes + self._overhead_bytes,
            delivery=Delivery(config.bdp_bytes), start_ns=timeline.now, base_rtt_ns=config.base_rtt_ns,
        )  # fmt: skip
        source, destination = arrival.source, arrival.destination
        model = FabricFlow(
            timeline, Sender(self._scheme.factory, flow), Receiver(self._receiver),
            forward=network.forward(source, destination, number), backward=network.backward(source, destination),
            number=number, nic=network.nics[source],
        )  # fmt: skip
        length_bytes = config.wire_bytes(arrival.size_bytes, self._overhead_bytes)
        model.expected_bytes = length_bytes
        model.on_complete = lambda: self._complete(arrival, model)
        model.write(length_bytes)

    def _complete(self, arrival: FlowArrival, model: FabricFlow) -> None:
        config, result, now = self.config, self.result, self.timeline.now
        is_far = self.network.is_far(arrival.source, arrival.destination)
        back_ns = config.one_way_ns(config.ack_bytes, is_far=is_far)
        ideal_ns = config.ideal_ns(arrival.size_bytes, is_far=is_far)
        result.records.append(FlowRecord(arrival, now + back_ns - arrival.start_ns, ideal_ns))
        result.packets += model.sender.sent_packets
        result.lost_packets += model.sender.lost_packets
        result.end_ns = now

    def _sample(self, _: object) -> None:
        self.result.queues_bytes += [queue.backlog_bytes for queue in self.network.queues]
        if len(self.result.records) < len(self._arrivals):
            self.timeline.at(self.timeline.now + self._sample_ns, self._sample)


SLICE_NS = 1_000_000
