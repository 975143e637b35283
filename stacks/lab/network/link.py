"""One direction of a link: what packets pass, in order, and what may be asked of it."""

from __future__ import annotations

from stacks.lab.experiment.values import LinkConfig
from stacks.lab.network.queues import queue_for
from transports.link import Sink
from transports.link.linkspec import AnyPort, read_link
from transports.timeline import Timeline


class Link:
    """A link that is more than a wire.

    name: as results call it. sinks: what a packet passes. port: where the queue is, None where there is no rate.
    rate_bps, limit_bytes: of it, or 0. is_constant: whether the rate is.
    """

    def __init__(
        self, timeline: Timeline, name: str, config: LinkConfig, *, rtt_ns: int, packet_bytes: int, seed: int
    ) -> None:
        self.name = name
        self.rate_bps = config.rate_bps or 0
        self.is_constant = not isinstance(config.rate, dict)
        self.limit_bytes = 0
        table: dict[str, object] = {"delay": config.delay_ns, **dict(config.elements)}
        if config.rate_bps is not None:
            self.limit_bytes = config.buffer.size_bytes(config.rate_bps, rtt_ns, packet_bytes)
            table |= {"rate": config.rate, "limit_bytes": self.limit_bytes}
        queue = queue_for(config.queue, self.limit_bytes, seed) if self.limit_bytes else None
        built = read_link(table).build(timeline, seed=seed, queue=queue)
        self.sinks: list[Sink] = list(built.sinks)
        self.port: AnyPort | None = built.port
        self._elements = tuple(built.elements.values())
        self._watched = (0, 0, 0, 0, 0)

    def watch(self) -> None:
        """Count from here on."""
        self._watched = self._counters()

    @property
    def watched(self) -> tuple[int, int, int, int, int]:
        """Since then: packets and bytes sent, packets that the queue dropped, marked, and packets lost elsewhere."""
        sent, sent_bytes, dropped, marked, lost = self._counters()
        before = self._watched
        return sent - before[0], sent_bytes - before[1], dropped - before[2], marked - before[3], lost - before[4]

    def _counters(self) -> tuple[int, int, int, int, int]:
        lost = 0
        for element in self._elements:
            lost += element.dropped_packets
        port = self.port
        if port is None:
            return 0, 0, 0, 0, lost
        return port.sent_packets, port.sent_bytes, port.queue.dropped_packets, port.queue.marked_packets, lost
