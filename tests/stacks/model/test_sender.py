"""A sender by itself, with acknowledgements made by hand: what it sends, when, and what it tells its controller."""

from __future__ import annotations

import random

import pytest

from stacks.congestion import Controller, Delivery, Flow, Loss, controller_factory
from stacks.model import AckPacket, DataPacket, Receiver, Sender
from stacks.runtime import LocalError

PACKET = 1000
MS = 1_000_000
SECOND = 1_000_000_000


class Fixed(Controller):
    """A hundred packets; `told` is what it heard."""

    def __init__(self, flow: Flow) -> None:
        self.window_bytes = 100 * PACKET
        self.told: list[str] = []
        self.losses: list[Loss] = []

    def handle_loss(self, loss: Loss, now: int) -> None:
        self.told.append("timeout" if loss.is_timeout else "loss")
        self.losses.append(loss)

    def handle_recovered(self, now: int) -> None:
        self.told.append("recovered")


class Paced(Fixed):
    """At a rate, one packet at a time."""

    send_quantum_bytes = 1

    def __init__(self, flow: Flow) -> None:
        super().__init__(flow)
        self.window_bytes = 1 << 60
        self.rate_bps = flow.line_rate_bps


def make(factory: type[Fixed] = Fixed, *, line_rate_bps: int = 10**9, overhead_bytes: int = 0) -> Sender:
    flow = Flow(line_rate_bps=line_rate_bps, packet_bytes=PACKET, delivery=Delivery(10 * PACKET))
    return Sender(factory, flow, overhead_bytes=overhead_bytes)


def controller(sender: Sender) -> Fixed:
    assert isinstance(sender.controller, Fixed)
    return sender.controller


def ack(sender: Sender, now: int, *ranges: tuple[int, int]) -> None:
    sender.handle_ack(AckPacket(list(ranges), 0, 0), now)


def segments(packets: list[DataPacket]) -> list[int]:
    return [packet.segment for packet in packets]


def time_out(sender: Sender) -> list[DataPacket]:
    due_ns = sender.poll_deadline()
    assert due_ns is not None
    sender.handle_timeout(due_ns)
    return sender.poll_packets(due_ns)


# Copies


def test_after_a_timeout_each_segment_is_sent_once_though_its_probe_was_lost_too() -> None:
    sender = make()
    sender.write(3 * PACKET)
    sender.poll_packets(0)
    assert segments(time_out(sender)) == [2]  # the probe
    assert segments(time_out(sender)) == [0, 1, 2]
    assert segments(time_out(sender)) == [0, 1, 2]
    assert sender.timeouts == 2


def test_data_is_not_sent_a_third_time_while_its_second_copy_is_on_its_way() -> None:
    sender = make()
    sender.write(4 * PACKET)
    sender.poll_packets(0)
    ack(sender, 10 * MS, (0, 2))
    (probe,) = time_out(sender)
    assert (probe.number, probe.segment) == (4, 3)
    sender.write(4 * PACKET)
    sender.poll_packets(probe.sent_ns)  # 5 to 8
    now = probe.sent_ns + MS
    ack(sender, now, (6, 6), (0, 2))
    assert sender.lost_packets == 1  # number 3
    assert sender.poll_packets(now) == []
    # Only when the copy is lost as well.
    ack(sender, now, (6, 8), (0, 2))
    assert segments(sender.poll_packets(now)) == [3, 4]


def test_a_redundant_copy_that_is_missing_does_not_hold_completion_up() -> None:
    sender = make()
    sender.write(PACKET)
    sender.poll_packets(0)
    assert segments(time_out(sender)) == [0]
    assert not sender.is_done
    ack(sender, SECOND, (0, 0))
    assert sender.is_done
    assert list(sender.losses.outstanding) == [1]


def test_data_that_waits_to_be_sent_again_is_taken_off_when_it_arrives() -> None:
    sender = make()
    sender.write(20 * PACKET)
    sender.poll_packets(0)
    controller(sender).window_bytes = 0
    ack(sender, MS, (10, 19))
    ack(sender, 2 * MS, (10, 19), (2, 8))
    controller(sender).window_bytes = 100 * PACKET
    assert segments(sender.poll_packets(2 * MS)) == [0, 1, 9]
    ack(sender, 3 * MS, (0, 22))
    assert sender.is_done


