"""Model senders over datagrams: the same behaviour through headers and a network, and nothing from a peer's bytes."""

from __future__ import annotations

import pytest

from stacks.congestion import Controller, ControllerFactory, Delivery, Flow, Reno
from stacks.model import Sender
from stacks.model.endpoint import ReceivingEndpoint, SendingEndpoint
from transports.clock import RealClock
from transports.datagram import Burst, Transmit
from transports.pump import Pump, wait_for
from transports.segments import payloads
from transports.simulation import Impairments, Network, Simulation
from transports.udp import UdpTransport
from wire.lab import LabAck, LabAckHead, LabData

NEAR, FAR = ("10.0.0.1", 4000), ("10.0.0.2", 5000)
MS = 1_000_000


class Paced(Controller):
    """10 Mbit/s, a packet at a time."""

    rate_bps = 10_000_000
    window_bytes = 1 << 30
    send_quantum_bytes = 1500

    def __init__(self, flow: Flow) -> None:
        pass


def sender(factory: ControllerFactory = Reno) -> Sender:
    flow = Flow(line_rate_bps=10**9, packet_bytes=1500, delivery=Delivery(15_000))
    return Sender(factory, flow)


class Pair:
    """A sender and a receiver on a simulated network; the far end is a queue before 10 Mbit/s."""

    def __init__(self, impairments: Impairments) -> None:
        self.simulation = Simulation(1)
        network = Network(self.simulation, impairments)
        self.near, self.far = SendingEndpoint(sender(), FAR, flow=3), ReceivingEndpoint()
        self.host = network.attach(self.near, NEAR)
        network.attach(self.far, FAR)

    def write(self, length_bytes: int) -> None:
        self.near.sender.write(length_bytes)
        self.host.wake()


def test_a_transfer_through_a_queue_that_overflows_is_complete_and_fills_the_link() -> None:
    pair = Pair(Impairments(delay_ns=5 * MS, rate_bps=10_000_000, queue_bytes=30_000))
    pair.write(3_000_000)
    pair.simulation.run(until_ns=3_000 * MS)
    receiver = pair.far.receivers[NEAR, 3]
    # 3 MB at 10 Mbit/s are 2.4 s; slow start and recoveries may cost a quarter of that.
    assert pair.near.sender.is_done
    assert receiver.goodput_bytes == 3_000_000
    assert pair.near.sender.lost_packets > 0
    assert (pair.near.bad_packets, pair.far.bad_packets) == (0, 0)


def test_the_round_trip_that_a_sender_sees_is_that_of_the_path() -> None:
    pair = Pair(Impairments(delay_ns=5 * MS))
    pair.write(100_000)
    pair.simulation.run(until_ns=1000 * MS)
    assert pair.near.sender.rtt.min_ns == 10 * MS


def test_equal_packets_leave_in_one_transmit_with_headers_that_say_which_they_are() -> None:
    near = SendingEndpoint(sender(), FAR, flow=9)
    near.sender.write(4000)
    first, second = near.poll_transmit(0), near.poll_transmit(0)
    assert first is not None
    assert second is not None
    assert near.poll_transmit(0) is None
    assert [len(each) for each in payloads(first)] == [1472, 1472]
    assert [len(each) for each in payloads(second)] == [1000 - 28]
    headers = [LabData.decode(each) for each in (*payloads(first), *payloads(second))]
    assert [(each.flow, each.number, each.segment) for each in headers] == [(9, 0, 0), (9, 1, 1), (9, 2, 2)]


def test_a_packet_is_never_smaller_than_its_header() -> None:
    near = SendingEndpoint(sender(), FAR)
    near.sender.write(1)
    transmit = near.poll_transmit(0)
    assert transmit is not None
    assert len(payloads(transmit)[0]) == LabData.SIZE


