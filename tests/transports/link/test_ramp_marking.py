"""Marking by the length at arrival: DCTCP's threshold and DCQCN's ramp."""

from __future__ import annotations

import random

import pytest

from transports.errors import TransportError
from transports.link import ECN_CE, ECN_ECT0, ECN_NOT_ECT, LinkPacket
from transports.link.ramp_marking import RampMarking

SIZE = 1000


def fill(queue: RampMarking, packets: int, ecn: int = ECN_ECT0) -> list[LinkPacket]:
    made = [LinkPacket(SIZE, (), ecn=ecn) for _ in range(packets)]
    for packet in made:
        queue.enqueue(packet, 0)
    return made


def test_above_a_threshold_every_packet_is_marked_and_below_none() -> None:
    queue = RampMarking(5 * SIZE, 5 * SIZE, rng=random.Random(1))
    packets = fill(queue, 8)
    assert [packet.ecn == ECN_CE for packet in packets] == [False] * 5 + [True] * 3
    assert (queue.marked_packets, queue.peak_bytes, queue.backlog_packets) == (3, 8 * SIZE, 8)


def test_on_the_ramp_the_probability_rises_to_pmax() -> None:
    """At a length that stays at 100 packets, a quarter of the way from 80 to 160: a quarter of pmax."""
    queue = RampMarking(80 * SIZE, 160 * SIZE, pmax_1000=400, rng=random.Random(1))
    fill(queue, 99, ECN_NOT_ECT)
    for _ in range(20_000):
        fill(queue, 1)
        queue.dequeue(0)
    assert queue.marked_packets / 20_000 == pytest.approx(0.4 / 4, rel=0.06)


def test_packets_that_are_not_capable_pass_unmarked_and_a_full_queue_drops() -> None:
    queue = RampMarking(0, 0, limit_bytes=3 * SIZE, rng=random.Random(1))
    packets = fill(queue, 4, ECN_NOT_ECT)
    assert [packet.ecn for packet in packets] == [ECN_NOT_ECT] * 4
    assert (queue.dropped_packets, queue.backlog_bytes) == (1, 3 * SIZE)
    assert queue.dequeue(0) is packets[0]


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(TransportError, match="kmin"):
        RampMarking(2, 1, rng=random.Random(1))
