"""Drop-tail and drop-head: the limit in time, what is dropped, and the mean wait of Poisson arrivals (M/D/1)."""

from __future__ import annotations

import math
import random

import pytest

from tests.transports.link.queue_contract import Outlet
from tests.transports.link.rig import Collector, send, traffic
from transports.errors import TransportError
from transports.link import ConstantRate, DropHead, DropTail, LinkPacket, Port, ScheduledRate, Trace, TracePort
from transports.timeline import Timeline

MS = 1_000_000


def waits_ns(collector: Collector, arrivals: list[tuple[int, int]]) -> list[int]:
    """From the arrival to the moment at which the last bit has left."""
    return [now - arrivals[packet.payload][0] for now, packet in collector.arrivals]


@pytest.mark.parametrize("limit_ms", [2, 5, 40])
@pytest.mark.parametrize("kind", [DropTail, DropHead])
def test_a_limit_in_time_is_the_longest_wait(limit_ms: int, kind: type[DropTail | DropHead]) -> None:
    timeline = Timeline()
    queue = kind(limit_ns=limit_ms * MS)
    port = Port(timeline, queue, ConstantRate(10_000_000))
    arrivals = traffic(4, 4000, mean_gap_ns=400_000)
    waits = waits_ns(send(timeline, [port.put], arrivals), arrivals)
    # What is queued leaves within the limit, itself included, once the packet that is being sent has: 1.2 ms at most.
    longest = limit_ms * MS + 1_200_000
    assert limit_ms * MS - 1_200_000 < max(waits) <= longest
    assert queue.dropped_packets > 500


def test_the_limit_follows_the_rate() -> None:
    """At a tenth of the rate a tenth of the bytes are 10 ms."""
    timeline = Timeline()
    queue = DropTail(limit_ns=10 * MS)
    port = Port(timeline, queue, ConstantRate(12_000_000))

    def fill(rate_bps: int) -> int:
        port.rate = ConstantRate(rate_bps)
        for _ in range(200):
            LinkPacket(1000, (port.put, Collector(timeline).put)).forward()
        return queue.backlog_packets

    assert fill(120_000_000) == 150
    timeline.run(1_000 * MS)
    assert fill(12_000_000) == 15
    timeline.run(2_000 * MS)
    assert fill(1_200_000) == 1


def test_an_empty_queue_has_room_for_one_packet_however_slow_the_link() -> None:
    queue = DropTail(limit_ns=1)
    queue.attach(Outlet())
    assert [queue.enqueue(LinkPacket(1500, ()), 0) for _ in range(3)] == [True, False, False]


def test_without_a_rate_there_is_no_limit_in_time() -> None:
    queue = DropTail(limit_ns=1)
    assert all(queue.enqueue(LinkPacket(1500, ()), 0) for _ in range(50))


def test_ports_of_every_kind_tell_their_rate() -> None:
    timeline, queue = Timeline(), DropTail(limit_ns=MS)
    TracePort(timeline, queue, Trace([MS, 2 * MS]))
    assert queue.rate_bps == 12_000_000
    Port(timeline, queue, ScheduledRate([(0, 77), (MS, 5)]))
    assert queue.rate_bps == 77


def test_drop_head_keeps_the_newest() -> None:
    queue = DropHead(limit_packets=3)
    dropped: list[int] = []
    queue.on_drop = lambda packet: dropped.append(packet.payload)
    assert all(queue.enqueue(LinkPacket(100, (), payload=number), 0) for number in range(7))
    assert dropped == [0, 1, 2, 3]
    assert [packet.payload for packet in iter(lambda: queue.dequeue(0), None)] == [4, 5, 6]


def test_drop_head_makes_room_for_a_large_packet_and_refuses_one_that_never_fits() -> None:
    queue = DropHead(limit_bytes=1500)
    for _ in range(5):
        queue.enqueue(LinkPacket(300, ()), 0)
    assert queue.enqueue(LinkPacket(1300, ()), 0)
    assert (queue.backlog_packets, queue.dropped_packets) == (1, 5)
    assert not queue.enqueue(LinkPacket(1501, ()), 0)
    assert queue.backlog_packets == 1


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_poisson_arrivals_wait_as_long_as_the_queue_m_d_1_says(load: float) -> None:
    """Pollaczek and Khinchine: mean wait = load / (2 (1 - load)) times the time of a packet."""
    service_ns, count = 1_000_000, 60_000
    draw, now = random.Random(8).random, 0.0
    arrivals = []
    for _ in range(count):
        now -= math.log(1.0 - draw()) * service_ns / load
        arrivals.append((int(now), 1250))
    timeline = Timeline()
    port = Port(timeline, DropTail(), ConstantRate(10_000_000))
    waits = waits_ns(send(timeline, [port.put], arrivals), arrivals)
    mean = sum(waits) / count - service_ns
    # The standard error of such a mean is about 1 % at these loads.
    assert mean == pytest.approx(load / (2 * (1 - load)) * service_ns, rel=0.04)


def test_negative_limits_are_refused() -> None:
    for name, words in (("limit_packets", "limit_packets"), ("limit_bytes", "limit_bytes"), ("limit_ns", "limit")):
        with pytest.raises(TransportError, match=f"{words} is at least 0, not -1"):
            DropTail(**{name: -1})
