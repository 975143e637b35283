"""Loss thresholds that follow what a path reorders, and go back (RFC 9002 6.1.1, RFC 8985 6.2)."""

from __future__ import annotations

import pytest

from stacks.congestion import Delivery, RttEstimator
from stacks.congestion.reordering import MAX_PACKET_THRESHOLD
from stacks.model import DataPacket
from stacks.model.losses import LossDetector
from tests.stacks.model.rig import MS, PACKET, Recorder, Rig, random_fate


class Detector:
    """Packets 0 to 999 in flight, 1 ms apart, on a path of 100 ms."""

    def __init__(self, granularity_ns: int = MS) -> None:
        self.delivery = Delivery()
        self.rtt = RttEstimator(granularity_ns=granularity_ns)
        self.rtt.update(100 * MS)
        self.losses = LossDetector(self.delivery, self.rtt)
        for number in range(1000):
            packet = DataPacket(number, number, PACKET)
            self.delivery.sent(packet, number * MS)
            self.losses.outstanding[number] = packet

    def arrive(self, number: int, now: int | None = None) -> tuple[list[int], list[int]]:
        """Late numbers, and numbers that are lost now."""
        now = 100 * MS + number * MS if now is None else now
        _, late = self.losses.acknowledged([(number, number)], now)
        return [packet.number for packet in late], [packet.number for packet in self.losses.find_lost(now)]


def test_the_packet_threshold_becomes_the_distance_that_was_seen() -> None:
    made = Detector()
    assert made.arrive(8) == ([], [0, 1, 2, 3, 4, 5])
    assert made.arrive(2)[0] == [2]
    assert made.losses.thresholds.packets == 7
    # A distance of 6 is no loss any more, of 7 it is.
    assert made.arrive(15)[1] == [6, 7]
    assert made.losses.thresholds.steps == 0


def test_the_threshold_has_a_bound() -> None:
    made = Detector()
    made.arrive(900, 100 * MS)
    made.arrive(0, 100 * MS)
    assert made.losses.thresholds.packets == MAX_PACKET_THRESHOLD


def test_what_is_late_in_order_is_no_reordering() -> None:
    made = Detector()
    made.arrive(0)
    made.losses.find_all_lost(500 * MS)
    for number in range(1, 20):
        assert made.arrive(number, 600 * MS)[0] == [number]
    assert (made.losses.thresholds.packets, made.losses.thresholds.steps) == (3, 0)


def test_the_time_threshold_grows_by_one_step_for_what_was_sent_after_the_last() -> None:
    made = Detector()
    steps = []
    for first in range(0, 800, 160):
        made.arrive(first + 10)
        # Both were found lost, and come 400 ms after they left, which is more than any threshold here.
        made.arrive(first, (first + 400) * MS)
        made.arrive(first + 1, (first + 400) * MS)
        steps.append(made.losses.thresholds.steps)
    # 160 and 320 left before the step at 400 ms, 640 before that at 880.
    assert steps == [1, 1, 1, 2, 2]


@pytest.mark.parametrize(("steps", "due_us"), [(0, 112_500), (1, 137_500), (3, 187_500), (9, 212_500)])
def test_a_step_is_a_quarter_of_the_smallest_round_trip_and_all_are_a_smoothed_one_at_most(
    steps: int, due_us: int
) -> None:
    made = Detector()
    made.losses.thresholds.steps = steps
    made.arrive(1)
    assert made.losses.loss_due_ns == due_us * 1000


def test_sixteen_recoveries_without_it_and_all_is_as_before() -> None:
    made = Detector()
    made.arrive(20)
    made.arrive(3, 500 * MS)
    for _ in range(15):
        made.losses.thresholds.recovered()
    assert (made.losses.thresholds.packets, made.losses.thresholds.steps) == (18, 1)
    made.losses.thresholds.recovered()
    assert (made.losses.thresholds.packets, made.losses.thresholds.steps) == (3, 0)


@pytest.mark.parametrize(("granularity_ns", "due_ms"), [(MS, 112.5), (500 * MS, 500)])
def test_the_time_threshold_is_never_below_the_granularity(granularity_ns: int, due_ms: float) -> None:
    """RFC 9002 6.1.2: max(9/8 of the round trip, kGranularity)."""
    made = Detector(granularity_ns)
    made.arrive(1)
    assert made.losses.loss_due_ns == int(due_ms * MS)


@pytest.mark.parametrize("late_ns", [MS, 4 * MS, 12 * MS])
def test_a_path_that_reorders_costs_a_few_mistakes_and_not_one_for_each(late_ns: int) -> None:
    """2 % of the packets are late: some 1,500 of them in 20 s."""
    fate = random_fate(3, reorder=0.02, late_ns=late_ns)
    rig = Rig(lambda flow: Recorder(flow, 150), rate_bps=50_000_000, forward=fate)
    rig.flow.write(1 << 40)
    rig.run_ms(20_000)
    assert rig.forward.count > 60_000
    assert rig.sender.lost_packets == rig.sender.spurious_losses
    assert rig.sender.spurious_losses < 60
