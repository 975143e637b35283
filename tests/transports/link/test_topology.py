"""Networks: what a packet takes across them, who shares what, and which way flows go."""

from __future__ import annotations

import pytest

from tests.transports.link.rig import Collector
from transports.errors import TransportError
from transports.link import HopRecord, LinkPacket
from transports.link.linkspec import BuiltLink, read_link
from transports.link.shared_buffer import BufferConfig
from transports.link.topology import (
    Access,
    Hop,
    LeafSpine,
    LeafSpineConfig,
    Line,
    Path,
    chain,
    choose,
    dumbbell,
    parking_lot,
)
from transports.timeline import Timeline

MS = 1_000_000
GBIT = 1_000_000_000


def link(timeline: Timeline, **table: object) -> BuiltLink:
    return read_link(table).build(timeline)


def cross(timeline: Timeline, route: tuple[object, ...], size_bytes: int = 1000) -> int:
    """How long one packet takes over an idle way."""
    collector, start_ns = Collector(timeline), timeline.now
    LinkPacket(size_bytes, (*route, collector.put)).forward()
    timeline.run(start_ns + 60_000 * MS)
    (arrival,) = collector.arrivals
    return arrival[0] - start_ns


def test_flows_of_a_dumbbell_share_the_bottleneck_and_nothing_else() -> None:
    timeline = Timeline()
    forward = link(timeline, rate="8mbit", delay_ms=10, loss={"kind": "list", "packets": 99})
    backward = link(timeline, delay_ms=15)
    near, far, slow = dumbbell(
        timeline,
        forward,
        backward,
        [Access(), Access(forward_ns=20 * MS, backward_ns=5 * MS), Access(rate_bps=4_000_000)],
    )
    # A packet of 1000 bytes takes a millisecond at 8 Mbit/s.
    assert [cross(timeline, each.forward) for each in (near, far, slow)] == [11 * MS, 31 * MS, 13 * MS]
    assert [cross(timeline, each.backward) for each in (near, far, slow)] == [15 * MS, 20 * MS, 15 * MS]
    assert [(each.forward_ns, each.backward_ns, each.rtt_ns) for each in (near, far)] == [
        (10 * MS, 15 * MS, 25 * MS),
        (30 * MS, 20 * MS, 50 * MS),
    ]
    assert [each.rate_bps for each in (near, far, slow)] == [8_000_000, 8_000_000, 4_000_000]
    assert near.ports == far.ports == (forward.port,)
    assert forward.port is not None
    assert forward.port.sent_packets == 3


def hop(timeline: Timeline, number: int) -> Hop:
    rate = f"{(number + 1) * 8}mbit"
    return Hop(link(timeline, rate=rate, delay_ms=number + 1), link(timeline, delay_ms=(number + 1) * 10))


def test_a_chain_is_crossed_either_way() -> None:
    timeline = Timeline()
    whole, back, middle = chain(timeline, lambda number: hop(timeline, number), 3, [(0, 3), (3, 0), (1, 2)])
    assert cross(timeline, whole.forward) == 6 * MS + MS + MS // 2 + MS // 3 + 1
    assert (whole.forward_ns, whole.backward_ns, whole.rate_bps) == (6 * MS, 60 * MS, 8_000_000)
    # The other way round, what is backward for one is forward for the other.
    assert (back.forward_ns, back.backward_ns, back.rate_bps) == (60 * MS, 6 * MS, 0)
    assert back.forward == whole.backward
    assert cross(timeline, back.forward) == 60 * MS
    assert (middle.forward_ns, middle.rate_bps) == (2 * MS, 16_000_000)


