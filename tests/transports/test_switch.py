"""A simulated switch: rates, ECN marks on its queues, and PFC pauses (IEEE 802.1Qbb)."""

from __future__ import annotations

import random

import pytest

from tests.transports.cores import ScriptedCore
from transports.datagram import ECN_CE, ECN_ECT0, ECN_NOT_ECT, Transmit
from transports.simulation import EcnRamp, Network, Packet, Simulation, Switch, SwitchConfig

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
PORT = 4791
SIZE = 972
"""Of a payload: 1000 bytes with IP and UDP headers, 8 us at 1 Gbit/s."""
PACKET_NS = 8_000


class Fabric:
    """Bare transports around one switch, and everything that arrives."""

    def __init__(self, seed: int = 1, **config: object) -> None:
        self.simulation = Simulation(seed)
        network = Network(self.simulation)
        self.switch = Switch(network, SwitchConfig(rate_bps=1_000_000_000, **config), HOSTS)  # type: ignore[arg-type]
        self.transports = {host: network.open((host, PORT)) for host in HOSTS}
        self.arrivals: list[tuple[int, Packet]] = []
        network.trace = self._record

    def _record(self, now: int, event: str, packet: Packet) -> None:
        if event == "delivered":
            self.arrivals.append((now, packet))

    def send(self, source: int, destination: int, count: int, ecn: int = ECN_ECT0) -> None:
        """Send `count` packets of 1000 bytes from one host to another."""
        self.transports[HOSTS[source]].send(
            Transmit([bytes(SIZE * count)], SIZE, None, (HOSTS[destination], PORT), ecn)
        )

    def times(self, source: int) -> list[int]:
        """When packets of one host arrived."""
        return [now for now, packet in self.arrivals if packet.source[0] == HOSTS[source]]


def test_a_packet_crosses_two_links_and_followers_keep_the_rate() -> None:
    fabric = Fabric(delay_ns=500)
    fabric.send(0, 1, 3)
    fabric.simulation.run()
    first = 2 * PACKET_NS + 2 * 500
    assert fabric.times(0) == [first, first + PACKET_NS, first + 2 * PACKET_NS]


def test_two_senders_share_the_link_to_one_receiver() -> None:
    fabric = Fabric()
    fabric.send(0, 2, 50)
    fabric.send(1, 2, 50)
    fabric.simulation.run()
    assert len(fabric.arrivals) == 100
    assert fabric.arrivals[-1][0] - fabric.arrivals[0][0] == 99 * PACKET_NS
    assert fabric.switch.ports[HOSTS[2]].downlink.peak_bytes == pytest.approx(50_000, abs=2_000)


def test_a_full_buffer_drops_without_pfc() -> None:
    fabric = Fabric(buffer_bytes=10_000)
    fabric.send(0, 2, 50)
    fabric.send(1, 2, 50)
    fabric.simulation.run()
    assert fabric.switch.dropped > 30
    assert len(fabric.arrivals) == 100 - fabric.switch.dropped


def test_pfc_pauses_the_ports_that_fill_the_buffer_and_nothing_is_lost() -> None:
    fabric = Fabric(xoff_bytes=10_000, xon_bytes=5_000, buffer_bytes=30_000)
    for source in (0, 1):
        fabric.send(source, 2, 100)
    fabric.simulation.run()
    assert fabric.switch.dropped == 0
    assert len(fabric.arrivals) == 200
    # The bottleneck is never idle: 200 packets in 200 packet times.
    assert fabric.arrivals[-1][0] - fabric.arrivals[0][0] == 199 * PACKET_NS
    for source in (0, 1):
        port = fabric.switch.ports[HOSTS[source]]
        assert port.pause_frames == port.uplink.pauses > 3
        assert port.resume_frames == port.pause_frames
        assert port.uplink.paused_ns > 0
        assert port.ingress_bytes == 0
    # What is on its way when a pause is sent still comes: 1 us of wire and the packet being sent.
    assert fabric.switch.ports[HOSTS[2]].downlink.peak_bytes <= 2 * (10_000 + 2_000)


