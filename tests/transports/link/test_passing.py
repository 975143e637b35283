"""Elements that let packets pass at once, changed, doubled or not at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import Collector, send
from transports.errors import TransportError
from transports.link import Blackout, Corruption, Duplication, HeadCorruption, LinkPacket, Mtu, Nat
from transports.relay.packet import RelayPacket, corrupted
from transports.timeline import Timeline

MS = 1_000_000


def test_what_is_longer_than_the_mtu_is_dropped() -> None:
    timeline = Timeline()
    element = Mtu(1400)
    collector = send(timeline, [element.put], [(0, 1399), (1, 1400), (2, 1401), (3, 9000)])
    assert collector.numbers == [0, 1]
    assert element.counters() == {"dropped_packets": 2, "dropped_bytes": 10_401}


@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=8).filter(lambda steps: len(steps) % 2 == 0),
    st.integers(0, 20),
    st.integers(0, 50),
)
def test_the_link_is_dark_in_its_intervals_and_only_then(steps: list[int], rest: int, origin_ns: int) -> None:
    bounds = [sum(steps[: index + 1]) for index in range(len(steps))]
    intervals = list(zip(bounds[::2], bounds[1::2], strict=True))
    period_ns = bounds[-1] + rest if rest else 0
    timeline = Timeline(origin_ns)
    element = Blackout(timeline, intervals, period_ns=period_ns)
    collector = send(timeline, [element.put], [(origin_ns + now, 1) for now in range(150)])
    expected = []
    for now in range(150):
        phase = now % period_ns if period_ns else now
        if not any(first <= phase < end for first, end in intervals):
            expected.append(now)
    assert collector.numbers == expected


def test_corruption_damages_packets_and_loses_none() -> None:
    timeline = Timeline()
    element = Corruption(0.1, random.Random(1))
    collector = send(timeline, [element.put], [(number, 100) for number in range(5000)])
    damaged = [packet for packet in collector.packets if packet.is_corrupt]
    assert len(collector.arrivals) == 5000
    assert len(damaged) == element.corrupted_packets == pytest.approx(500, abs=4 * (5000 * 0.09) ** 0.5)


def damaged(data: bytes, element: HeadCorruption, packets: int) -> list[bytes | None]:
    """What becomes of each of so many equal datagrams; None for what stays whole."""
    found: list[bytes | None] = []
    for _ in range(packets):
        packet = RelayPacket(data, len(data), (element.put, lambda _: None), 0, 0)
        packet.forward()
        found.append(corrupted(packet) if packet.is_corrupt else None)
    return found


def test_corruption_of_the_head_changes_one_byte_of_the_first_to_any_other() -> None:
    data = bytes(range(100, 200))
    element = HeadCorruption(0.5, random.Random(3), first_bytes=51)
    found = damaged(data, element, 8000)
    hit = [each for each in found if each is not None]
    assert element.corrupted_packets == len(hit) == pytest.approx(4000, abs=4 * 2000**0.5)
    places = [[place for place in range(100) if each[place] != data[place]] for each in hit]
    assert all(len(each) == 1 for each in places)
    assert {each[0] for each in places} == set(range(51))
    changes = {each[place[0]] ^ data[place[0]] for each, place in zip(hit, places, strict=True)}
    assert changes == set(range(1, 256))


def test_corruption_of_the_head_lets_one_pass_whole_after_so_many_in_a_row() -> None:
    found = damaged(b"datagram", HeadCorruption(1.0, random.Random(3), row=3), 12)
    assert [each is None for each in found] == [False, False, False, True] * 3


def test_corruption_spares_version_negotiation() -> None:
    negotiation = b"\xca" + bytes(4) + b"\x01a\x01b" + b"\x00\x00\x00\x01"
    assert damaged(negotiation, HeadCorruption(1.0, random.Random(3)), 5) == [None] * 5
    assert None not in damaged(b"\xca\0\0\0\x01" + negotiation[5:], HeadCorruption(1.0, random.Random(3)), 5)
    assert None not in damaged(b"\x4a\0\0\0\0" + negotiation[5:], HeadCorruption(1.0, random.Random(3)), 5)


def test_a_duplicate_follows_its_original_and_is_a_packet_of_its_own() -> None:
    timeline = Timeline()
    element, collector = Duplication(1.0, random.Random(1)), Collector(timeline)

    def mark(packet: LinkPacket) -> None:
        # Something further on that changes the first of the two only.
        if not collector.arrivals:
            packet.ecn = 3
            assert packet.telemetry is not None
            packet.telemetry.append("seen")
        packet.forward()

    packet = LinkPacket(700, (element.put, mark, collector.put), payload="data")
    packet.telemetry = []
    packet.forward()
    first, second = collector.packets
    assert first is packet
    assert second is not packet
    assert (second.payload, second.size_bytes, second.ecn, second.telemetry) == ("data", 700, 0, [])
    assert (element.duplicated_packets, element.duplicated_bytes) == (1, 700)


def test_a_nat_gives_each_source_a_number_and_keeps_it() -> None:
    timeline = Timeline()
    nat, collector = Nat(timeline, first=5000), Collector(timeline)
    for source in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        packet = LinkPacket(100, (nat.put, collector.put))
        packet.source = source
        packet.forward()
    assert [packet.source for packet in collector.packets] == [5000, 5001, 5000]


def test_after_a_rebinding_the_source_is_new_and_the_old_one_leads_nowhere() -> None:
    timeline = Timeline(5 * MS)
    nat, outside, inside = Nat(timeline, [5 * MS]), Collector(timeline), Collector(timeline)

    def send_out(_: None) -> None:
        LinkPacket(100, (nat.put, outside.put), flow=7).forward()

    def answer(number: int) -> None:
        packet = LinkPacket(100, (nat.put_back, inside.put))
        packet.destination = number
        packet.forward()

    timeline.at(9 * MS, send_out)
    timeline.at(9 * MS, answer, 1024)
    timeline.at(11 * MS, answer, 1024)
    timeline.at(12 * MS, send_out)
    timeline.at(13 * MS, answer, 1024)
    timeline.at(13 * MS, answer, 1025)
    timeline.run(100 * MS)
    assert [packet.source for packet in outside.packets] == [1024, 1025]
    assert [(time_ns, packet.destination) for time_ns, packet in inside.arrivals] == [(9 * MS, 7), (13 * MS, 7)]
    assert nat.counters() == {"dropped_packets": 2, "dropped_bytes": 200, "rebindings": 1}


def test_what_is_addressed_to_nobody_does_not_come_in() -> None:
    timeline = Timeline()
    nat, inside = Nat(timeline), Collector(timeline)
    LinkPacket(100, (nat.put_back, inside.put)).forward()
    assert nat.dropped_packets == 1
    assert not inside.arrivals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda timeline: Mtu(0), "mtu_bytes is at least 1, not 0"),
        (lambda timeline: Blackout(timeline, [(5, 5)]), "end after they begin, unlike 5 to 5 ns"),
        (lambda timeline: Blackout(timeline, [(5, 9), (8, 10)]), "apart"),
        (lambda timeline: Blackout(timeline, [(5, 9)], period_ns=8), "end within their period of 8 ns, not at 9"),
        (lambda timeline: Blackout(timeline, [], period_ns=-1), "period is at least 0, not -1"),
        (lambda timeline: Corruption(-0.1, random.Random()), "probability"),
        (lambda timeline: Duplication(1.5, random.Random()), "probability"),
        (lambda timeline: Nat(timeline, [9, 8]), "rise from 0 on, unlike 8 ns"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        make(Timeline())
