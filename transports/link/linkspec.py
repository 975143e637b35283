"""A link from its description: what stands on the way, in which order, checked before anything is made.

    spec = read_link({"rate": "20mbit", "delay_ms": 20, "queue": "codel", "loss": {"kind": "ge", "p": 0.01, "r": 0.3}})
    link = spec.build(timeline, seed=1)
    route = (*link.sinks, receiver)

Packets pass: mtu, blackout, loss, policer; the queue, the rate and the wire; jitter, corruption, duplication,
reordering, aggregation, thinning, nat. Whoever wants another order, or two of a kind, writes `elements`, a list of
tables that name their `element`, which stand behind all of these in that order.

Every element that draws has a generator of its own, seeded with the link's seed and the element's place, so that one
more element changes nothing for the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transports.errors import TransportError
from transports.link.bounded import NO_LIMITS, Limits
from transports.link.delay import Delay
from transports.link.disciplines import make_queue, read_queue
from transports.link.droptail import DropTail
from transports.link.element import Element
from transports.link.elements import SLOTS, read_element
from transports.link.fifo_port import FifoPort
from transports.link.packet import Sink
from transports.link.parameters import REQUIRED, Kind, Parameter, Spec, read_spec, suggestion
from transports.link.port import Port
from transports.link.queue import Queue
from transports.link.rates import ConstantRate, Rate, UnlimitedRate
from transports.link.readers import changes, duration, path, rate, size, whole
from transports.link.scheduled import ScheduledRate
from transports.link.shaper import TokenBucketRate
from transports.link.trace import Trace, TracePort, load_trace
from transports.timeline import Timeline

AnyPort = Port | FifoPort | TracePort


@dataclass(frozen=True, slots=True)
class BuiltLink:
    """A link. sinks: what packets pass, in order. port: of them, the one with the queue; None without a rate.

    elements: the others, by their places: "loss", and "elements[0]" of a list. delay_ns: of the wire, without jitter.
    rate_bps: at first, or of a trace on average; 0 for no limit.
    """

    sinks: tuple[Sink, ...]
    port: AnyPort | None
    elements: Mapping[str, Element]
    delay_ns: int = 0
    rate_bps: int = 0

    def counters(self) -> dict[str, dict[str, int]]:
        """What each element counted."""
        return {place: element.counters() for place, element in self.elements.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """One direction of a link.

    rate: None for a wire alone. delay_ns: of the wire. queue: the discipline, where `build` gets no queue. before,
    after: elements by their places, before and behind the queue.
    """

    rate: Spec | None = None
    delay_ns: int = 0
    queue: Spec | None = None
    before: tuple[tuple[str, Spec], ...] = ()
    after: tuple[tuple[str, Spec], ...] = ()

    def build(
        self,
        timeline: Timeline,
        *,
        seed: int = 0,
        queue: Queue | None = None,
        hop_id: int | None = None,
        is_fixed: bool = True,
    ) -> BuiltLink:
        """Make it. queue: empty, and of no other link; as described where left out. hop_id: for telemetry, see Port.

        is_fixed: nobody will change the port's rate or delay, so that it may be a FifoPort; that has a queue of its own
        with the limits of a drop-tail `queue`, so look at `port.queue`.
        """
        elements: dict[str, Element] = {}
        sinks: list[Sink] = [self._add(elements, each, timeline, seed).put for each in self.before]
        rate_bps = 0
        port: AnyPort | None = None
        if self.rate is not None:
            rate = self.rate.build(timeline, random.Random(f"{seed} rate"))
            rate_bps = getattr(rate, "rate_bps", 0)
            if queue is None:
                queue = DropTail() if self.queue is None else make_queue(self.queue, random.Random(f"{seed} queue"))
            port = self._port(timeline, rate, queue, can_be_plain=is_fixed and hop_id is None)
        if isinstance(port, Port):
            port.hop_id = hop_id
        if port is not None:
            sinks.append(port.put)
        elif self.delay_ns:
            sinks.append(Delay(timeline, self.delay_ns).put)
        sinks += [self._add(elements, each, timeline, seed).put for each in self.after]
        return BuiltLink(tuple(sinks), port, elements, self.delay_ns, rate_bps)

    def _add(self, elements: dict[str, Element], each: tuple[str, Spec], timeline: Timeline, seed: int) -> Element:
        place, spec = each
        # Text as a seed is the same on every Python; a tuple would be hashed.
        element: Element = spec.build(timeline, random.Random(f"{seed} {place}"))
        elements[place] = element
        return element

    def _port(self, timeline: Timeline, made: Rate | Trace, queue: Queue, *, can_be_plain: bool) -> AnyPort:
        if can_be_plain and isinstance(made, ConstantRate) and type(queue) is DropTail and not queue.limit_ns:
            return FifoPort(
                timeline,
                made.rate_bps,
                delay_ns=self.delay_ns,
                limit_packets=queue.limit_packets,
                limit_bytes=queue.limit_bytes,
            )
        if isinstance(made, Trace):
            return TracePort(timeline, queue, made, delay_ns=self.delay_ns)
        return Port(timeline, queue, made, delay_ns=self.delay_ns)


def read_link(table: Mapping[str, object]) -> LinkSpec:
    """A link from its table: rate, delay, queue, limit_packets, limit_bytes, the elements of `SLOTS`, and `elements`.

    queue: see `disciplines`; drop-tail without a limit where left out. The limits are the queue's, where its own
    parameters say nothing of room.

    TransportError of one line names the key, or the element and its parameter.
    """
    given = dict(table)
    plain = read_spec("link", {key: given.pop(key) for key in tuple(given) if _is_plain(key)}, (LINK,), short="link")
    values = dict(plain.values)
    rate_value = given.pop("rate", None)
    room = Limits(packets=values["limit_packets"], size_bytes=values["limit_bytes"])
    has_room = room != NO_LIMITS or "queue" not in table
    queue = read_queue(given.pop("queue", "droptail"), room=room if has_room else None)
    parts: dict[str, list[tuple[str, Spec]]] = {"before": [], "after": []}
    side = "before"
    for name in SLOTS:
        side = "after" if name == FIRST_AFTER else side
        if name in given:
            parts[side].append((name, read_element(name, given.pop(name))))
    parts["after"] += _list(given.pop("elements", []))
    for key in given:
        raise TransportError(f"a link has no {key!r}; {suggestion(str(key), KEYS)}")
    return LinkSpec(
        rate=None if rate_value is None else read_spec("rate", rate_value, RATES, short="constant"),
        delay_ns=values["delay"],
        queue=queue,
        before=tuple(parts["before"]),
        after=tuple(parts["after"]),
    )


def _list(value: object) -> list[tuple[str, Spec]]:
    if not isinstance(value, list):
        raise TransportError(f"elements is a list of tables, not {value!r}")
    specs: list[tuple[str, Spec]] = []
    for index, each in enumerate(value):
        place = f"elements[{index}]"
        if not isinstance(each, Mapping) or not isinstance(each.get("element"), str):
            raise TransportError(f'{place}: a table that names its element, such as element = "loss"')
        parameters = {key: parameter for key, parameter in each.items() if key != "element"}
        specs.append((place, read_element(each["element"], parameters)))
    return specs


def _is_plain(key: str) -> bool:
    return key in ("delay", "limit_packets", "limit_bytes") or key.startswith("delay_")


def _rate(make: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _timeline, _rng, *values: make(*values)


RATES = (
    Kind(
        name="constant",
        text="so many bits per second",
        build=_rate(ConstantRate),
        parameters=(Parameter("rate", rate, "bits per second", REQUIRED),),
    ),
    Kind(
        name="schedule",
        text="a rate that changes at given times",
        build=lambda timeline, _rng, changes, period: ScheduledRate(
            changes, period_ns=period, origin_ns=timeline.now
        ),
        parameters=(
            Parameter("changes", changes, "from when which rate, such as 0s=20mbit|5s=1mbit", REQUIRED),
            Parameter("period", duration, "after which it begins anew; never where left out", 0),
        ),
    ),
    Kind(
        name="shaper",
        aliases=("token-bucket", "tbf"),
        text="bursts at once, so many bits per second in the long run",
        build=_rate(lambda rate, burst, peak: TokenBucketRate(rate, burst, peak_bps=peak)),
        parameters=(
            Parameter("rate", rate, "in the long run", REQUIRED),
            Parameter("burst", size, "how many bytes at once", REQUIRED),
            Parameter("peak", rate, "at which a burst leaves; at once where left out", 0),
        ),
    ),
    Kind(
        name="trace",
        aliases=("mahimahi",),
        text="a measured link",
        source="mahimahi, mm-link(1)",
        build=_rate(load_trace),
        parameters=(Parameter("file", path, "a file in mahimahi's format", REQUIRED),),
    ),
    Kind(name="unlimited", text="a queue that is always empty", build=_rate(UnlimitedRate)),
)
LINK = Kind(
    name="link",
    text="one direction of a link",
    build=_rate(lambda *values: values),
    parameters=(
        Parameter("delay", duration, "of the wire", 0),
        Parameter("limit_packets", whole(0), "room of the queue, 0 for no limit", 0),
        Parameter("limit_bytes", size, "the same in bytes", 0),
    ),
)
FIRST_AFTER = "jitter"
KEYS = ("rate", "delay", "queue", "limit_packets", "limit_bytes", *SLOTS, "elements")
