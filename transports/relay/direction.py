"""One way through an emulated link: loss, then a queue before a rate, then a delay."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from transports.control.directory import Json
from transports.errors import TransportError
from transports.link import ConstantRate, DropTail, LinkPacket, Port, Queue, Rate, Sink
from transports.relay.packet import RelayPacket
from transports.timeline import Timeline

Watcher = Callable[[RelayPacket, bool], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionConfig:
    """What one way is like.

    rate_bps: bits a second, 0 for no limit. delay_ns: propagation. loss: probability for each packet, before the queue.
    limit_packets, limit_bytes: of the queue, 0 for no limit.
    """

    rate_bps: int = 0
    delay_ns: int = 0
    loss: float = 0.0
    limit_packets: int = 1000
    limit_bytes: int = 0


class Direction:
    """One way.

    entered_packets, entered_bytes: into the link. left_packets, left_bytes: out of it. lost_packets: by `loss`.
    seed: of what is random here. watchers: called with each packet that enters and False, and with each that leaves and
    True; to be added before packets pass.
    """

    def __init__(self, timeline: Timeline, config: DirectionConfig, *, seed: int = 0) -> None:
        self.config = config
        self.entered_packets = 0
        self.entered_bytes = 0
        self.left_packets = 0
        self.left_bytes = 0
        self.lost_packets = 0
        self.watchers: list[Watcher] = []
        self._timeline = timeline
        self._draw = random.Random(seed).random
        queue = DropTail(limit_packets=config.limit_packets, limit_bytes=config.limit_bytes)
        self.queue: Queue = queue
        self.port = Port(timeline, queue, _rate(config), delay_ns=config.delay_ns)

    @property
    def elements(self) -> tuple[Sink, ...]:
        """What packets pass, in order, without the end."""
        inner = (self._enter, self.port.put, self._leave)
        return (self._watch_entering, *inner, self._watch_leaving) if self.watchers else inner

    def change(self, changes: Mapping[str, Json]) -> None:
        """Be otherwise from now on: rate_bps, delay_ns, loss. TransportError for anything else, and then as before."""
        unknown = changes.keys() - CHANGEABLE
        if unknown:
            names = ", ".join(sorted(unknown))
            raise TransportError(f"a running link changes its {', '.join(CHANGEABLE)}, not {names}")
        for name, value in changes.items():
            if isinstance(value, bool) or not isinstance(value, int if name != "loss" else int | float) or value < 0:
                raise TransportError(f"{name} is a number from 0 on, not {value!r}")
        if not 0 <= float(str(changes.get("loss", 0))) <= 1:
            raise TransportError(f"loss is a probability from 0 to 1, not {changes['loss']!r}")
        self.config = config = replace(self.config, **changes)  # type: ignore[arg-type]
        self.port.rate = _rate(config)
        self.port.delay_ns = config.delay_ns

    def as_json(self) -> dict[str, Json]:
        """Configuration and counters."""
        queue = self.queue
        return {
            "config": {field.name: getattr(self.config, field.name) for field in fields(self.config)},
            "entered_packets": self.entered_packets,
            "entered_bytes": self.entered_bytes,
            "left_packets": self.left_packets,
            "left_bytes": self.left_bytes,
            "lost_packets": self.lost_packets,
            "queue_packets": queue.backlog_packets,
            "queue_bytes": queue.backlog_bytes,
            "dropped_packets": queue.dropped_packets,
            "dropped_bytes": queue.dropped_bytes,
            "marked_packets": queue.marked_packets,
        }

    def _enter(self, packet: LinkPacket) -> None:
        self.entered_packets += 1
        self.entered_bytes += packet.size_bytes
        loss = self.config.loss
        if loss > 0.0 and self._draw() < loss:
            self.lost_packets += 1
            return
        packet.forward()

    def _watch_entering(self, packet: RelayPacket) -> None:
        packet.entered_ns = self._timeline.now
        for watcher in self.watchers:
            watcher(packet, False)
        packet.forward()

    def _watch_leaving(self, packet: RelayPacket) -> None:
        for watcher in self.watchers:
            watcher(packet, True)
        packet.forward()

    def _leave(self, packet: LinkPacket) -> None:
        self.left_packets += 1
        self.left_bytes += packet.size_bytes
        packet.forward()


class _NoRate:
    """A link that takes no time."""

    def finish_ns(self, size_bytes: int, start_ns: int) -> int:  # noqa: ARG002
        return start_ns


def _rate(config: DirectionConfig) -> Rate:
    return ConstantRate(config.rate_bps) if config.rate_bps else _NoRate()


CHANGEABLE = ("rate_bps", "delay_ns", "loss")
