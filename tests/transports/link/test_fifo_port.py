"""The plain port in half the events is the plain port: same departures, drops, counters and queue at every moment."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import Collector, traffic
from transports.errors import TransportError
from transports.link import ConstantRate, DropTail, FifoPort, LinkPacket, Port
from transports.timeline import Timeline

# At 8 Gbit/s a byte takes a nanosecond, and 1500 bytes at 999,999,937 bit/s take 12,001 and something less after them:
# packets arrive at the very moment at which others have left.
GAPS = (0, 0, 1, 7, 1000, 1500, 12_001, 80_000, 120_000)
SIZES = (0, 1, 1000, 1500, 1500, 2999)
RATES = (100, 999_999_937, 8_000_000_000, 100_000_000)
ARRIVALS = st.lists(st.tuples(st.sampled_from(GAPS), st.sampled_from(SIZES)), max_size=60)


def observe(
    port: Port | FifoPort, timeline: Timeline, arrivals: list[tuple[int, int]], looks: list[int]
) -> list[object]:
    collector, seen = Collector(timeline), []
    dropped: list[tuple[int, int]] = []
    port.queue.on_drop = lambda packet: dropped.append((timeline.now, packet.payload))

    def look(_: None) -> None:
        queue = port.queue
        seen.append((
            timeline.now, queue.backlog_packets, queue.backlog_bytes, queue.dropped_packets, queue.dropped_bytes,
            port.sent_packets, port.sent_bytes, port.busy_ns,
        ))  # fmt: skip

    now = 0
    for number, (gap_ns, size_bytes) in enumerate(arrivals):
        now += gap_ns
        packet = LinkPacket(size_bytes, (port.put, collector.put), payload=number)
        timeline.at(now, LinkPacket.forward, packet)
        timeline.at(now, look)
    for look_ns in sorted(looks):
        # Between the instants of the arrivals and departures, whose order within an instant is the timeline's.
        timeline.run(look_ns)
        look(None)
    timeline.run(1 << 50)
    look(None)
    return [seen, dropped, [(time_ns, packet.payload, packet.enqueued_ns) for time_ns, packet in collector.arrivals]]


@given(
    arrivals=ARRIVALS,
    rate_bps=st.sampled_from(RATES),
    limit_packets=st.integers(0, 8),
    limit_bytes=st.sampled_from([0, 1, 1500, 9000]),
    delay_ns=st.sampled_from([0, 1, 50_000]),
    looks=st.lists(st.integers(0, 2_000_000), max_size=10),
)
def test_the_plain_port_in_half_the_events_does_exactly_what_the_full_one_does(
    arrivals: list[tuple[int, int]],
    rate_bps: int,
    limit_packets: int,
    limit_bytes: int,
    delay_ns: int,
    looks: list[int],
) -> None:
    assert_equal(arrivals, rate_bps, limit_packets, limit_bytes, delay_ns, looks)


def assert_equal(
    arrivals: list[tuple[int, int]],
    rate_bps: int,
    limit_packets: int,
    limit_bytes: int,
    delay_ns: int,
    looks: list[int],
) -> None:
    one, other = Timeline(), Timeline()
    queue = DropTail(limit_packets=limit_packets, limit_bytes=limit_bytes)
    full = Port(one, queue, ConstantRate(rate_bps), delay_ns=delay_ns)
    plain = FifoPort(other, rate_bps, delay_ns=delay_ns, limit_packets=limit_packets, limit_bytes=limit_bytes)
    assert observe(plain, other, arrivals, looks) == observe(full, one, arrivals, looks)


@pytest.mark.parametrize("rate_bps", RATES)
def test_they_agree_over_many_seeds_as_well(rate_bps: int) -> None:
    # Hypothesis finds corners, and tries few long queues.
    for seed in range(60):
        draw = random.Random(seed).random
        arrivals = [(GAPS[int(draw() * len(GAPS))], SIZES[int(draw() * len(SIZES))]) for _ in range(80)]
        looks = [int(draw() * 2_000_000) for _ in range(6)]
        limit_packets, limit_bytes = (0, 1, 3, 20)[int(draw() * 4)], (0, 4000, 20_000)[int(draw() * 3)]
        assert_equal(arrivals, rate_bps, limit_packets, limit_bytes, seed % 3, looks)


@pytest.mark.parametrize(("limit_packets", "limit_bytes"), [(0, 0), (300, 0), (600, 0), (0, 400_000)])
def test_long_queues_are_the_same_too(limit_packets: int, limit_bytes: int) -> None:
    # Far more wait than the plain port takes off at a time.
    one, other = Timeline(), Timeline()
    full = Port(one, DropTail(limit_packets=limit_packets, limit_bytes=limit_bytes), ConstantRate(10_000_000))
    plain = FifoPort(other, 10_000_000, limit_packets=limit_packets, limit_bytes=limit_bytes)
    now, arrivals = 0, []
    for time_ns, size_bytes in traffic(3, 2000, mean_gap_ns=400_000):
        arrivals.append((time_ns - now, size_bytes))
        now = time_ns
    looks = [200_000_000, 600_000_000, 900_000_000]
    assert observe(plain, other, arrivals, looks) == observe(full, one, arrivals, looks)
    assert bool(full.queue.dropped_packets) is bool(limit_packets or limit_bytes)


def test_it_needs_one_event_for_each_packet() -> None:
    timeline = Timeline()
    port, collector = FifoPort(timeline, 8_000_000), Collector(timeline)
    for _ in range(10):
        LinkPacket(1000, (port.put, collector.put)).forward()
    timeline.run(1 << 40)
    assert timeline.steps == len(collector.arrivals) == 10


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(TransportError, match="rate is at least 1, not 0"):
        FifoPort(Timeline(), 0)
    with pytest.raises(TransportError, match="delay is at least 0, not -1"):
        FifoPort(Timeline(), 1, delay_ns=-1)