def test_a_parking_lot_has_one_flow_over_all_and_others_over_one_hop_each() -> None:
    timeline = Timeline()
    whole, crossing = parking_lot(timeline, lambda number: hop(timeline, number), 4, cross_flows=2)
    assert len(whole.ports) == 4
    assert [[path.ports for path in paths] for paths in crossing] == [[(port,)] * 2 for port in whole.ports]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda timeline: Line(timeline, []), "at least one hop"),
        (lambda timeline: Line(timeline, [hop(timeline, 0)]).path(0, 2), "target is a node from 0 to 1, not 2"),
        (lambda timeline: Line(timeline, [hop(timeline, 0)]).path(-1, 1), "source is a node from 0 to 1, not -1"),
        (lambda timeline: Line(timeline, [hop(timeline, 0)]).path(1, 1), "two nodes, not both 1"),
        (lambda timeline: Access(forward_ns=-1), "forward_ns is at least 0, not -1"),
        (lambda timeline: LeafSpineConfig(spines=0), "spines is at least 1, not 0"),
        (lambda timeline: LeafSpineConfig(host_delay_ns=-1), "host_delay_ns is at least 0, not -1"),
        (lambda timeline: LeafSpine(timeline).path(0, 32, 1), "target is a host from 0 to 31, not 32"),
        (lambda timeline: LeafSpine(timeline).path(3, 3, 1), "two hosts, not both 3"),
        (
            lambda timeline: LeafSpine(timeline, LeafSpineConfig(buffer=BufferConfig(buffer_bytes=9))),
            "raise buffer_bytes",
        ),
    ],
)  # fmt: skip
def test_networks_that_cannot_be_are_refused(make: object, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        make(Timeline())


def test_a_flow_is_mixed_as_splitmix64_does() -> None:
    # The first outputs of SplitMix64 seeded with 0, as its reference implementation (Vigna, splitmix64.c) has them.
    whole = 1 << 64
    assert [choose(flow, whole) for flow in range(3)] == [
        0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F
    ]  # fmt: skip


@pytest.mark.parametrize("ways", [1, 2, 4, 7])
def test_flows_are_spread_evenly_and_each_salt_independently(ways: int) -> None:
    flows = 20_000
    counts = [[0] * ways for _ in range(ways)]
    for flow in range(flows):
        counts[choose(flow, ways)][choose(flow, ways, salt=1)] += 1
    expected = flows / ways**2
    chi_square = sum((count - expected) ** 2 / expected for row in counts for count in row)
    freedom = ways**2 - 1
    assert chi_square <= freedom + 4 * (2 * freedom) ** 0.5


def test_the_way_back_has_a_choice_of_its_own() -> None:
    timeline = Timeline()
    fabric = LeafSpine(timeline)
    ways = set()
    for flow in range(200):
        path = fabric.path(0, 8, flow)
        there, back = fabric.spine_of(flow), fabric.spine_of(flow, is_backward=True)
        assert path.ports[1] is fabric.up_ports[0][there]
        # The switch of the spine is that of what the way back crosses second.
        before = [spine.buffer.peak_bytes for spine in fabric.spines]
        cross(timeline, path.backward, size_bytes=1000 + flow)
        assert [index for index, spine in enumerate(fabric.spines) if spine.buffer.peak_bytes > before[index]] in (
            [], [back]
        )  # fmt: skip
        ways.add((there, back))
    assert len(ways) == 16


def test_a_packet_crosses_a_fabric_in_the_time_of_its_wires_and_links() -> None:
    timeline = Timeline()
    fabric = LeafSpine(timeline, LeafSpineConfig(host_bps=8 * GBIT, spine_bps=16 * GBIT, host_delay_ns=300))
    near, far = fabric.path(0, 7, 5), fabric.path(0, 8, 5)
    assert cross(timeline, near.forward) == 2 * (1000 + 300)
    assert cross(timeline, far.forward) == 2 * (1000 + 300) + 2 * (500 + 1000)
    assert (near.rtt_ns, far.rtt_ns) == (1200, 5200)
    assert near.rate_bps == far.rate_bps == 8 * GBIT
    assert len(near.ports) == 2
    assert far.ports[1] is fabric.up_ports[0][fabric.spine_of(5)]
    assert far.ports[2] is fabric.spine_ports[fabric.spine_of(5)][1]


def records(path: Path, timeline: Timeline) -> list[HopRecord]:
    collector = Collector(timeline)
    packet = LinkPacket(1000, (*path.forward, collector.put))
    packet.telemetry = []
    packet.forward()
    timeline.run(timeline.now + MS)
    assert packet.telemetry is not None
    return packet.telemetry


def test_every_port_on_the_way_tells_of_itself() -> None:
    timeline = Timeline()
    fabric = LeafSpine(timeline, LeafSpineConfig(host_bps=8 * GBIT, spine_bps=16 * GBIT))
    path = fabric.path(0, 8, 5)
    seen = records(path, timeline)
    assert [record.hop_id for record in seen] == [port.hop_id for port in path.ports]
    assert [record.rate_bps for record in seen] == [8 * GBIT, 16 * GBIT, 16 * GBIT, 8 * GBIT]
    assert [record.time_ns for record in seen] == [0, 2000, 3500, 5000]
    assert len({port.hop_id for ports in (*fabric.up_ports, *fabric.spine_ports) for port in ports}) == 32
    assert records(path, timeline)[0].sent_bytes == 2000


def incast(*, has_pfc: bool, buffer_bytes: int) -> tuple[LeafSpine, Collector, Timeline]:
    """Hosts 1 to 31 send 60 packets each to host 0, all at once."""
    timeline = Timeline()
    config = LeafSpineConfig(
        host_bps=8 * GBIT, spine_bps=16 * GBIT, has_pfc=has_pfc, buffer=BufferConfig(buffer_bytes=buffer_bytes)
    )
    fabric, collector = LeafSpine(timeline, config), Collector(timeline)
    for source in range(1, 32):
        route = (*fabric.path(source, 0, source).forward, collector.put)
        for number in range(60):
            LinkPacket(1500, route, flow=source, payload=number).forward()
    timeline.run(1 << 40)
    return fabric, collector, timeline


def test_an_incast_in_a_fabric_loses_nothing_and_keeps_order() -> None:
    fabric, collector, timeline = incast(has_pfc=True, buffer_bytes=250_000)
    switches = [*fabric.leaves, *fabric.spines]
    assert sum(switch.dropped_packets for switch in switches) == 0
    assert len(collector.arrivals) == 31 * 60
    for source in range(1, 32):
        assert [packet.payload for packet in collector.packets if packet.flow == source] == list(range(60))
    # It spreads: leaf 0 pauses its hosts and the spines, spines the leaves, those their hosts.
    assert all(switch.pause_frames for switch in switches)
    assert all(switch.buffer.used_bytes == 0 for switch in switches)
    # The last link is never idle: 1860 packets in a row, behind the first of a neighbour.
    assert collector.arrivals[-1][0] == 2 * (1500 + 1000) + 1859 * 1500
    again = incast(has_pfc=True, buffer_bytes=250_000)
    assert [(time_ns, packet.flow) for time_ns, packet in collector.arrivals] == [
        (time_ns, packet.flow) for time_ns, packet in again[1].arrivals
    ]
    assert timeline.steps == again[2].steps


def test_the_same_incast_without_pauses_drops() -> None:
    fabric, collector, _ = incast(has_pfc=False, buffer_bytes=250_000)
    switches = [*fabric.leaves, *fabric.spines]
    dropped = sum(switch.dropped_packets for switch in switches)
    assert dropped > 0
    assert len(collector.arrivals) + dropped == 31 * 60
    assert sum(switch.pause_frames for switch in switches) == 0
