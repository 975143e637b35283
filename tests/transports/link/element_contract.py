"""One of each element, for the suite that holds for all of them."""

from __future__ import annotations

import random
from collections.abc import Callable

from transports.link import (
    AckThinning,
    Aggregation,
    Blackout,
    BurstLoss,
    ConstantRate,
    Corruption,
    Delay,
    DelayReordering,
    DropList,
    DropTail,
    DropWhen,
    Duplication,
    Element,
    FifoPort,
    GapReordering,
    GilbertElliottLoss,
    HeadCorruption,
    Jitter,
    Mtu,
    Nat,
    Normal,
    Policer,
    Port,
    RandomLoss,
    ScheduledRate,
    TokenBucketRate,
    TracePort,
    Uniform,
    UnlimitedRate,
    Values,
    parse_trace,
)
from transports.timeline import Timeline

MS = 1_000_000
AnyElement = Element | Delay | Port | FifoPort | TracePort
Builder = Callable[[Timeline, random.Random], AnyElement]

ELEMENTS: dict[str, Builder] = {
    "delay": lambda timeline, rng: Delay(timeline, 3 * MS),
    "random loss": lambda timeline, rng: RandomLoss(0.1, rng),
    "random loss, at most two in a row": lambda timeline, rng: RandomLoss(0.4, rng, row=2),
    "burst loss": lambda timeline, rng: BurstLoss(0.02, rng, least=2, most=5),
    "gilbert-elliott": lambda timeline, rng: GilbertElliottLoss(0.05, 0.3, rng, h=0.2, k=0.99),
    "drop list": lambda timeline, rng: DropList([1, 5, 6], flows={0: [3, 9]}),
    "drop when": lambda timeline, rng: DropWhen(lambda packet: packet.size_bytes == 576),
    "mtu": lambda timeline, rng: Mtu(1400),
    "policer": lambda timeline, rng: Policer(timeline, 4_000_000, 4000),
    "blackout": lambda timeline, rng: Blackout(timeline, [(10 * MS, 30 * MS)], period_ns=100 * MS),
    "corruption": lambda timeline, rng: Corruption(0.1, rng),
    "corruption of the head": lambda timeline, rng: HeadCorruption(0.1, rng, row=1),
    "duplication": lambda timeline, rng: Duplication(0.1, rng),
    "reordering by delay": lambda timeline, rng: DelayReordering(timeline, 0.1, 5 * MS, rng),
    "reordering by gap": lambda timeline, rng: GapReordering(timeline, 3, rng, every=7, wait_ns=20 * MS),
    "reordering by chance": lambda timeline, rng: GapReordering(timeline, 2, rng, probability=0.2, wait_ns=4 * MS),
    "uniform jitter": lambda timeline, rng: Jitter(timeline, Uniform(0, 4 * MS, rng)),
    "normal jitter": lambda timeline, rng: Jitter(timeline, Normal(4 * MS, MS, rng), keeps_order=False),
    "jitter of a list": lambda timeline, rng: Jitter(timeline, Values([0, MS, 9 * MS]), delay_ns=MS),
    "aggregation": lambda timeline, rng: Aggregation(timeline, 4 * MS, limit_packets=6),
    "slots": lambda timeline, rng: Aggregation(timeline, 4 * MS, is_slotted=True),
    "thinning": lambda timeline, rng: AckThinning(timeline, 4, wait_ns=8 * MS, limit_bytes=600),
    "nat": lambda timeline, rng: Nat(timeline, [20 * MS, 50 * MS]),
    "port": lambda timeline, rng: Port(timeline, DropTail(limit_packets=5), ConstantRate(5_000_000), delay_ns=MS),
    "fifo port": lambda timeline, rng: FifoPort(timeline, 5_000_000, delay_ns=MS, limit_bytes=6000),
    "no rate": lambda timeline, rng: Port(timeline, DropTail(), UnlimitedRate()),
    "schedule": lambda timeline, rng: Port(
        timeline, DropTail(limit_packets=9), ScheduledRate([(0, 9_000_000), (3 * MS, 0)], period_ns=5 * MS)
    ),
    "shaper": lambda timeline, rng: Port(
        timeline, DropTail(limit_packets=9), TokenBucketRate(4_000_000, 5000, peak_bps=50_000_000)
    ),
    "trace": lambda timeline, rng: TracePort(timeline, DropTail(limit_packets=9), parse_trace("0\n3\n3\n4\n9")),
}


def dropped(element: AnyElement) -> tuple[int, int]:
    """Packets and bytes that an element says went no further."""
    if isinstance(element, Port | FifoPort | TracePort):
        return element.queue.dropped_packets, element.queue.dropped_bytes
    if isinstance(element, Delay):
        return 0, 0
    return element.dropped_packets, element.dropped_bytes


def duplicated(element: AnyElement) -> tuple[int, int]:
    """The same of what it made of its own accord."""
    if isinstance(element, Duplication):
        return element.duplicated_packets, element.duplicated_bytes
    return 0, 0