def test_a_driver_that_comes_late_does_not_slow_a_paced_sender_down() -> None:
    near = SendingEndpoint(sender(Paced), FAR)
    near.sender.write(1 << 30)
    sent = 0
    # One packet in 1.2 ms; a driver that comes every 5 ms finds four or five due.
    for now in range(0, 1000 * MS, 5 * MS):
        while (transmit := near.poll_transmit(now)) is not None:
            sent += len(payloads(transmit))
    assert sent == pytest.approx(1000 / 1.2, abs=5)


def test_a_long_pause_is_not_made_up_for() -> None:
    near = SendingEndpoint(sender(Paced), FAR)
    near.sender.write(1 << 30)
    assert near.poll_transmit(0) is not None
    sent = 0
    while (transmit := near.poll_transmit(10_000 * MS)) is not None:
        sent += len(payloads(transmit))
    assert sent <= 20 / 1.2 + 2


def burst(*datagrams: bytes) -> Burst:
    return Burst(memoryview(b"".join(datagrams)), len(datagrams[0]), FAR, NEAR)


def answer(*ranges: tuple[int, int], flow: int = 0) -> bytes:
    return LabAck(LabAckHead(flow=flow), ranges).encode()


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x00" * 40,
        LabData(number=1).encode(),
        answer((0, 0))[:-1],
        answer(),
        answer((0, 0), flow=1),
        answer((0, 99)),
        answer((1, 0)),
        answer((0, 0), (1, 1)),
        answer((1, 1), (0, 0)),
        answer((1, 1), (1, 1)),
    ],
)
def test_an_acknowledgement_that_makes_no_sense_is_counted_and_changes_nothing(datagram: bytes) -> None:
    near = SendingEndpoint(sender(), FAR)
    near.sender.write(15_000)
    near.poll_transmit(0)
    if datagram:
        near.handle_burst(burst(datagram), MS)
        assert near.bad_packets == 1
    assert near.sender.delivery.delivered_bytes == 0
    near.handle_burst(burst(answer((0, 0))), 2 * MS)
    assert near.sender.delivery.delivered_bytes == 1500


@pytest.mark.parametrize("datagram", [b"\x00" * 40, answer((0, 0)), LabData(number=1).encode()[:-1]])
def test_what_is_no_data_is_counted_and_not_answered(datagram: bytes) -> None:
    far = ReceivingEndpoint()
    far.handle_burst(burst(datagram), 0)
    assert (far.bad_packets, far.receivers, far.poll_transmit(0)) == (1, {}, None)


def test_marks_come_back_as_counts() -> None:
    far = ReceivingEndpoint()
    arrived = burst(*(LabData(number=number).encode() for number in range(3)))
    arrived.ecn = 3
    far.handle_burst(arrived, 0)
    acks = []
    while (transmit := far.poll_transmit(0)) is not None:
        acks += [LabAck.decode(payload) for payload in payloads(transmit)]
    # The first mark is told at once, then every other packet.
    assert [ack.head.ce_packets for ack in acks] == [1, 3]


def test_a_flow_too_many_takes_the_place_of_the_oldest() -> None:
    far = ReceivingEndpoint(flows=2)
    for flow in range(3):
        far.handle_burst(burst(LabData(flow=flow).encode()), 0)
    assert [flow for _, flow in far.receivers] == [1, 2]


def test_a_transfer_over_loopback_sockets_is_complete() -> None:
    clock = RealClock()
    there, here = UdpTransport("127.0.0.1", 0), UdpTransport("127.0.0.1", 0)
    try:
        near, far = SendingEndpoint(sender(), there.address), ReceivingEndpoint()
        near.sender.write(500_000)
        pumps = [Pump(near, here, clock), Pump(far, there, clock)]
        deadline_ns = clock.now() + 10_000 * MS
        while not near.sender.is_done and clock.now() < deadline_ns:
            for pump in pumps:
                pump.pump()
            wait_for(pumps, 10 * MS)
        assert near.sender.is_done
        assert far.receivers[here.address, 0].goodput_bytes == 500_000
    finally:
        there.close()
        here.close()


def test_transmits_need_no_release() -> None:
    transmit = Transmit([b""], 0, None, FAR)
    SendingEndpoint(sender(), FAR).sent(transmit)
    ReceivingEndpoint().sent(transmit)


