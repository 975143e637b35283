"""Steps and ramps on the present length (DCTCP, DCQCN), and strict priority."""

from __future__ import annotations

import random

import pytest

from tests.transports.link.rig import Collector
from transports.errors import TransportError
from transports.link import (
    ECN_CE,
    ConstantRate,
    DropTail,
    Limits,
    LinkPacket,
    Port,
    Queue,
    RampMarking,
    StepMarking,
    StrictPriority,
    make_queue,
    read_queue,
)
from transports.timeline import Timeline

MS = 1_000_000
NOT_ECT, ECT = 0, 2


def arrive(queue: Queue, count: int, *, ecn: int = ECT, size_bytes: int = 1000) -> list[bool]:
    """Which of so many packets that arrive, none leaving, were marked."""
    packets = [LinkPacket(size_bytes, (), ecn=ecn) for _ in range(count)]
    for packet in packets:
        queue.enqueue(packet, 0)
    return [packet.ecn == ECN_CE for packet in packets]


@pytest.mark.parametrize("threshold", [Limits(packets=3), Limits(size_bytes=3000)])
def test_a_step_marks_what_finds_more_than_k(threshold: Limits) -> None:
    """RFC 8257 3.1: greater than K upon its arrival."""
    assert arrive(StepMarking(threshold), 7) == [False] * 4 + [True] * 3


def test_a_step_in_time_marks_what_waited_longer() -> None:
    queue = StepMarking(Limits(time_ns=MS))
    arrive(queue, 3)
    marks = []
    for now in (MS - 1, MS, MS + 1):
        packet = queue.dequeue(now)
        assert packet is not None
        marks.append(packet.ecn == ECN_CE)
    assert marks == [False, False, True]


def test_what_cannot_be_marked_passes_or_is_dropped() -> None:
    lax = StepMarking(Limits(packets=3))
    assert not any(arrive(lax, 7, ecn=NOT_ECT))
    assert lax.backlog_packets == 7
    strict = StepMarking(Limits(packets=3), is_strict=True)
    arrive(strict, 7, ecn=NOT_ECT)
    assert (strict.backlog_packets, strict.dropped_packets) == (4, 3)
    late = StepMarking(Limits(time_ns=MS), is_strict=True)
    arrive(late, 3, ecn=NOT_ECT)
    assert late.dequeue(2 * MS) is None
    assert (late.backlog_packets, late.dropped_packets) == (0, 3)


def test_a_ramp_marks_in_proportion() -> None:
    """DCQCN 3.1: nothing to kmin, pmax at kmax, everything beyond."""
    for length, share in ((20_000, 0.0), (50_000, 0.05), (79_000, 0.1 * 59 / 60), (90_000, 1.0)):
        queue = RampMarking(20_000, 80_000, pmax_1000=100, rng=random.Random(4))
        arrive(queue, length // 1000 - 1, ecn=NOT_ECT)
        marks = 0
        for _ in range(10_000):
            marks += arrive(queue, 1)[0]
            queue.dequeue(0)
        # Three standard errors of a share near 0.1.
        assert marks / 10_000 == pytest.approx(share, abs=0.009)


def test_ramps_are_strict_where_asked_and_have_limits_of_every_kind() -> None:
    queue = RampMarking(1000, 1000, is_strict=True, limits=Limits(packets=2), rng=random.Random(1))
    arrive(queue, 3, ecn=NOT_ECT)
    assert (queue.backlog_packets, queue.dropped_packets) == (1, 2)
    arrive(queue, 3)
    assert (queue.backlog_packets, queue.marked_packets) == (2, 1)


def test_the_first_queue_that_has_a_packet_sends() -> None:
    queue = StrictPriority([DropTail(), DropTail(), DropTail(limit_packets=1)])
    for priority in (2, 1, 0, 2, 7, 1, 0, -1):
        packet = LinkPacket(100, (), payload=priority)
        packet.priority = priority
        queue.enqueue(packet, 0)
    # 7 and -1 have no queue of their own and go to the last, which is full.
    assert [packet.payload for packet in iter(lambda: queue.dequeue(0), None)] == [0, 0, 1, 1, 2]
    assert queue.dropped_packets == 3


def test_a_packet_of_high_precedence_waits_for_the_one_being_sent_alone() -> None:
    timeline = Timeline()
    port = Port(timeline, StrictPriority([DropTail(), DropTail()]), ConstantRate(12_000_000))
    collector = Collector(timeline)
    for number in range(50):
        packet = LinkPacket(1500, (port.put, collector.put), payload=number)
        packet.priority = 1
        packet.forward()
    timeline.run(10_500_000)
    LinkPacket(1500, (port.put, collector.put), payload="first").forward()
    timeline.run(1 << 40)
    when = [now for now, packet in collector.arrivals if packet.payload == "first"]
    assert when == [12 * MS]


def test_disciplines_under_priority_are_attached_and_counted() -> None:
    queue = make_queue(read_queue("priority:queues=droptail:5ms|codel:target=1ms"), random.Random(1))
    assert isinstance(queue, StrictPriority)
    Port(Timeline(), queue, ConstantRate(8_000_000))
    assert [each.rate_bps for each in queue.queues] == [8_000_000] * 2
    assert sum(queue.enqueue(LinkPacket(1000, ()), 0) for _ in range(9)) == 5
    assert (queue.backlog_packets, queue.backlog_bytes, queue.dropped_packets) == (5, 5000, 4)


class Clock(DropTail):
    """Releases what waits at a time."""

    released_ns = 0

    def poll_deadline(self) -> int | None:
        return self.released_ns or None

    def handle_timeout(self, now: int) -> None:
        self.released_ns = 0
        while (packet := self.pop()) is not None:
            self.drop(packet)


def test_deadlines_under_priority_are_heard() -> None:
    assert not StrictPriority([DropTail()]).has_clock()
    clock = Clock()
    queue = StrictPriority([DropTail(), clock])
    assert queue.has_clock()
    assert queue.poll_deadline() is None
    packet = LinkPacket(100, ())
    packet.priority = 1
    queue.enqueue(packet, 0)
    clock.released_ns = 5
    assert queue.poll_deadline() == 5
    queue.handle_timeout(4)
    assert queue.backlog_packets == 1
    queue.handle_timeout(5)
    assert (queue.backlog_packets, queue.dropped_packets) == (0, 1)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(TransportError, match="threshold is a number of packets or bytes, or a time, above 0"):
        StepMarking(Limits())
    with pytest.raises(TransportError, match="0 <= kmin <= kmax"):
        RampMarking(2, 1, rng=random.Random(1))
    with pytest.raises(TransportError, match="at least one queue"):
        StrictPriority([])