def test_a_timeout_that_was_none_costs_little_for_each_late_acknowledgement() -> None:
    """20,000 packets wait to be sent again: an acknowledgement takes off its own, and does not walk past the rest."""
    sender = make()
    controller(sender).window_bytes = 1 << 60
    sender.write(20_000 * PACKET)
    sender.poll_packets(0)
    ack(sender, 100 * MS, (0, 0))
    controller(sender).window_bytes = 2 * PACKET
    time_out(sender)
    time_out(sender)
    waiting = sender._copies.waiting  # noqa: SLF001 - how it is kept is what this is about
    for number in range(2, 200, 2):
        ack(sender, SECOND + number, (0, number))
    assert sender._copies.waiting is waiting  # noqa: SLF001
    assert len(waiting) < 20_000 - 190


# Windows and pacing


def test_a_last_packet_that_fits_the_window_is_sent() -> None:
    sender = make()
    controller(sender).window_bytes = 2 * PACKET - 500
    sender.write(PACKET + 400)
    assert [packet.size_bytes for packet in sender.poll_packets(0)] == [PACKET, 400]
    sender = make()
    controller(sender).window_bytes = 2 * PACKET - 500
    sender.write(PACKET + 501)
    assert [packet.size_bytes for packet in sender.poll_packets(0)] == [PACKET]


def test_a_window_below_a_packet_lets_one_out_at_a_time() -> None:
    sender = make()
    controller(sender).window_bytes = PACKET // 2
    sender.write(3 * PACKET)
    for number in range(3):
        assert [packet.number for packet in sender.poll_packets(number * MS)] == [number]
        ack(sender, number * MS + 1, (0, number))
    assert sender.is_done


@pytest.mark.parametrize("rate_bps", [99_000_000_000, 396_000_000_000, 7_000_000_001])
def test_ten_thousand_packets_leave_at_the_rate_to_the_nanosecond(rate_bps: int) -> None:
    sender = make(Paced, line_rate_bps=rate_bps)
    sender.write(10_001 * PACKET)
    now = 0
    for _ in range(10_000):
        assert len(sender.poll_packets(now)) == 1
        now = sender.delivery.next_send_ns
    exact_ns = 10_000 * PACKET * 8 * SECOND / rate_bps
    assert exact_ns - 1 <= now <= exact_ns + 1


def test_what_is_left_of_a_quantum_does_not_pass_the_pacer_later() -> None:
    sender = make(Paced, line_rate_bps=1_000_000)
    controller(sender).send_quantum_bytes = 64_000
    sender.write(PACKET)
    assert len(sender.poll_packets(0)) == 1
    sender.write(PACKET)
    assert sender.poll_packets(MS) == []
    assert sender.poll_deadline() == 8 * MS
    assert len(sender.poll_packets(8 * MS)) == 1


# Recovery


def test_the_retransmission_may_leave_in_the_instant_of_the_loss() -> None:
    """Virtual time does not move between the two: the recovery ends, and begins again, by numbers."""
    sender = make()
    sender.write(10 * PACKET)
    sender.poll_packets(0)
    ack(sender, MS, (1, 3))
    assert segments(sender.poll_packets(MS)) == [0]
    ack(sender, 2 * MS, (1, 10))
    assert controller(sender).told == ["loss", "recovered"]
    sender = make()
    sender.write(10 * PACKET)
    sender.poll_packets(0)
    ack(sender, MS, (1, 3))
    sender.write(5 * PACKET)
    sender.poll_packets(MS)
    ack(sender, 2 * MS, (11, 15), (1, 9))
    assert controller(sender).told[:2] == ["loss", "recovered"]
    assert controller(sender).told[2:] == ["loss"]


