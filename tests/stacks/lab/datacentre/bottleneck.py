"""Long flows over one bottleneck, and what its queue does meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass

from stacks.congestion import ControllerFactory, Delivery, Flow
from stacks.lab.flow import ModelFlow
from stacks.model import Receiver, ReceiverConfig, Sender
from transports.link import ConstantRate, Delay, Port
from transports.link.ramp_marking import RampMarking
from transports.timeline import Timeline

GBPS = 1_000_000_000
MS = 1_000_000
RATE = 10 * GBPS


@dataclass
class Watched:
    """Of an interval. queues: in packets, as they were looked at. used: of the link. shares: of the flows."""

    queues: list[float]
    peak: float
    used: float
    shares: list[float]

    @property
    def mean(self) -> float:
        return sum(self.queues) / len(self.queues)


class Bottleneck:
    """`count` flows with a queue that marks by a ramp of `kmin` to `kmax` packets, and `delay_ns` each way."""

    def __init__(
        self,
        factory: ControllerFactory,
        count: int,
        *,
        delay_ns: int,
        packet_bytes: int = 1000,
        kmin: int = 1 << 30,
        kmax: int = 1 << 30,
        pmax_1000: int = 1000,
        cnp_interval_ns: int = 0,
        base_rtt_ns: int = 0,
    ) -> None:
        self.packet_bytes = packet_bytes
        self.timeline = timeline = Timeline()
        self.queue = RampMarking(
            kmin * packet_bytes, kmax * packet_bytes, pmax_1000=pmax_1000, rng=random.Random(1)
        )
        port = Port(timeline, self.queue, ConstantRate(RATE), delay_ns=delay_ns, hop_id=1)
        back = Delay(timeline, delay_ns)
        self.flows = []
        for number in range(count):
            flow = Flow(
                line_rate_bps=RATE, packet_bytes=packet_bytes, delivery=Delivery(10 * packet_bytes),
                base_rtt_ns=base_rtt_ns,
            )  # fmt: skip
            model = ModelFlow(
                timeline,
                Sender(factory, flow),
                Receiver(ReceiverConfig(ack_packets=1, ack_delay_ns=0, cnp_interval_ns=cnp_interval_ns)),
                forward=[port.put],
                backward=[back.put],
                number=number,
            )
            model.write(1 << 50)
            self.flows.append(model)

    def watch(self, start_ns: int, end_ns: int, step_ns: int) -> Watched:
        """Between two times, looking at the queue each `step_ns`."""
        timeline, queue = self.timeline, self.queue
        timeline.run(start_ns)
        before = [flow.receiver.received_bytes for flow in self.flows]
        queue.peak_bytes = 0
        queues = []
        while timeline.now < end_ns:
            timeline.run(timeline.now + step_ns)
            queues.append(queue.backlog_bytes / self.packet_bytes)
        moved = [flow.receiver.received_bytes - start for flow, start in zip(self.flows, before, strict=True)]
        total = sum(moved)
        capacity = (timeline.now - start_ns) * RATE // (8 * GBPS)
        return Watched(queues, queue.peak_bytes / self.packet_bytes, total / capacity, [part / total for part in moved])


def jain(values: list[float]) -> float:
    """Jain's fairness index."""
    return sum(values) ** 2 / (len(values) * sum([value * value for value in values]))
