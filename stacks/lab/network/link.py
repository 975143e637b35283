"""One direction of a link: what packets pass, in order, and what may be asked of it."""

from __future__ import annotations

from stacks.lab.experiment.values import LinkConfig
from stacks.lab.network.queues import make_queue
from transports.link import ConstantRate, Port, Sink
from transports.timeline import Timeline


class Link:
    """A link that has a rate, so a queue.

    name: as results call it. sinks: what a packet passes. port: where the queue is. rate_bps, limit_bytes: of it.
    """

    def __init__(
        self, timeline: Timeline, name: str, config: LinkConfig, *, rtt_ns: int, packet_bytes: int
    ) -> None:
        assert config.rate_bps is not None
        self.name = name
        self.rate_bps = config.rate_bps
        self.limit_bytes = config.buffer.size_bytes(config.rate_bps, rtt_ns, packet_bytes)
        self.port = Port(
            timeline,
            make_queue(config.queue, self.limit_bytes),
            ConstantRate(config.rate_bps),
            delay_ns=config.delay_ns,
        )
        self.sinks: list[Sink] = [self.port.put]
