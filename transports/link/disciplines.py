"""Queue disciplines by name, with their parameters.

    spec = read_queue("codel:target=5ms")                       on a command line
    spec = read_queue({"kind": "codel", "target_ms": 5})        in TOML
    queue = make_queue(spec, rng)

A `Spec` is frozen and checked; every queue made from it is another. (To another process goes what was written: a Spec
holds functions.) Mistakes are TransportErrors of one line that name the parameter: `queue: target is a time such as
20ms, or a whole number of nanoseconds, not 'soon'`.

Each discipline has room for so many packets, so many bytes, so much time at the link's present rate, or several of
these; where nothing is said, for `room` of `read_queue`, and without that for what `DISCIPLINES` says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from transports.errors import TransportError
from transports.link.bounded import Limits
from transports.link.codel import INTERVAL_NS, TARGET_NS, Codel
from transports.link.droptail import DropHead, DropTail
from transports.link.dualpi2 import DualPi2
from transports.link.fq_codel import FqCodel
from transports.link.parameters import Kind, Parameter, Spec, read_spec, suggestion
from transports.link.pie import Pie
from transports.link.priority import StrictPriority
from transports.link.queue import Queue
from transports.link.ramp_marking import RampMarking
from transports.link.readers import duration, probability, real, size, span, truth, whole
from transports.link.readers import room as read_room
from transports.link.red import Red
from transports.link.step_marking import StepMarking
from transports.timeline import Timeline


def read_queue(value: object, *, room: Limits | None = None) -> Spec:
    """What was written for a queue, checked: a name, a name and parameters, or a table with `kind`.

    room: what it has room for where nothing is said of that, and each queue under strict priority likewise.
    TransportError names the parameter that is wrong.
    """
    word = value.get("kind") if isinstance(value, Mapping) else value
    if not isinstance(word, str):
        raise TransportError(f"queue: a kind, such as codel, or a table with one; {suggestion('', DISCIPLINES)}")
    name = word.partition(":")[0]
    if name not in DISCIPLINES:
        raise TransportError(f"queue: there is no kind {name!r}; {suggestion(name, DISCIPLINES)}")
    spec = read_spec("queue", value, DISCIPLINES.values())
    return spec if room is None else _with_room(spec, room)


def make_queue(spec: Spec, rng: random.Random) -> Queue:
    """A queue of its own, which draws from `rng`, if it draws at all."""
    queue: Queue = spec.build(Timeline(), rng)
    return queue


def _with_room(spec: Spec, room: Limits) -> Spec:
    given = dict(spec.values)
    if "queues" in given:
        given["queues"] = tuple(_with_room(each, room) for each in given["queues"])
    elif all(given[name] is None for name in LIMIT_NAMES):
        given["limit"] = room
    return replace(spec, values=tuple(given.items()))


def _queues(value: object) -> tuple[Spec, ...]:
    """Specs of several queues, of a list or of text with bars between."""
    written = value.split("|") if isinstance(value, str) else value
    if not isinstance(written, list) or not written:
        raise ValueError(f"are queues such as droptail|codel, not {value!r}")
    try:
        return tuple(read_queue(each) for each in written)
    except TransportError as error:
        raise ValueError(f"has one that is wrong: {str(error).removeprefix('queue: ')}") from None


def _limits(given: dict[str, Any], default: Limits) -> Limits:
    """Takes them out of what was given."""
    room, packets, size_bytes = (given.pop(name) for name in LIMIT_NAMES)
    if room is packets is size_bytes is None:
        return default
    room = room or Limits()
    return Limits(
        packets=room.packets if packets is None else packets,
        size_bytes=room.size_bytes if size_bytes is None else size_bytes,
        time_ns=room.time_ns,
    )


def _bytes(value: object) -> int:
    """A size, or 0 for no limit."""
    return 0 if value in (0, "0") and value is not False else int(size(value))


def _kind(
    name: str,
    text: str,
    make: Callable[..., Queue],
    keywords: Mapping[str, Parameter],
    *,
    room: Limits,
    draws: bool = False,
    source: str = "",
    aliases: tuple[str, ...] = (),
) -> Kind:
    """A discipline. keywords: of `make`, for each parameter. room: where nothing is said of it. draws: takes an rng."""
    parameters = tuple(keywords.values())

    def build(_timeline: Timeline, rng: random.Random, *values: Any) -> Queue:
        given = dict(zip((*keywords, *LIMIT_NAMES), values, strict=True))
        given["limits"] = _limits(given, room)
        return make(rng=rng, **given) if draws else make(**given)

    return Kind(name=name, text=text, build=build, parameters=(*parameters, *LIMITS), source=source, aliases=aliases)


def _line(make: Callable[..., Queue]) -> Callable[..., Queue]:
    def build(limits: Limits) -> Queue:
        return make(limit_packets=limits.packets, limit_bytes=limits.size_bytes, limit_ns=limits.time_ns)

    return build


def _red(rng: random.Random, low: Limits, high: Limits, **given: Any) -> Red:
    if low.time_ns or high.time_ns or bool(low.size_bytes) != bool(high.size_bytes):
        raise TransportError("min and max are both packets, such as 5 and 15, or both bytes, such as 5kB and 15kB")
    counts_bytes = bool(high.size_bytes)
    lengths = (low.size_bytes, high.size_bytes) if counts_bytes else (low.packets, high.packets)
    return Red(rng, min_length=lengths[0], max_length=lengths[1], counts_bytes=counts_bytes, **given)


def _ramp(rng: random.Random, kmin: int, kmax: int, pmax: float, is_strict: bool, limits: Limits) -> RampMarking:
    if kmin > kmax:
        raise TransportError(f"kmin is at most kmax, and {kmin} is more than {kmax}")
    return RampMarking(kmin, kmax, pmax_1000=pmax * 1000, is_strict=is_strict, limits=limits, rng=rng)


def _fq_codel(rng: random.Random, is_hashed: bool, **given: Any) -> FqCodel:
    return FqCodel(rng=rng if is_hashed else None, **given)


def _priority(_timeline: Timeline, rng: random.Random, queues: tuple[Spec, ...]) -> StrictPriority:
    return StrictPriority([make_queue(each, rng) for each in queues])


LIMITS = (
    Parameter("limit", read_room, "room: 100packets, 64KiB, or 40ms at the link's present rate"),
    Parameter("limit_packets", whole(0), "room in packets, 0 for no such limit"),
    Parameter("limit_bytes", _bytes, "room in bytes, 0 for no such limit"),
)
LIMIT_NAMES = tuple(each.name for each in LIMITS)
USUAL_ROOM = Limits(packets=1000)

ECN = Parameter("ecn", truth, "mark packets that allow it, instead of dropping them", default=True)
STRICT = Parameter("strict", truth, "drop what would be marked and cannot be", default=False)
TARGET = Parameter("target", span, "what a packet may wait", TARGET_NS)
INTERVAL = Parameter("interval", span, "how long too much is borne; of the order of a round trip", INTERVAL_NS)
FREQUENCY = real(0, 1_000_000)

KINDS = (
    _kind("droptail", "drops what finds no room", _line(DropTail), {}, room=USUAL_ROOM),
    _kind("drophead", "drops what has waited longest", _line(DropHead), {}, room=USUAL_ROOM),
    _kind(
        "red",
        "signals at random by the average length",
        _red,
        {
            "low": Parameter("min", read_room, "average below which there are no signals", Limits(packets=5)),
            "high": Parameter("max", read_room, "average at which p is max_p", Limits(packets=15)),
            "max_p": Parameter("max_p", probability, "probability at max", 0.1),
            "weight": Parameter("weight", probability, "of the newest length in the average", 0.002),
            "is_gentle": Parameter("gentle", truth, "p rises from max_p to 1 at twice max", default=True),
            "is_ecn": ECN,
            "is_hard": Parameter("hard", truth, "above max drop even what could be marked", default=False),
            "packet_bytes": Parameter("packet", size, "a typical packet, for the decay in idle times", 1000),
        },
        room=USUAL_ROOM,
        draws=True,
        source="Floyd and Jacobson 1993",
    ),
    _kind(
        "step",
        "marks everything while more than a threshold waits",
        StepMarking,
        {
            "threshold": Parameter("threshold", read_room, "K: packets, bytes, or a wait", Limits(packets=20)),
            "is_strict": STRICT,
        },
        room=USUAL_ROOM,
        source="RFC 8257 3.1",
        aliases=("dctcp",),
    ),
    _kind(
        "ramp",
        "marks with a probability that rises with the length",
        _ramp,
        {
            "kmin": Parameter("kmin", size, "bytes up to which nothing is marked", 5_000),
            "kmax": Parameter("kmax", size, "bytes above which everything is marked", 200_000),
            "pmax": Parameter("pmax", probability, "probability at kmax", 0.01),
            "is_strict": STRICT,
        },
        room=USUAL_ROOM,
        draws=True,
        source="DCQCN 2015, 3.1",
    ),
    _kind(
        "codel",
        "drops at the head when packets have waited too long for a while",
        Codel,
        {"target_ns": TARGET, "interval_ns": INTERVAL, "is_ecn": ECN},
        room=USUAL_ROOM,
        source="RFC 8289",
    ),
    _kind(
        "fq_codel",
        "flows take turns by bytes, each under CoDel",
        _fq_codel,
        {
            "target_ns": TARGET,
            "interval_ns": INTERVAL,
            "is_ecn": ECN,
            "flows": Parameter("flows", whole(1), "number of lines", 1024),
            "quantum_bytes": Parameter("quantum", size, "bytes of a turn", 1514),
            "batch_packets": Parameter("batch", whole(1), "most packets that a full queue drops at once", 64),
            "is_hashed": Parameter("hashed", truth, "false: flow n has line n modulo flows", default=True),
        },
        room=Limits(packets=10_240),
        draws=True,
        source="RFC 8290",
        aliases=("fq-codel",),
    ),
    _kind(
        "pie",
        "drops at random on arrival to hold a delay",
        Pie,
        {
            "target_ns": Parameter("target", span, "the delay", 15_000_000),
            "update_ns": Parameter("update", span, "between updates of the probability", 15_000_000),
            "alpha_hz": Parameter("alpha", FREQUENCY, "gain of the difference from the target, in Hz", 0.125),
            "beta_hz": Parameter("beta", FREQUENCY, "gain of the change, in Hz", 1.25),
            "burst_ns": Parameter("burst", duration, "how long a burst is allowed", 150_000_000),
            "is_ecn": ECN,
            "mark_below": Parameter("mark_below", probability, "above this probability drop even with ecn", 0.1),
            "packet_bytes": Parameter("packet", size, "a typical packet; two of them are a short queue", 1500),
            "is_derandomized": Parameter("derandomized", truth, "spread signals evenly", default=True),
        },
        room=USUAL_ROOM,
        draws=True,
        source="RFC 8033",
    ),
    _kind(
        "dualpi2",
        "one queue for L4S and one for the rest, coupled",
        DualPi2,
        {
            "target_ns": Parameter("target", span, "the delay of the classic queue", 15_000_000),
            "rtt_max_ns": Parameter("rtt_max", span, "the longest round trip for which it is stable", 100_000_000),
            "update_ns": Parameter("update", span, "between updates; the smaller of target and rtt_max/3"),
            "alpha_hz": Parameter("alpha", FREQUENCY, "gain in Hz; 0.1 update/rtt_max^2"),
            "beta_hz": Parameter("beta", FREQUENCY, "gain in Hz; 0.3/rtt_max"),
            "k": Parameter("k", real(1, 16), "coupling", 2.0),
            "min_ns": Parameter("min", duration, "L4S packets that waited longer may be marked", 800_000),
            "range_ns": Parameter("range", duration, "and after so much more are; 0 for a step", 400_000),
            "c_share": Parameter("c_share", probability, "of the link, for the classic queue when both wait", 0.1),
            "drops_overload": Parameter("overload", truth, "when overloaded drop L4S packets, too", default=True),
            "is_ecn": ECN,
        },
        room=Limits(packets=10_000),
        source="RFC 9332",
    ),
    Kind(
        name="priority",
        text="the first of several queues that has a packet sends",
        build=_priority,
        parameters=(Parameter("queues", _queues, "by precedence: droptail|codel, or a list of tables", ()),),
    ),
)
DISCIPLINES: Mapping[str, Kind] = {name: kind for kind in KINDS for name in (kind.name, *kind.aliases)}
