"""One way through an emulated link, from its description, with its counters, and its changes while packets pass."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from transports.control.directory import Json
from transports.errors import TransportError
from transports.link import LinkPacket, Port, Queue, Sink
from transports.link.bounded import Limits
from transports.link.disciplines import make_queue, read_queue
from transports.link.element import Element
from transports.link.elements import read_element
from transports.link.linkspec import LinkSpec, read_link
from transports.link.parameters import Spec
from transports.link.readers import room
from transports.relay.packet import RelayPacket
from transports.timeline import Timeline

Watcher = Callable[[RelayPacket, bool], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionConfig:
    """What one way is like, as people write it: see `transports.link.linkspec` and `transports.link.disciplines`.

    rate: `20mbit`, `trace:file=...`; `unlimited` for none. delay: of the wire. queue: the discipline; limit: what it
    has room for, where it does not say so itself. loss: empty for none. elements: others, by name. TransportError for
    what makes no sense.
    """

    rate: str = "unlimited"
    delay: str = "0"
    queue: str = "droptail"
    limit: str = "1000packets"
    loss: str = ""
    elements: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        self.link()
        self.discipline()
        self.losing()

    def link(self) -> LinkSpec:
        """Rate, wire and elements, but not the loss."""
        table: dict[str, object] = {"rate": self.rate, "delay": self.delay}
        for name, text in self.elements:
            if name in table or name == "loss":
                raise TransportError(f"{name} is said twice; say it once")
            table[name] = text
        return read_link(table)

    def discipline(self) -> Spec:
        """The queue."""
        try:
            limits: Limits = room(self.limit)
        except ValueError as error:
            raise TransportError(f"limit {error}") from None
        return read_queue(self.queue, room=limits)

    def losing(self) -> Spec | None:
        """The loss."""
        return read_element("loss", self.loss) if self.loss else None


class Direction:
    """One way.

    entered_packets, entered_bytes: into the link. left_packets, left_bytes: out of it. watchers: called with each
    packet that enters and False, and with each that leaves and True; to be added before packets pass.
    seed: of what is random here.
    """

    def __init__(self, timeline: Timeline, config: DirectionConfig, *, seed: int = 0) -> None:
        self.config = config
        self.entered_packets = 0
        self.entered_bytes = 0
        self.left_packets = 0
        self.left_bytes = 0
        self.watchers: list[Watcher] = []
        self._timeline = timeline
        self._seed = seed
        queue = make_queue(config.discipline(), random.Random(f"{seed} queue"))
        self._built = config.link().build(timeline, seed=seed, queue=queue, is_fixed=False)
        assert self._built.port is not None
        self.port = self._built.port
        self._loss = self._make_loss(config)

    @property
    def queue(self) -> Queue:
        """In front of the rate."""
        return self.port.queue

    @property
    def lost_packets(self) -> int:
        """Dropped by anything but the queue."""
        return sum(each.dropped_packets for each in (*self._built.elements.values(), self._loss) if each is not None)

    @property
    def elements(self) -> tuple[Sink, ...]:
        """What packets pass, in order, without the end."""
        inner = (self._enter, *self._built.sinks, self._leave)
        return (self._watch_entering, *inner, self._watch_leaving) if self.watchers else inner

    def change(self, changes: Mapping[str, Json]) -> None:
        """Have another rate, delay or loss from now on. TransportError for anything else, and then as before."""
        unknown = changes.keys() - CHANGEABLE
        if unknown:
            names = ", ".join(sorted(unknown))
            raise TransportError(f"a running link changes its {', '.join(CHANGEABLE)}, not {names}")
        texts = {name: _text(name, value) for name, value in changes.items()}
        config = replace(self.config, **texts)  # type: ignore[arg-type]
        if config.rate != self.config.rate:
            self._change_rate(config)
        link = config.link()
        self.port.delay_ns = link.delay_ns
        if config.loss != self.config.loss:
            self._loss = self._make_loss(config)
        self.config = config

    def as_json(self) -> dict[str, Json]:
        """Configuration and counters."""
        queue = self.queue
        counters: dict[str, dict[str, int]] = self._built.counters()
        if self._loss is not None:
            counters["loss"] = self._loss.counters()
        return {
            "config": {**asdict(self.config), "elements": dict(self.config.elements)},
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
            "elements": {place: dict(each) for place, each in counters.items()},
        }

    def _change_rate(self, config: DirectionConfig) -> None:
        spec = config.link().rate
        assert spec is not None
        if not isinstance(self.port, Port) or spec.kind.name == "trace":
            raise TransportError("a link that follows a trace keeps to it, and none begins to; start another one")
        self.port.rate = spec.build(self._timeline, random.Random(f"{self._seed} rate"))

    def _make_loss(self, config: DirectionConfig) -> Element | None:
        spec = config.losing()
        if spec is None:
            return None
        element = spec.build(self._timeline, random.Random(f"{self._seed} loss"))
        assert isinstance(element, Element)
        return element

    def _enter(self, packet: LinkPacket) -> None:
        self.entered_packets += 1
        self.entered_bytes += packet.size_bytes
        if self._loss is None:
            packet.forward()
        else:
            self._loss.put(packet)

    def _leave(self, packet: LinkPacket) -> None:
        self.left_packets += 1
        self.left_bytes += packet.size_bytes
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


def _text(name: str, value: Json) -> str:
    """As a command line has it: a number is bits a second there only with its unit."""
    return f"{value}bit" if name == "rate" and isinstance(value, int) else str(value)


CHANGEABLE = ("rate", "delay", "loss")