def test_persistent_congestion_is_told_with_the_loss() -> None:
    """RFC 9002 7.6.2: nothing of what left over more than three probe timeouts arrived."""
    sender = make()
    sender.rtt.max_ack_delay_ns = 0
    for number in range(40):
        sender.write(PACKET)
        sender.poll_packets(10 * MS * number)
        ack(sender, 10 * MS * number + MS, (0, number))
    # A timeout after silence: one packet, its probe and its copies, each lost in its turn.
    sender.write(PACKET)
    sender.poll_packets(SECOND)
    for _ in range(4):
        time_out(sender)
    told = [(loss.is_timeout, loss.is_persistent) for loss in controller(sender).losses]
    # Probe timeouts after 1, 3, 7 and 15: the first run of more than three ends with the copy that left at 7.
    assert told == [(True, False), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("base_rtt_ns", "options", "loss_ns", "timeout_ns"),
    [
        (0, {}, MS, 100_000 + MS),  # RFC 9002 6.1.2, 6.2.1
        (10_000, {}, 112_500, MS),  # of a data centre
        (10_000, {"minimum_ns": 0}, 112_500, 110_000),
        (0, {"granularity_ns": 400_000, "minimum_ns": 0}, 400_000, 500_000),
    ],
)
def test_granularity_is_a_millisecond_but_where_the_path_is_shorter(
    base_rtt_ns: int, options: dict[str, int], loss_ns: int, timeout_ns: int
) -> None:
    flow = Flow(line_rate_bps=10**9, packet_bytes=PACKET, delivery=Delivery(), base_rtt_ns=base_rtt_ns)
    sender = Sender(Fixed, flow, ack_delay_ns=0, **options)
    for number in range(50):
        sender.write(PACKET)
        sender.poll_packets(number * MS)
        ack(sender, number * MS + 100_000, (0, number))
    sender.write(2 * PACKET)
    sender.poll_packets(SECOND)
    assert sender.poll_deadline() == SECOND + timeout_ns
    ack(sender, SECOND + 100_000, (51, 51))
    assert sender.losses.loss_due_ns == SECOND + loss_ns


# Headers


def test_headers_are_on_the_wire_and_not_in_what_was_written() -> None:
    sender, receiver = make(overhead_bytes=52), Receiver(overhead_bytes=52)
    sender.write(2000)
    packets = sender.poll_packets(0)
    assert [packet.size_bytes for packet in packets] == [1000, 1000, 2000 - 2 * 948 + 52]
    assert sender.delivery.inflight_bytes == sender.sent_bytes == 2000 + 3 * 52
    for packet in (packets[0], packets[2], packets[1], packets[1]):
        receiver.handle_packet(packet, 0)
    assert receiver.goodput_bytes == 2000
    assert receiver.received_bytes == 2000 + 3 * 52 + 1000


@pytest.mark.parametrize("overhead_bytes", [PACKET, -1])
def test_headers_leave_room(overhead_bytes: int) -> None:
    with pytest.raises(LocalError, match="headers leave nothing of a packet of 1000"):
        make(overhead_bytes=overhead_bytes)


def test_packets_of_another_size_from_here_on_and_the_window_as_it_was() -> None:
    for name in ("reno", "cubic", "bbr3"):
        flow = Flow(
            line_rate_bps=10**9, packet_bytes=PACKET, delivery=Delivery(10 * PACKET), rng=random.Random(1)
        )
        sender = Sender(controller_factory(name), flow, overhead_bytes=52)
        sender.handle_mtu(2000, 0)
        sender.write(100 * PACKET)
        assert sender.controller.window_bytes == 10 * PACKET
        assert {packet.size_bytes for packet in sender.poll_packets(0)} == {2000}
        assert 1 <= len(sender.losses.outstanding) <= 5
        # A timeout leaves one packet, of the size that packets are now.
        sender.handle_timeout(SECOND)
        sender.handle_timeout(3 * SECOND)
        assert sender.timeouts == 1
        assert sender.controller.window_bytes == 2000
    with pytest.raises(LocalError, match="of a packet of 52"):
        sender.handle_mtu(52, 0)


def test_the_sender_counts_the_recoveries_after_which_reordering_is_forgotten() -> None:
    sender = make()
    sender.losses.thresholds.packets = 3
    sender.write(1 << 30)
    sender.poll_packets(0)
    ack(sender, MS, (8, 8))
    ack(sender, MS, (8, 8), (2, 2))  # six packets after it came first
    assert sender.losses.thresholds.packets == 7
    now = MS
    for recovery in range(16):
        assert sender.losses.thresholds.packets == 7, recovery
        sender.poll_packets(now)
        now += 100 * MS
        # All but the oldest arrive: it is lost, and what is sent from here ends the recovery.
        outstanding = list(sender.losses.outstanding)
        ack(sender, now, (outstanding[1], outstanding[-1]))
        sent = sender.poll_packets(now)
        now += MS
        ack(sender, now, (outstanding[1], sent[-1].number))
    assert controller(sender).told.count("recovered") >= 16
    assert sender.losses.thresholds.packets == 3