# Real time: what was planned and what happened


def test_a_round_trip_is_of_the_packet_as_it_really_left_and_of_the_arrival_that_the_transport_saw() -> None:
    near = SendingEndpoint(sender(Paced), FAR)
    near.sender.write(1 << 20)
    assert near.poll_transmit(0) is not None
    # The second is due at 1.2 ms, and the driver comes at 5.
    assert near.poll_transmit(5 * MS) is not None
    arrived = burst(answer((0, 1)))
    arrived.received_ns = 15 * MS
    near.handle_burst(arrived, 18 * MS)
    assert near.sender.rtt.latest_ns == 10 * MS


def test_rates_are_of_the_departures_that_were_planned() -> None:
    near = SendingEndpoint(sender(Paced), FAR)
    near.sender.write(1 << 20)
    sent = 0
    for now in (0, 6 * MS, 12 * MS):
        while (transmit := near.poll_transmit(now)) is not None:
            sent += len(payloads(transmit))
    assert [packet.sent_ns for packet in near.sender.losses.outstanding.values()] == [
        1_200_000 * number for number in range(sent)
    ]


def test_who_judges_a_run_is_told_how_late_each_departure_was() -> None:
    near = SendingEndpoint(sender(Paced), FAR)
    told: list[tuple[int, int]] = []
    near.on_departure = lambda late_ns, count: told.append((late_ns, count))
    near.sender.write(1 << 20)
    near.poll_transmit(0)
    near.poll_transmit(3 * MS)
    assert told == [(0, 1), (1_800_000, 1), (600_000, 1)]


def test_time_does_not_go_back_for_a_sender() -> None:
    """An arrival of before what the sender has done already is as of then; one of the future as of now."""
    seen: list[int] = []

    class Watching(Paced):
        def handle_ack(self, ack: object, now: int) -> None:
            seen.append(now)

        def handle_timeout(self, now: int) -> None:
            seen.append(now)

        def handle_sent(self, length_bytes: int, now: int) -> None:
            seen.append(now)

    near = SendingEndpoint(sender(Watching), FAR)
    near.sender.write(1 << 30)
    # Far more is due after the pause than one call makes up for.
    for now_ms, received_ms in ((0, 0), (10, 4), (11, 2), (12, 99), (9_000, 5_000)):
        now, received_ns = now_ms * MS, received_ms * MS
        near.poll_transmit(now)
        arrived = burst(answer((0, len(seen) % 2)))
        arrived.received_ns = received_ns
        near.handle_burst(arrived, now)
        assert seen[-1] <= now
    assert seen == sorted(seen)


def test_an_acknowledgement_says_how_long_the_packet_waited_for_the_process() -> None:
    far = ReceivingEndpoint()
    arrived = burst(LabData().encode(), LabData(number=1).encode())
    arrived.received_ns = 3 * MS
    far.handle_burst(arrived, 7 * MS)
    transmit = far.poll_transmit(7 * MS)
    assert transmit is not None
    assert LabAck.decode(payloads(transmit)[0]).head.delay_ns == 4 * MS


def test_headers_are_no_goodput_over_datagrams_either() -> None:
    far = ReceivingEndpoint(overhead_bytes=20)
    far.handle_burst(burst(LabData().encode()), 0)
    (receiver,) = far.receivers.values()
    assert receiver.goodput_bytes == receiver.received_bytes - 20


def test_a_driver_that_comes_late_does_not_time_out_what_was_acknowledged_before() -> None:
    near = SendingEndpoint(sender(), FAR)
    near.sender.write(1000)
    assert near.poll_transmit(0) is not None
    # The first timeout is due after a second (RFC 6298 2.1).
    arrived = burst(answer((0, 0)))
    arrived.received_ns = 900 * MS
    near.handle_burst(arrived, 1_100 * MS)
    assert near.poll_transmit(1_100 * MS) is None
    assert (near.sender.sent_packets, near.sender.is_done) == (1, True)
    assert near.sender.rtt.latest_ns == 900 * MS