def test_a_paused_host_also_waits_with_what_it_sends_elsewhere() -> None:
    """Head-of-line blocking, the price of PFC: a victim flow."""

    def victim_ns(**config: int) -> int:
        fabric = Fabric(**config)
        for source in (0, 1):
            fabric.send(source, 2, 60)
        fabric.send(0, 3, 1)
        fabric.simulation.run()
        return next(now for now, packet in fabric.arrivals if packet.destination[0] == HOSTS[3])

    assert victim_ns(xoff_bytes=5_000, xon_bytes=2_000) > victim_ns() * 3 // 2


def test_a_port_that_fills_nothing_is_not_paused() -> None:
    fabric = Fabric(xoff_bytes=10_000, xon_bytes=5_000)
    for source in (0, 1):
        fabric.send(source, 2, 100)
    fabric.send(3, 1, 100)
    fabric.simulation.run()
    assert fabric.switch.ports[HOSTS[3]].pause_frames == 0
    assert fabric.times(3)[-1] == 101 * PACKET_NS + 2_000


def test_queues_above_kmax_mark_what_can_be_marked() -> None:
    fabric = Fabric(marking=EcnRamp(kmin_bytes=5_000, kmax_bytes=5_000, pmax=1.0))
    for source, ecn in ((0, ECN_ECT0), (1, ECN_NOT_ECT)):
        fabric.send(source, 2, 50, ecn)
    fabric.simulation.run()
    marks = [packet.ecn for _, packet in fabric.arrivals if packet.source[0] == HOSTS[0]]
    assert marks[:3] == [ECN_ECT0] * 3
    assert marks[-1] == ECN_CE
    assert marks.count(ECN_CE) == fabric.switch.marked > 30
    assert all(packet.ecn == ECN_NOT_ECT for _, packet in fabric.arrivals if packet.source[0] == HOSTS[1])


def test_the_ramp_marks_in_proportion_to_the_queue() -> None:
    """DCQCN, SIGCOMM 2015, section 3.1."""
    ramp, rng = EcnRamp(kmin_bytes=1_000, kmax_bytes=3_000, pmax=0.2), random.Random(1)
    draws = 20_000
    for queued_bytes, share in ((1_000, 0.0), (2_000, 0.1), (2_999, 0.2), (3_000, 1.0)):
        marked = sum(ramp.marks(queued_bytes, rng) for _ in range(draws))
        assert marked / draws == pytest.approx(share, abs=0.01)


def test_a_seed_repeats_every_mark() -> None:
    def marks(seed: int) -> list[int]:
        fabric = Fabric(seed, marking=EcnRamp(kmin_bytes=1_000, kmax_bytes=50_000, pmax=0.5))
        for source in (0, 1):
            fabric.send(source, 2, 60)
        fabric.simulation.run()
        return [packet.ecn for _, packet in fabric.arrivals]

    assert marks(7) == marks(7)
    assert marks(7) != marks(8)


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="xon <= xoff"):
        SwitchConfig(xoff_bytes=1, xon_bytes=2)
    with pytest.raises(ValueError, match="kmin_bytes <= kmax_bytes"):
        EcnRamp(kmin_bytes=2, kmax_bytes=1)


def test_hosts_with_cores_talk_through_the_switch() -> None:
    simulation = Simulation(1)
    network = Network(simulation)
    Switch(network, SwitchConfig(), HOSTS[:2])
    near, far = ScriptedCore(), ScriptedCore(echoes=True)
    host = network.attach(near, (HOSTS[0], PORT))
    network.attach(far, (HOSTS[1], PORT))
    near.post(b"hello", to=(HOSTS[1], PORT))
    host.wake()
    simulation.run()
    assert near.received == far.received == [b"hello"]
