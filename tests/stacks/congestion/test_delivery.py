"""Delivery-rate samples, by draft-ietf-ccwg-bbr 4.1; the numbers are worked out by hand from its text."""

from __future__ import annotations

from stacks.congestion import Ack, Delivery

MS = 1_000_000
SIZE = 1000


class Packet:
    """A record of a packet, as the draft's P."""

    sent_ns: int
    first_send_ns: int
    delivered_ns: int
    delivered_bytes: int
    lost_bytes: int
    lost_after_bytes: int
    tx_in_flight_bytes: int
    is_app_limited: bool

    def __init__(self, number: int) -> None:
        self.number = number
        self.size_bytes = SIZE


def send(delivery: Delivery, *times_ms: int, first: int = 0) -> list[Packet]:
    packets = [Packet(first + index) for index in range(len(times_ms))]
    for packet, time_ms in zip(packets, times_ms, strict=True):
        delivery.sent(packet, time_ms * MS)
    return packets


def acked(delivery: Delivery, packets: list[Packet], time_ms: int) -> Ack:
    for packet in packets:
        delivery.acked(packet, time_ms * MS)
    return delivery.sample()


def test_the_first_packets_are_measured_from_their_sending() -> None:
    delivery = Delivery()
    packets = send(delivery, 0, 1)
    first = acked(delivery, packets[:1], 10)
    assert (first.delivered_bytes, first.interval_ns, first.delivery_rate_bps) == (SIZE, 10 * MS, 800_000)
    second = acked(delivery, packets[1:], 11)
    # Since nothing was delivered when it was sent, both packets count, from the sending of the first.
    assert (second.prior_delivered_bytes, second.prior_delivered_ns) == (0, 0)
    assert (second.send_elapsed_ns, second.ack_elapsed_ns) == (1 * MS, 11 * MS)
    assert second.delivery_rate_bps == 2 * SIZE * 8 * 1000 // 11


def test_a_rate_is_never_above_the_rate_of_sending() -> None:
    delivery = Delivery()
    start = send(delivery, 0)
    acked(delivery, start, 10)
    # Sent 10 ms apart, acknowledged together.
    packets = send(delivery, 10, 20, first=1)
    delivery.inflight_bytes  # noqa: B018
    sample = acked(delivery, packets, 31)
    assert (sample.send_elapsed_ns, sample.ack_elapsed_ns) == (10 * MS, 21 * MS)
    later = send(delivery, 31, 61, first=3)
    sample = acked(delivery, later, 62)
    assert (sample.send_elapsed_ns, sample.ack_elapsed_ns) == (30 * MS, 31 * MS)
    burst = [*send(delivery, 62, first=5), *send(delivery, 92, first=6)]
    delivery.acked(burst[0], 100 * MS)
    delivery.sample()
    third = send(delivery, 101, 131, first=7)
    sample = acked(delivery, [burst[1], *third], 132)
    # From the sending of the packet that was acknowledged last when it left, at 62, to its own, at 131.
    assert sample.send_elapsed_ns == 69 * MS
    assert sample.interval_ns == 69 * MS
    assert sample.delivery_rate_bps == 3 * SIZE * 8 * 1000 // 69


def test_the_newest_packet_makes_the_sample_in_whatever_order_they_are_told() -> None:
    samples = []
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        delivery = Delivery()
        packets = send(delivery, 0, 5, 5)
        delivery.lost_bytes = 7
        delivery.acked_late(send(delivery, 6, first=3)[0], 7 * MS)
        delivery.sample()
        sample = acked(delivery, [packets[index] for index in order], 20)
        samples.append((sample.newest_sent_ns, sample.tx_in_flight_bytes, sample.delivered_bytes, sample.interval_ns))
    # Of two that left together, the higher number is the newer.
    assert samples == [(5 * MS, 3 * SIZE, 4 * SIZE, 20 * MS)] * 3


