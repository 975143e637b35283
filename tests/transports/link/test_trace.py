"""Traces as mahimahi replays them, held against a small replay of another make."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import send
from transports.errors import TransportError
from transports.link import DropTail, Trace, TracePort, load_trace, parse_trace
from transports.timeline import Timeline

MS = 1_000_000


def replay(
    times_ns: list[int], arrivals: list[tuple[int, int]], limit_packets: int
) -> tuple[list[tuple[int, int]], int]:
    """(departure, number) of each packet, and how many found the queue full.

    Goes over opportunities and arrivals in one merged list, an opportunity before arrivals of its instant, and moves
    bytes one opportunity at a time, as mm-link does (man page, and the loop of its link queue): the packet that is
    under way does not stand in the queue.
    """
    period_ns = times_ns[-1]
    horizon_ns = arrivals[-1][0] + (sum(size for _, size in arrivals) // 1500 + 2) * period_ns
    moments = [(cycle + time_ns, 0, -1) for cycle in range(0, horizon_ns + 1, period_ns) for time_ns in times_ns]
    moments += [(time_ns, 1, number) for number, (time_ns, _) in enumerate(arrivals)]
    queue: list[int] = []
    under_way: list[list[int]] = []
    departures: list[tuple[int, int]] = []
    full = 0
    for now, is_arrival, number in sorted(moments):
        if is_arrival:
            if len(queue) >= limit_packets:
                full += 1
            else:
                queue.append(number)
            continue
        left = 1500
        while left and (under_way or queue):
            if not under_way:
                under_way.append([queue.pop(0), 0])
                under_way[0][1] = arrivals[under_way[0][0]][1]
            used = min(left, under_way[0][1])
            left -= used
            under_way[0][1] -= used
            if not under_way[0][1]:
                departures.append((now, under_way.pop()[0]))
    return departures, full


@st.composite
def traces(draw: st.DrawFn) -> list[int]:
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 1, 2, 7]), min_size=1, max_size=20))
    times, now = [], 0
    for step in steps:
        now += step
        times.append(now * MS)
    times[-1] = max(times[-1], MS)
    return times


GAPS = st.sampled_from([0, 0, 1, MS // 2, MS, 3 * MS, 40 * MS])


@given(
    traces(),
    st.lists(st.tuples(GAPS, st.sampled_from([40, 500, 750, 1499, 1500, 1501, 9000])), min_size=1, max_size=25),
    st.sampled_from([2, 1000]),
)
def test_packets_leave_when_mahimahi_lets_them(
    times_ns: list[int], packets: list[tuple[int, int]], limit_packets: int
) -> None:
    assert_replayed(times_ns, packets, limit_packets)


def test_and_over_many_seeds_as_well() -> None:
    for seed in range(200):
        draw = random.Random(seed).random
        steps = [(0, 0, 1, 1, 2, 7)[int(draw() * 6)] for _ in range(int(draw() * 12))]
        times_ns = [sum(steps[: index + 1]) * MS for index in range(len(steps))] + [(sum(steps) + 1) * MS]
        gaps, sizes = (0, 0, 1, MS // 2, MS, 3 * MS, 40 * MS), (40, 750, 1499, 1500, 1501, 9000)
        packets = [(gaps[int(draw() * 7)], sizes[int(draw() * 6)]) for _ in range(25)]
        assert_replayed(times_ns, packets, (2, 1000)[seed % 2])


def assert_replayed(times_ns: list[int], packets: list[tuple[int, int]], limit_packets: int) -> None:
    arrivals, now = [], 0
    for gap_ns, size_bytes in packets:
        now += gap_ns
        arrivals.append((now, size_bytes))
    timeline = Timeline()
    port = TracePort(timeline, DropTail(limit_packets=limit_packets), Trace(times_ns), delay_ns=5)
    collector = send(timeline, [port.put], arrivals)
    found = [(time_ns - 5, packet.payload) for time_ns, packet in collector.arrivals]
    departures, full = replay(times_ns, arrivals, limit_packets)
    assert found == departures
    assert port.queue.dropped_packets == full
    assert port.sent_bytes == sum(arrivals[number][1] for _, number in departures)


@pytest.mark.parametrize(
    ("text", "arrivals", "expected_ms"),
    [
        ("1\n2\n3", [(0, 1500)] * 4, [1, 2, 3, 4]),  # repeats: its period is 3
        ("5", [(0, 500)] * 4, [5, 5, 5, 10]),  # three share one
        ("1\n2\n3", [(0, 4000)], [3]),  # one spans three
        ("1\n2\n9", [(int(1.5 * MS), 100), (3 * MS, 100)], [2, 9]),  # unused ones are lost
        ("2\n2\n4", [(0, 1500), (0, 1500)], [2, 2]),  # two in one moment
        ("2\n4", [(2 * MS, 100)], [4]),  # who comes in the moment itself missed it
        ("0\n4", [(0, 100), (4 * MS, 100)], [4, 8]),  # the first of a cycle falls on the last of the one before
    ],
)
def test_the_rules_one_by_one(text: str, arrivals: list[tuple[int, int]], expected_ms: list[int]) -> None:
    timeline = Timeline()
    collector = send(timeline, [TracePort(timeline, DropTail(), parse_trace(text)).put], arrivals)
    assert [time_ns for time_ns, _ in collector.arrivals] == [each * MS for each in expected_ms]


def test_a_trace_begins_when_its_port_is_made() -> None:
    timeline = Timeline(7 * MS)
    port = TracePort(timeline, DropTail(), parse_trace("2\n4"))
    collector = send(timeline, [port.put], [(10 * MS, 100)])
    assert collector.arrivals[0][0] == 11 * MS
    assert port.busy_ns == MS


def test_a_saturated_trace_delivers_its_mean_rate() -> None:
    trace = parse_trace("1\n1\n2\n5\n8")
    timeline = Timeline()
    collector = send(timeline, [TracePort(timeline, DropTail(), trace).put], [(0, 1500)] * 500)
    assert collector.arrivals[-1][0] == 100 * 8 * MS
    assert trace.rate_bps == 500 * 1500 * 8 * 1000 // 800


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t: a trace needs at least one opportunity"),
        ("0\n0", "t: a trace lasts for a time: its last value is above 0"),
        ("1\n\n2", "t:2: a line is one whole number of milliseconds, not ''"),
        ("1\n2.5", "t:2: a line is one whole number of milliseconds, not '2.5'"),
        ("-1", "t:1: a line is one whole number of milliseconds, not '-1'"),
        ("3\n2", "t:2: times do not fall, and 2 ms comes after 3"),
    ],
)
def test_a_text_that_is_no_trace_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TransportError) as caught:
        parse_trace(text, "t")
    assert str(caught.value) == message


def test_a_file_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="No such file"):
        load_trace(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(TransportError, match="no trace"):
        load_trace(tmp_path / "binary")
    (tmp_path / "good").write_text("1\n2\n")
    assert load_trace(tmp_path / "good").times_ns == (MS, 2 * MS)
