"""Round-trip estimates (RFC 6298 2, RFC 9002 5.3, 6.2) and persistent congestion (RFC 9002 7.6)."""

from __future__ import annotations

from stacks.congestion import Ack, Delivery, RoundCounter, RttEstimator
from stacks.congestion.persistent import PersistentCongestion, persistent_duration_ns
from stacks.model import DataPacket

MS = 1_000_000
SECOND = 1_000_000_000


def test_the_first_sample_and_the_next_are_weighed_as_rfc_9002_says() -> None:
    rtt = RttEstimator()
    rtt.update(100 * MS)
    assert (rtt.smoothed_ns, rtt.variation_ns, rtt.min_ns) == (100 * MS, 50 * MS, 100 * MS)
    rtt.update(180 * MS, ack_delay_ns=20 * MS)
    # 160 ms after the delay: 3/4 * 50 + 1/4 * 60, and 7/8 * 100 + 1/8 * 160.
    assert (rtt.smoothed_ns, rtt.variation_ns, rtt.latest_ns) == (107_500_000, 52_500_000, 180 * MS)


def test_a_delay_is_not_taken_off_below_the_smallest_round_trip() -> None:
    rtt = RttEstimator()
    rtt.update(100 * MS)
    rtt.update(110 * MS, ack_delay_ns=20 * MS)
    assert rtt.smoothed_ns == (7 * 100 + 110) * MS // 8


def test_a_peer_that_claims_more_than_its_longest_delay_is_not_believed() -> None:
    """RFC 9002 5.3: the lesser of the delay that is reported and max_ack_delay."""
    rtt = RttEstimator()
    rtt.max_ack_delay_ns = 25 * MS
    rtt.update(100 * MS)
    for _ in range(200):
        rtt.update(1000 * MS, ack_delay_ns=890 * MS)
    assert abs(rtt.smoothed_ns - 975 * MS) < MS


def test_a_round_trip_of_no_time_is_a_sample() -> None:
    rtt = RttEstimator()
    rtt.update(0)
    rtt.update(80)
    assert rtt.has_sample
    assert (rtt.min_ns, rtt.smoothed_ns) == (0, 10)


def test_granularity_and_minimum_bound_the_timeout_from_below() -> None:
    for granularity_ns, minimum_ns, expected_ns in ((MS, 0, 1_010_000), (0, 0, 10_000), (MS, SECOND, SECOND)):
        rtt = RttEstimator(granularity_ns=granularity_ns, minimum_ns=minimum_ns)
        for _ in range(100):
            rtt.update(10_000)
        assert rtt.retransmission_ns() == expected_ns


def test_after_a_change_of_path_nothing_is_known() -> None:
    rtt = RttEstimator()
    rtt.update(100 * MS)
    rtt.reset()
    assert (rtt.has_sample, rtt.smoothed_ns, rtt.min_ns) == (False, 0, 0)
    rtt.update(300 * MS)
    assert (rtt.smoothed_ns, rtt.min_ns) == (300 * MS, 300 * MS)


def packets(*times_s: float, first: int = 1) -> list[DataPacket]:
    made = []
    for number, time_s in enumerate(times_s, first):
        packet = DataPacket(number, number, 1000)
        packet.sent_ns = int(time_s * SECOND)
        made.append(packet)
    return made


# RFC 9002 7.6.3: packet 1 leaves at 0 s, is acknowledged at 1.2; 2 to 8 leave then and are lost; 9 tells it at 12.2 s.
EXAMPLE = (1, 2, 3, 4, 5, 6, 8)


def told(sampled_s: float = 0.5) -> PersistentCongestion:
    made = PersistentCongestion()
    made.sampled_ns = int(sampled_s * SECOND)
    return made


def test_the_example_of_rfc_9002() -> None:
    """A probe timeout of 2 s makes a duration of 6; packets 2 and 8 left 7 s apart, and none between them arrived."""
    rtt = RttEstimator()
    rtt.max_ack_delay_ns = 0
    for _ in range(200):
        rtt.update(2 * SECOND - MS)
    duration_ns = persistent_duration_ns(rtt)
    assert abs(duration_ns - 6 * SECOND) < MS
    assert told().lost(packets(*EXAMPLE, first=2), duration_ns)


def test_no_persistent_congestion_at_the_duration_itself_or_across_one_that_arrived() -> None:
    assert not told().lost(packets(*EXAMPLE, first=2), 7 * SECOND)
    assert told().lost(packets(*EXAMPLE, first=2), 7 * SECOND - 1)
    lost = packets(*EXAMPLE, first=2)
    del lost[3]
    assert not told().lost(lost, 6 * SECOND)


def test_losses_that_are_found_in_parts_are_one_run_unless_one_turns_out_to_be_none() -> None:
    lost = packets(*EXAMPLE, first=2)
    run = told()
    assert not run.lost(lost[:4], 6 * SECOND)
    assert run.lost(lost[4:], 6 * SECOND)
    run = told()
    assert not run.lost(lost[:4], 6 * SECOND)
    run.arrived_late()
    assert not run.lost(lost[4:], 6 * SECOND)


def test_packets_from_before_the_first_round_trip_sample_say_nothing() -> None:
    assert not told(sampled_s=1.0).lost(packets(*EXAMPLE, first=2), 6 * SECOND)
    assert not PersistentCongestion().lost(packets(*EXAMPLE, first=2), SECOND)


def test_a_run_is_told_once() -> None:
    run = told()
    assert run.lost(packets(*EXAMPLE, first=2), 6 * SECOND)
    assert not run.lost(packets(9, 10, first=9), 6 * SECOND)


def test_an_acknowledgement_without_a_sample_begins_no_round() -> None:
    rounds = RoundCounter()
    sample = Ack(0, 0)
    assert not rounds.update(sample.prior_delivered_bytes, 0)
    assert not rounds.update(Delivery().sample().prior_delivered_bytes, 0)
    assert rounds.count == 0
    assert rounds.update(0, 1000)


def test_a_late_packet_is_counted_apart_and_the_newest_is_named() -> None:
    delivery = Delivery()
    sent = packets(0, 0, 0)
    for packet in sent:
        delivery.sent(packet, 0)
    delivery.lost(sent[0])
    delivery.acked(sent[2], MS)
    delivery.acked_late(sent[0], MS)
    ack = delivery.sample(rtt_ns=MS, ack_delay_ns=7)
    assert (ack.acked_bytes, ack.late_bytes, ack.newest_number, ack.ack_delay_ns) == (2000, 1000, 3, 7)
    assert delivery.sample().newest_number == -1


def test_the_losses_that_were_found_together_have_totals_of_their_own() -> None:
    """The draft's HandleLostPacket counts one, then asks (5.5.10.2)."""
    delivery = Delivery()
    sent = packets(0, 0, 0)
    for packet in sent:
        delivery.sent(packet, 0)
    for packet in sent:
        delivery.lost(packet)
    assert [packet.lost_after_bytes for packet in sent] == [1000, 2000, 3000]