def test_an_acknowledgement_of_older_packets_alone_gives_a_sample_too() -> None:
    delivery = Delivery()
    packets = send(delivery, 0, 1, 2)
    acked(delivery, packets[2:], 12)
    sample = acked(delivery, packets[:1], 13)
    assert sample.prior_delivered_ns == 0
    assert sample.delivered_bytes == 2 * SIZE
    assert sample.interval_ns == 13 * MS
    # C.first_send_time is that of the packet most recently marked as delivered.
    assert delivery.first_send_ns == 0


def test_what_is_shorter_than_the_smallest_round_trip_is_no_rate() -> None:
    delivery = Delivery()
    delivery.min_rtt_ns = 20 * MS
    sample = acked(delivery, send(delivery, 0), 19)
    assert sample.delivery_rate_bps == 0
    assert sample.delivered_bytes == SIZE
    assert acked(delivery, send(delivery, 19, first=1), 39).delivery_rate_bps == SIZE * 8 * 50


def test_an_acknowledgement_of_nothing_new_is_no_sample() -> None:
    sample = Delivery().sample()
    assert sample.prior_delivered_ns == -1
    assert sample.delivery_rate_bps == sample.interval_ns == sample.delivered_bytes == 0


def test_an_idle_path_begins_again_with_the_next_packet() -> None:
    delivery = Delivery()
    acked(delivery, send(delivery, 0), 10)
    [packet] = send(delivery, 500, first=1)
    assert (packet.first_send_ns, packet.delivered_ns) == (500 * MS, 500 * MS)
    assert acked(delivery, [packet], 510).interval_ns == 10 * MS


def test_a_pause_marks_samples_until_it_is_delivered() -> None:
    delivery = Delivery()
    before = send(delivery, 0)
    delivery.application_limited()
    assert delivery.app_limited == SIZE
    after = send(delivery, 5, first=1)
    assert not acked(delivery, before, 10).is_app_limited
    assert delivery.app_limited
    assert acked(delivery, after, 15).is_app_limited
    # All that was in flight at the pause, and one more, has arrived.
    assert delivery.app_limited == 0
    assert not acked(delivery, send(delivery, 15, first=2), 25).is_app_limited


def test_a_pause_before_anything_was_sent_is_a_mark_as_well() -> None:
    delivery = Delivery()
    delivery.application_limited()
    assert delivery.app_limited == 1


def test_what_was_in_flight_and_what_was_lost_since_are_the_newest_packets() -> None:
    delivery = Delivery()
    packets = send(delivery, 0, 1, 2, 3)
    assert [packet.tx_in_flight_bytes for packet in packets] == [SIZE, 2 * SIZE, 3 * SIZE, 4 * SIZE]
    delivery.acked(packets[3], 13 * MS)
    # The acknowledgement itself shows that these are lost.
    delivery.lost(packets[0])
    delivery.lost(packets[1])
    sample = delivery.sample()
    assert sample.tx_in_flight_bytes == 4 * SIZE
    assert sample.sample_lost_bytes == sample.lost_bytes == 2 * SIZE
    assert sample.inflight_bytes == SIZE
    again = send(delivery, 13, first=4)
    delivery.lost(packets[2])
    delivery.acked(again[0], 23 * MS)
    # Of it, only what was lost after it was sent; in flight were the third packet and itself.
    sample = delivery.sample()
    assert sample.sample_lost_bytes == SIZE
    assert sample.tx_in_flight_bytes == 2 * SIZE


def test_a_packet_that_comes_late_is_delivered_and_lost() -> None:
    delivery = Delivery()
    [packet] = send(delivery, 0)
    delivery.lost(packet)
    delivery.acked_late(packet, 10 * MS)
    sample = delivery.sample()
    assert (delivery.delivered_bytes, delivery.lost_bytes, delivery.inflight_bytes) == (SIZE, SIZE, 0)
    assert sample.delivered_bytes == sample.acked_bytes == SIZE


def test_the_window_counts_as_full_for_a_round() -> None:
    delivery = Delivery()
    packets = send(delivery, 0, 1)
    delivery.cwnd_limited()
    for packet in packets:
        assert delivery.is_cwnd_limited
        delivery.acked(packet, 10 * MS)
    assert delivery.is_cwnd_limited
    acked(delivery, send(delivery, 10, first=2), 20)
    assert not delivery.is_cwnd_limited
