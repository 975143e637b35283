"""Priority flow control: nothing is dropped, everybody behind a pause waits, and other priorities do not notice."""

from __future__ import annotations

import pytest

from tests.transports.link.rig import Collector
from transports.errors import TransportError
from transports.link import ConstantRate, DropTail, LinkPacket, Port
from transports.link.pausable_queue import PausableQueue
from transports.link.shared_buffer import BufferConfig
from transports.link.switch import Switch, lossless_headroom_bytes
from transports.timeline import Timeline

GBIT = 1_000_000_000
WIRE_NS = 1000


class Rig:
    """`hosts` at one switch with a link of 8 Gbit/s each (a byte a nanosecond); the last but one takes 0.8 Gbit/s."""

    def __init__(
        self,
        hosts: int,
        *,
        pool_bytes: int = 20_000,
        headroom_bytes: int | None = None,
        has_pfc: bool = True,
        priorities: int = 1,
    ) -> None:
        self.timeline = timeline = Timeline()
        lossless = lossless_headroom_bytes(8 * GBIT, WIRE_NS, 1500)
        each = 0 if not has_pfc else lossless if headroom_bytes is None else headroom_bytes
        config = BufferConfig(
            buffer_bytes=pool_bytes + hosts * priorities * each, reserve_bytes=0, resume_offset_bytes=3000
        )
        self.switch = Switch(timeline, config, has_pfc=has_pfc)
        self.up = [self._port(8 * GBIT, priorities) for _ in range(hosts)]
        self.down = [self._port(GBIT * 8 // (10 if host == hosts - 2 else 1), priorities) for host in range(hosts)]
        for port in self.down:
            self.switch.egress(port)
        self.ingresses = [self.switch.ingress(port, 8 * GBIT, headroom_bytes=headroom_bytes) for port in self.up]
        self.collectors = [Collector(timeline) for _ in range(hosts)]
        self.slow, self.fast = hosts - 2, hosts - 1

    def _port(self, rate_bps: int, priorities: int) -> Port:
        queue = PausableQueue([DropTail() for _ in range(priorities)])
        return Port(self.timeline, queue, ConstantRate(rate_bps), delay_ns=WIRE_NS)

    def send(
        self, source: int, target: int, packets: int, *, gap_ns: int = 0, priority: int = 0, size_bytes: int = 1500
    ) -> None:
        cross = self.ingresses[source].to(self.down[target])
        route = (self.up[source].put, cross, self.collectors[target].put)
        for number in range(packets):
            packet = LinkPacket(size_bytes, route, flow=source, payload=number)
            packet.priority = priority
            self.timeline.at(self.timeline.now + number * gap_ns, LinkPacket.forward, packet)

    def arrived(self, target: int, source: int | None = None) -> int:
        return sum(source in (None, packet.flow) for packet in self.collectors[target].packets)


@pytest.mark.parametrize("pool_bytes", [0, 1500, 20_000, 500_000])
def test_an_incast_loses_nothing_however_small_the_pool(pool_bytes: int) -> None:
    rig = Rig(8, pool_bytes=pool_bytes)
    for source in range(6):
        rig.send(source, rig.slow, 200)
    rig.timeline.run(1 << 40)
    assert rig.switch.dropped_packets == 0
    assert rig.arrived(rig.slow) == 1200
    assert rig.switch.buffer.used_bytes == 0
    assert rig.switch.pause_frames > 0
    assert rig.switch.pause_frames == sum(ingress.resume_frames for ingress in rig.ingresses)
    for source in range(6):
        numbers = [packet.payload for packet in rig.collectors[rig.slow].packets if packet.flow == source]
        assert numbers == list(range(200))


def test_the_same_incast_without_pauses_drops() -> None:
    rig = Rig(8, has_pfc=False)
    told: list[LinkPacket] = []
    rig.switch.on_drop = told.append
    for source in range(6):
        rig.send(source, rig.slow, 200)
    rig.timeline.run(1 << 40)
    assert rig.switch.pause_frames == 0
    assert rig.switch.dropped_packets == len(told) > 0
    assert rig.switch.dropped_bytes == 1500 * len(told)
    assert rig.arrived(rig.slow) + rig.switch.dropped_packets == 1200
    assert rig.switch.buffer.used_bytes == 0


def test_the_headroom_is_what_it_takes_and_not_a_packet_more() -> None:
    # The wire both ways, 2000 bytes, a packet that had begun, and the one that filled the pool.
    assert lossless_headroom_bytes(8 * GBIT, WIRE_NS, 1500) == 2000 + 2 * 1500
    for less_bytes, is_lossless in ((0, True), (1500, False)):
        dropped = 0
        # The pause comes at any point of a packet: sizes that do not divide the wire's 2000 bytes, and one that does.
        for size_bytes in (1500, 1400, 1000):
            rig = Rig(3, pool_bytes=0, headroom_bytes=5000 - less_bytes)
            rig.send(0, rig.slow, 100, size_bytes=size_bytes)
            rig.timeline.run(1 << 40)
            dropped += rig.switch.dropped_packets
        assert (dropped == 0) is is_lossless


def test_a_pause_takes_effect_a_wires_delay_later_and_lets_the_packet_end_that_had_begun() -> None:
    rig = Rig(3, pool_bytes=0)
    rig.send(0, rig.slow, 10)
    # The first packet reaches the switch at 1500 + 1000 ns and goes straight through. The second has to wait from
    # 4000 ns on, which pauses; the host learns of it at 5000 ns, in the middle of its fourth, sends that, and no fifth.
    rig.timeline.run(4999)
    assert rig.up[0].sent_packets == 4
    assert not rig.up[0].queue.is_paused(0)
    rig.timeline.run(5000)
    assert rig.up[0].queue.is_paused(0)
    rig.timeline.run(20_000)
    assert rig.up[0].sent_packets == 4
    # They leave when those before are out, the second at 17,500 ns, the fourth at 47,500: then the headroom is empty,
    # and the host hears it 1000 ns later.
    rig.timeline.run(48_499)
    assert rig.up[0].sent_packets == 4
    rig.timeline.run(48_500)
    assert rig.up[0].sent_packets == 5


def test_who_sends_elsewhere_waits_behind_the_head_of_the_line() -> None:
    # Host 0 sends to the slow one and, as much, to the fast one, whose link is idle but for it.
    duration_ns = 2_000_000
    outcomes = {}
    for has_pfc in (True, False):
        rig = Rig(4, has_pfc=has_pfc, pool_bytes=20_000)
        for target in (rig.slow, rig.fast):
            rig.send(0, target, 650, gap_ns=3000)
        rig.timeline.run(duration_ns)
        outcomes[has_pfc] = rig.arrived(rig.fast)
    # Half the link is 650 packets in 2 ms. The slow host takes 133 of them; with pauses the other flow can go no faster
    # than the packets between which it stands, and what the buffer holds. A switch that drops does not hold it up.
    assert outcomes[False] > 640
    assert 133 <= outcomes[True] < 133 + 20


def test_another_priority_is_not_paused() -> None:
    rig = Rig(4, priorities=2)
    rig.send(0, rig.slow, 650, gap_ns=3000)
    rig.send(0, rig.fast, 650, gap_ns=3000, priority=1)
    rig.timeline.run(2_000_000)
    assert rig.arrived(rig.fast) > 640
    assert rig.up[0].queue.is_paused(0)
    assert not rig.up[0].queue.is_paused(1)


def test_control_packets_are_neither_paused_nor_counted() -> None:
    rig = Rig(3)
    rig.send(0, rig.slow, 100)
    rig.timeline.run(100_000)
    assert rig.up[0].queue.is_paused(0)
    used_bytes = rig.switch.buffer.used_bytes
    rig.send(0, rig.fast, 3, priority=7, size_bytes=64)
    rig.timeline.run(103_000)
    assert rig.arrived(rig.fast) == 3
    assert rig.switch.buffer.used_bytes <= used_bytes
    assert not rig.up[0].queue.is_paused(7)


def test_priorities_take_turns() -> None:
    rig = Rig(3, priorities=2)
    for priority in (0, 1):
        rig.send(0, rig.fast, 4, priority=priority)
    rig.timeline.run(1 << 40)
    # The first is under way before the second is there.
    assert [packet.priority for packet in rig.collectors[rig.fast].packets] == [0, 1, 0, 1, 0, 1, 0, 1]


def test_what_a_discipline_drops_leaves_the_buffer() -> None:
    rig = Rig(3, pool_bytes=500_000)
    rig.down[rig.slow].queue.queues[0].limit_packets = 5
    dropped: list[LinkPacket] = []
    rig.down[rig.slow].queue.on_drop = dropped.append
    rig.send(0, rig.slow, 100)
    rig.timeline.run(1 << 40)
    assert len(dropped) == rig.down[rig.slow].queue.dropped_packets > 0
    assert rig.arrived(rig.slow) + len(dropped) == 100
    assert rig.switch.buffer.used_bytes == 0


class Ticking(DropTail):
    def poll_deadline(self) -> int | None:
        return 5


def test_a_queue_that_cannot_be_paused_is_refused() -> None:
    with pytest.raises(TransportError, match="a port that can be paused needs a queue"):
        PausableQueue([])
    with pytest.raises(TransportError, match="Ticking has a clock"):
        PausableQueue([Ticking()])
    with pytest.raises(TransportError, match="mtu_bytes is at least 1, not 0"):
        Switch(Timeline(), mtu_bytes=0)


def test_two_runs_are_identical() -> None:
    outcomes = []
    for _ in range(2):
        rig = Rig(6)
        for source in range(4):
            rig.send(source, rig.slow, 60, gap_ns=700)
            rig.send(source, rig.fast, 60, gap_ns=1100)
        rig.timeline.run(1 << 40)
        seen = [(time_ns, packet.flow, packet.payload) for each in rig.collectors for time_ns, packet in each.arrivals]
        outcomes.append((seen, rig.timeline.steps, rig.switch.pause_frames, rig.switch.buffer.peak_bytes))
    assert outcomes[0] == outcomes[1]
