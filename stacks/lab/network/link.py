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
        self._watched = (0, 0, 0, 0)

    def watch(self) -> None:
        """Count from here on."""
        self._watched = self._counters()

    @property
    def watched(self) -> tuple[int, int, int, int]:
        """Since then: packets and bytes sent, packets dropped, packets marked."""
        sent, sent_bytes, dropped, marked = self._counters()
        before = self._watched
        return sent - before[0], sent_bytes - before[1], dropped - before[2], marked - before[3]

    def _counters(self) -> tuple[int, int, int, int]:
        port = self.port
        return port.sent_packets, port.sent_bytes, port.queue.dropped_packets, port.queue.marked_packets
