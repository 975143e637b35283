"""CoDel, RFC 8289: when it drops, against the square-root law worked out with decimal numbers."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal, getcontext

import pytest

from tests.transports.link.queue_contract import Watcher, build
from transports.errors import TransportError
from transports.link import ECN_CE, Codel

MS = 1_000_000
TARGET, INTERVAL = 5 * MS, 100 * MS
NOT_ECT, ECT = 0, 2
"""Flows, by whose number the watcher gives packets their ECN field."""


def watch(text: str = "codel", packets: int = 0, flow: int = NOT_ECT) -> Watcher:
    watcher = Watcher(build(text + (":" if ":" not in text else ",") + "limit_packets=0"), is_checking=False)
    for _ in range(packets):
        watcher.put(1500, flow)
    return watcher


def gap_ns(count: int) -> int:
    """interval / sqrt(count), rounded down (section 3.3)."""
    getcontext().prec = 50
    return int((Decimal(INTERVAL) / Decimal(count).sqrt()).to_integral_value(ROUND_FLOOR))


def take_at(watcher: Watcher, now: int) -> int:
    """Signals that this dequeue gave: drops and marks."""
    watcher.now = now
    before = len(watcher.dropped) + watcher.queue.marked_packets
    assert watcher.take() is not None
    return len(watcher.dropped) + watcher.queue.marked_packets - before


@pytest.mark.parametrize("flow", [NOT_ECT, ECT])
def test_drops_come_at_the_times_of_the_square_root_law(flow: int) -> None:
    """Section 5.5: each one a nanosecond before it is due does not happen, and when it is due does."""
    watcher = watch(packets=2000, flow=flow)
    first_above = 7 * MS
    assert take_at(watcher, first_above) == 0
    due = first_above + INTERVAL
    for count in range(1, 400):
        assert take_at(watcher, due - 1) == 0
        assert take_at(watcher, due) == 1
        due += gap_ns(count)
    assert watcher.queue.marked_packets == (399 if flow == ECT else 0)


def test_a_late_dequeue_makes_up_for_the_drops_that_are_due() -> None:
    watcher = watch(packets=500)
    take_at(watcher, 10 * MS)
    take_at(watcher, 110 * MS)
    dues = [110 * MS + INTERVAL]
    while dues[-1] <= 600 * MS:
        dues.append(dues[-1] + gap_ns(len(dues) + 1))
    assert take_at(watcher, 600 * MS) == len(dues) - 1 > 5


def test_a_packet_that_is_marked_is_one_signal_however_late() -> None:
    """One packet can carry one mark, and it goes on; the schedule has moved by one."""
    watcher = watch(packets=500, flow=ECT)
    take_at(watcher, 10 * MS)
    take_at(watcher, 110 * MS)
    assert take_at(watcher, 900 * MS) == 1
    assert take_at(watcher, 900 * MS) == 1
    assert not watcher.dropped


def test_nothing_is_dropped_until_packets_have_waited_too_long_for_a_whole_interval() -> None:
    watcher = watch()
    # Each packet waits 4.99 ms, or, now and then, much longer but not for as long as an interval.
    for round_ in range(200):
        watcher.now = round_ * 50 * MS
        for _ in range(5):
            watcher.put(1500, NOT_ECT)
        watcher.now += 40 * MS if round_ % 3 == 0 else TARGET - 1
        watcher.drain()
    assert not watcher.dropped


def test_the_last_packets_are_never_dropped_however_late() -> None:
    """Section 3.1: no less than one packet stays behind one that is dropped."""
    watcher = watch()
    for second in range(1, 50):
        watcher.put(1500, NOT_ECT)
        watcher.put(1500, NOT_ECT)
        watcher.now = second * 1000 * MS
        watcher.drain()
    assert not watcher.dropped


def drop_for(watcher: Watcher, since: int, signals: int) -> int:
    """A packet leaves and one arrives every 0.1 ms, 300 behind it, until so many were dropped; when the last was."""
    watcher.now = since
    for _ in range(300):
        watcher.put(1500, NOT_ECT)
    now, given = since, 0
    for _ in range(100_000):
        now += MS // 10
        given += take_at(watcher, now)
        watcher.put(1500, NOT_ECT)
        if given >= signals:
            return now
    raise AssertionError("no drops")


def second_gap(pause_ns: int) -> int:
    """Of the second time that it drops: from its first drop to the next, in ms; the first time gave 20 drops."""
    watcher = watch()
    end = drop_for(watcher, 0, 20)
    watcher.now = end
    watcher.drain()
    first = drop_for(watcher, end + pause_ns, 1)
    now = first
    while not take_at(watcher, now + MS // 10):
        now += MS // 10
        watcher.put(1500, NOT_ECT)
    return round((now - first) / MS)


def test_dropping_that_begins_anew_soon_goes_on_with_the_rate_that_it_had() -> None:
    """Section 5.5: within 16 intervals the count goes on from where it was, less what it began with; later from 1."""
    assert second_gap(200 * MS) == round(gap_ns(19) / MS) == 23
    assert second_gap(3000 * MS) == 100


def test_an_empty_queue_ends_dropping() -> None:
    watcher = watch(packets=400)
    queue = watcher.queue
    assert isinstance(queue, Codel)
    take_at(watcher, 10 * MS)
    take_at(watcher, 110 * MS)
    assert queue.line.is_dropping
    watcher.drain()
    assert not queue.line.is_dropping
    assert watcher.take() is None


def test_a_mark_is_congestion_experienced_and_ecn_can_be_off() -> None:
    for text, marks in (("codel", 1), ("codel:ecn=no", 0)):
        watcher = watch(text, packets=50, flow=ECT)
        take_at(watcher, 10 * MS)
        take_at(watcher, 110 * MS)
        assert [packet.ecn for packet in watcher.left].count(ECN_CE) == marks
        assert len(watcher.dropped) == 1 - marks


def test_times_of_nothing_are_refused() -> None:
    with pytest.raises(TransportError, match="target is at least 1, not 0"):
        Codel(target_ns=0)
    with pytest.raises(TransportError, match="interval is at least 1, not -5"):
        Codel(interval_ns=-5)
