"""The catalogue of elements: what may stand on a path, under which name, with which parameters.

`SLOTS` is in the order in which `linkspec` puts elements on a path. A slot has one or several kinds, of which one is
meant where only a value is written: `loss = "1%"` is random loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transports.errors import TransportError
from transports.link.aggregation import Aggregation
from transports.link.blackout import Blackout
from transports.link.corruption import Corruption, HeadCorruption
from transports.link.distributions import Distribution, Normal, Uniform, Values, load_values
from transports.link.drop_list import DropList
from transports.link.duplication import Duplication
from transports.link.element import Element
from transports.link.jitter import Jitter
from transports.link.loss import BurstLoss, GilbertElliottLoss, RandomLoss
from transports.link.mtu import Mtu
from transports.link.nat import Nat
from transports.link.parameters import REQUIRED, Kind, Parameter, Spec, read_spec, suggestion
from transports.link.policer import Policer
from transports.link.readers import (
    duration,
    durations,
    intervals,
    numbers,
    path,
    probability,
    rate,
    size,
    span,
    truth,
    whole,
)
from transports.link.reordering import DelayReordering, GapReordering
from transports.link.thinning import AckThinning
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Slot:
    """A name that a link's description may have. short: the kind that is meant where none is named."""

    name: str
    short: str
    kinds: tuple[Kind, ...]


def read_element(name: str, value: object) -> Spec:
    """What was written for the element `name`, checked. TransportError names the element and the parameter."""
    slot = SLOTS.get(name)
    if slot is None:
        raise TransportError(f"there is no element {name!r}; {suggestion(name, SLOTS)}")
    return read_spec(name, value, slot.kinds, short=slot.short)


def make_element(name: str, value: object, timeline: Timeline, rng: random.Random) -> Element:
    """The element itself."""
    element = read_element(name, value).build(timeline, rng)
    assert isinstance(element, Element)
    return element


def _plain(make: Callable[..., Any]) -> Callable[..., Any]:
    """A builder of what needs neither."""
    return lambda _timeline, _rng, *values: make(*values)


def _random(make: Callable[..., Any]) -> Callable[..., Any]:
    """A builder of what draws."""
    return lambda _timeline, rng, *values: make(*values, rng)


def _timed(make: Callable[..., Any]) -> Callable[..., Any]:
    """A builder of what waits."""
    return lambda timeline, _rng, *values: make(timeline, *values)


def _drop_list(packets: tuple[int, ...], flow: int | None) -> DropList:
    return DropList(packets) if flow is None else DropList(flows={flow: packets})


def _jitter(make: Callable[..., Distribution]) -> Callable[..., Jitter]:
    def build(timeline: Timeline, rng: random.Random, *values: Any) -> Jitter:
        *of_distribution, keeps_order = values
        return Jitter(timeline, make(rng, *of_distribution), keeps_order=keeps_order)

    return build


def _values(rng: random.Random, file: str, values: tuple[int, ...], draw: bool) -> Values:
    if bool(file) == bool(values):
        raise TransportError("file and values say the same thing; give one of them")
    return Values(values or load_values(file), rng if draw else None)


P = Parameter("p", probability, "probability for each packet", REQUIRED)
ROW = Parameter("row", whole(0), "after so many in a row one passes; no such bound where left out", 0)
ORDER = Parameter("order", truth, "whether packets keep their order", default=True)

LOSSES = (
    Kind(
        name="random",
        text="each packet for itself",
        build=_random(lambda p, row, rng: RandomLoss(p, rng, row=row)),
        parameters=(P, ROW),
    ),
    Kind(
        name="burst",
        text="several packets in a row",
        build=_random(lambda p, least, most, rng: BurstLoss(p, rng, least=least, most=most)),
        parameters=(
            Parameter("p", probability, "probability that a packet begins a burst", REQUIRED),
            Parameter("least", whole(1), "packets in a burst, or the fewest", REQUIRED),
            Parameter("most", whole(1), "the most packets in a burst, all as likely; as least where left out", 0),
        ),
    ),
    Kind(
        name="gilbert-elliott",
        aliases=("ge",),
        text="a channel that is now good, now bad",
        source="Gilbert 1960, Elliott 1963",
        build=_random(lambda p, r, h, k, rng: GilbertElliottLoss(p, r, rng, h=h, k=k)),
        parameters=(
            Parameter("p", probability, "probability of good to bad, after each packet", REQUIRED),
            Parameter("r", probability, "probability of bad to good", REQUIRED),
            Parameter("h", probability, "probability that a packet passes when bad", 0.0),
            Parameter("k", probability, "probability that a packet passes when good", 1.0),
        ),
    ),
    Kind(
        name="list",
        text="packets by their numbers, the first is 1",
        build=_plain(_drop_list),
        parameters=(
            Parameter("packets", numbers, "which, such as 1|5|10..12", REQUIRED),
            Parameter("flow", whole(0), "counted in this flow alone; over all that pass where left out"),
        ),
    ),
)

