"""A port: order within an instant, disciplines with a clock, telemetry."""

from __future__ import annotations

import pytest

from tests.transports.link.rig import Collector, send
from transports.link import ConstantRate, DropTail, HopRecord, LinkPacket, Port, Sink, Trace, TracePort
from transports.timeline import Timeline

MS = 1_000_000


class Released(DropTail):
    """Lets nothing go before a time, and asks for that time."""

    def __init__(self, release_ns: int) -> None:
        super().__init__()
        self.release_ns = release_ns
        self.timeouts: list[int] = []

    def dequeue(self, now: int) -> LinkPacket | None:
        return super().dequeue(now) if now >= self.release_ns else None

    def poll_deadline(self) -> int | None:
        return None if self.timeouts or not self.backlog_packets else self.release_ns

    def handle_timeout(self, now: int) -> None:
        self.timeouts.append(now)


def ports(timeline: Timeline, queue: DropTail) -> dict[str, Port | TracePort]:
    return {
        "port": Port(timeline, queue, ConstantRate(8_000_000)),
        "trace": TracePort(timeline, queue, Trace([MS])),
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("port", [11 * MS, 12 * MS]), ("trace", [10 * MS, 11 * MS])],  # a trace has an opportunity each millisecond
)
def test_a_discipline_that_holds_packets_is_asked_again_when_it_wants(kind: str, expected: list[int]) -> None:
    timeline = Timeline()
    queue = Released(10 * MS)
    collector = send(timeline, [ports(timeline, queue)[kind].put], [(3 * MS, 1000), (4 * MS, 1000)])
    assert queue.timeouts == [10 * MS]
    assert [time_ns for time_ns, _ in collector.arrivals] == expected


def test_what_leaves_in_an_instant_makes_room_for_what_arrives_in_it() -> None:
    timeline = Timeline()
    port = Port(timeline, DropTail(limit_packets=1), ConstantRate(8_000_000))
    # One in service until 1 ms, one waiting; at 1 ms a third arrives, asked for before the departure was.
    collector = send(timeline, [port.put], [(0, 1000), (0, 1000), (MS, 1000), (MS, 1000)])
    assert collector.numbers == [0, 1, 2]
    assert port.queue.dropped_packets == 1


def test_a_packet_that_finds_the_link_idle_costs_one_event() -> None:
    timeline = Timeline()
    port = Port(timeline, DropTail(), ConstantRate(8_000_000), delay_ns=5 * MS)
    send(timeline, [port.put], [(2 * number * MS, 1000) for number in range(50)])
    assert timeline.steps == 50 + 50  # and one to send each


def test_the_rate_may_change_from_one_packet_to_the_next() -> None:
    timeline = Timeline()
    port = Port(timeline, DropTail(), ConstantRate(8_000_000))
    timeline.at(MS // 2, lambda _: setattr(port, "rate", ConstantRate(80_000_000)))
    collector = send(timeline, [port.put], [(0, 1000), (0, 1000)])
    assert [time_ns for time_ns, _ in collector.arrivals] == [MS, MS + MS // 10]


def telemetry(port: Port, timeline: Timeline, sizes: list[int], *, asked: bool = True) -> list[list[HopRecord] | None]:
    collector = Collector(timeline)
    route: tuple[Sink, ...] = (port.put, collector.put)
    for size_bytes in sizes:
        packet = LinkPacket(size_bytes, route)
        packet.telemetry = [] if asked else None
        packet.forward()
    timeline.run(1 << 40)
    return [packet.telemetry for packet in collector.packets]


def test_a_port_writes_what_it_knows_into_packets_that_ask() -> None:
    timeline = Timeline()
    port = Port(timeline, DropTail(), ConstantRate(8_000_000), hop_id=9)
    seen = telemetry(port, timeline, [1000, 500, 250])
    records = [
        (each.hop_id, each.queue_bytes, each.sent_bytes, each.time_ns, each.rate_bps)
        for record in seen
        for each in record or []
    ]
    assert records == [
        (9, 0, 1000, 0, 8_000_000),  # alone when it began
        (9, 250, 1500, MS, 8_000_000),
        (9, 0, 1750, MS + MS // 2, 8_000_000),
    ]
    assert repr(seen[0]) == "[HopRecord(9, queue_bytes=0, sent_bytes=1000, time_ns=0, rate_bps=8000000)]"


def test_nobody_is_told_who_does_not_ask_or_where_there_is_nothing_to_tell() -> None:
    timeline = Timeline()
    assert telemetry(Port(timeline, DropTail(), ConstantRate(8), hop_id=9), timeline, [1], asked=False) == [None]
    timeline = Timeline()
    assert telemetry(Port(timeline, DropTail(), ConstantRate(8)), timeline, [1]) == [[]]