JITTERS = (
    Kind(
        name="uniform",
        text="any delay of a range, all as likely",
        build=_jitter(lambda rng, high, low: Uniform(low, high, rng)),
        parameters=(
            Parameter("high", duration, "the longest", REQUIRED),
            Parameter("low", duration, "the shortest", 0),
            ORDER,
        ),
    ),
    Kind(
        name="normal",
        text="normally distributed, and 0 where that is below",
        source="Marsaglia 1964",
        build=_jitter(lambda rng, mean, deviation: Normal(mean, deviation, rng)),
        parameters=(
            Parameter("mean", duration, "the mean", REQUIRED),
            Parameter("deviation", duration, "the standard deviation", REQUIRED),
            ORDER,
        ),
    ),
    Kind(
        name="values",
        text="delays from a list or a file, in their order again and again",
        build=_jitter(_values),
        parameters=(
            Parameter("file", path, "a file with a number of milliseconds on each line", ""),
            Parameter("values", durations, "the values, such as 0ms|3ms|1ms", ()),
            Parameter("draw", truth, "any of them, all as likely, instead of in order", default=False),
            ORDER,
        ),
    ),
)

CORRUPTIONS = (
    Kind(name="bit", text="flips the last bit", build=_random(Corruption), parameters=(P,)),
    Kind(
        name="head",
        text="replaces one byte of the first; Version Negotiation of QUIC is spared",
        build=_random(lambda p, first, row, rng: HeadCorruption(p, rng, first_bytes=first, row=row)),
        parameters=(P, Parameter("bytes", size, "of the first so many", 51), ROW),
        source="quic-network-simulator",
    ),
)

REORDERINGS = (
    Kind(
        name="delay",
        text="a packet waits for a time while later ones pass",
        build=lambda timeline, rng, p, delay: DelayReordering(timeline, p, delay, rng),
        parameters=(P, Parameter("delay", span, "how long", REQUIRED)),
    ),
    Kind(
        name="gap",
        text="a packet goes behind the next few",
        source="RFC 4737",
        build=lambda timeline, rng, p, packets, every, wait: GapReordering(
            timeline, packets, rng, probability=p, every=every, wait_ns=wait
        ),
        parameters=(
            Parameter("p", probability, "probability for each packet", 0.0),
            Parameter("packets", whole(1), "how many pass it", 1),
            Parameter("every", whole(1), "each so many-th packet instead", 0),
            Parameter("wait", span, "it goes on after this, though fewer have passed", 100_000_000),
        ),
    ),
)


def _slots(*slots: Slot) -> Mapping[str, Slot]:
    return {slot.name: slot for slot in slots}


def _only(name: str, text: str, build: Callable[..., Any], *parameters: Parameter, source: str = "") -> Slot:
    return Slot(name, name, (Kind(name=name, text=text, build=build, parameters=parameters, source=source),))


SLOTS = _slots(
    _only(
        "mtu",
        "drops packets that are too long",
        _plain(Mtu),
        Parameter("bytes", size, "the longest that passes", REQUIRED),
    ),
    _only(
        "blackout",
        "nothing passes for a time",
        _timed(lambda timeline, times, period: Blackout(timeline, times, period_ns=period)),
        Parameter("times", intervals, "from when to when, such as 1s..2s|5s..6s", REQUIRED),
        Parameter("period", duration, "after which they come again; never where left out", 0),
    ),
    Slot("loss", "random", LOSSES),
    _only(
        "policer",
        "drops what is faster than it should be",
        _timed(Policer),
        Parameter("rate", rate, "in the long run", REQUIRED),
        Parameter("burst", size, "how many bytes at once", REQUIRED),
        source="RFC 2697",
    ),
    Slot("jitter", "uniform", JITTERS),
    Slot("corruption", "bit", CORRUPTIONS),
    _only("duplication", "sends a copy behind a packet", _random(Duplication), P),
    Slot("reordering", "gap", REORDERINGS),
    _only(
        "aggregation",
        "collects packets and lets them go at once",
        _timed(
            lambda timeline, hold, packets, slots: Aggregation(
                timeline, hold, limit_packets=packets, is_slotted=slots
            )
        ),
        Parameter("hold", duration, "how long the first of a burst waits", 0),
        Parameter("packets", whole(1), "a burst of so many leaves at once", 0),
        Parameter("slots", truth, "bursts leave only at multiples of hold", default=False),
    ),
    _only(
        "thinning",
        "of several ACKs of a flow only the newest goes on",
        _timed(
            lambda timeline, packets, wait, limit: AckThinning(timeline, packets, wait_ns=wait, limit_bytes=limit)
        ),
        Parameter("packets", whole(1), "of how many", REQUIRED),
        Parameter("wait", span, "after the first of them the newest goes on anyway", 100_000_000),
        Parameter("limit", size, "what is longer is no ACK", 100),
        source="RFC 3449 5.2.1",
    ),
    _only(
        "nat",
        "gives sources new numbers at times",
        _timed(Nat),
        Parameter("times", durations, "when it forgets, such as 5s|9s", REQUIRED),
        source="RFC 4787",
    ),
)
