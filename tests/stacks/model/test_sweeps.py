"""Whatever the path does, everything that was written arrives, and the books balance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stacks.model.rig import MS, PACKET, SECOND, Rig, random_fate

CONTROLLERS = ["reno", "cubic", "bbr1"]


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("loss", [0.001, 0.01, 0.05, 0.2, 0.4])
def test_everything_arrives_whatever_is_lost(controller: str, loss: float) -> None:
    rig = Rig(controller, forward=random_fate(1, loss=loss))
    rig.transfer(200 * PACKET, within_s=200)
    assert rig.receiver.goodput_bytes == 200 * PACKET
    assert rig.receiver.delivered_segments == 200
    # Each packet that was found lost was, but for what a timeout gives up.
    if not rig.sender.timeouts:
        assert rig.sender.lost_packets == len(rig.sent) - rig.receiver.received_packets
        assert rig.sender.spurious_losses == 0


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("loss", [0.01, 0.2])
def test_everything_arrives_when_both_ways_lose(controller: str, loss: float) -> None:
    rig = Rig(controller, forward=random_fate(2, loss=loss), backward=random_fate(3, loss=loss))
    rig.transfer(200 * PACKET, within_s=200)
    assert rig.receiver.goodput_bytes == 200 * PACKET


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize(("reorder", "late_ns"), [(0.01, MS), (0.1, 5 * MS), (0.3, 30 * MS)])
def test_reordering_loses_nothing_for_good(controller: str, reorder: float, late_ns: int) -> None:
    rig = Rig(controller, forward=random_fate(4, reorder=reorder, late_ns=late_ns))
    rig.transfer(500 * PACKET, within_s=30)
    assert rig.receiver.goodput_bytes == 500 * PACKET
    # Nothing was lost, so each loss that was found turned out to be none.
    rig.run_ms(1000)
    assert rig.sender.spurious_losses == rig.sender.lost_packets


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_doubled_packets_change_nothing(controller: str) -> None:
    rig = Rig(controller, forward=random_fate(5, duplicate=0.2), backward=random_fate(6, duplicate=0.2))
    rig.transfer(500 * PACKET, within_s=10)
    assert rig.sender.lost_packets == rig.sender.retransmitted_packets == rig.sender.timeouts == 0
    assert rig.sender.sent_packets == 500


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_black_out_is_survived(controller: str) -> None:
    def fate(index: int, packet: object) -> list[int]:
        return [] if SECOND < rig.timeline.now < 6 * SECOND else [0]

    rig = Rig(controller, forward=fate, backward=fate)
    duration = rig.transfer(2000 * PACKET, within_s=30)
    # 2.4 s of sending and 5 s of silence; the timer that doubles may miss the end of it by as much again.
    assert duration < 14 * SECOND


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_two_runs_are_the_same(controller: str) -> None:
    def run() -> list[tuple[int, int]]:
        rig = Rig(controller, forward=random_fate(7, loss=0.03, reorder=0.1, late_ns=9 * MS))
        rig.transfer(300 * PACKET, within_s=60)
        return [(packet.sent_ns, packet.segment) for packet in rig.sent]

    assert run() == run()


FATES = st.lists(st.sampled_from(["fine", "fine", "fine", "fine", "lost", "twice", "late", "later"]), max_size=120)
DELAYS = {"fine": [0], "lost": [], "twice": [0, 3 * MS], "late": [4 * MS], "later": [300 * MS]}


@given(
    controller=st.sampled_from(CONTROLLERS),
    forward=FATES,
    backward=FATES,
    writes=st.lists(st.tuples(st.integers(1, 40 * PACKET), st.integers(0, 400)), min_size=1, max_size=4),
    queue=st.integers(2, 60),
)
def test_any_pattern_of_fates(
    controller: str, forward: list[str], backward: list[str], writes: list[tuple[int, int]], queue: int
) -> None:
    """Any fate for the first packets each way, short queues, pauses: it ends, and the counts are right on the way."""

    def fates(pattern: list[str]):  # type: ignore[no-untyped-def]
        return lambda index, _packet: DELAYS[pattern[index]] if index < len(pattern) else [0]

    rig = Rig(controller, forward=fates(forward), backward=fates(backward), limit_packets=queue)
    sender, delivery = rig.sender, rig.delivery
    for length, pause_ms in writes:
        rig.flow.write(length)
        rig.run_ms(pause_ms)
    limit_ns = rig.timeline.now + 400 * SECOND
    while not sender.is_done:
        rig.run_ms(10)
        in_flight = sum(packet.size_bytes for packet in sender.losses.outstanding.values())
        assert delivery.inflight_bytes == in_flight >= 0
        # Never stuck: while there is something to do, there is a time at which it will be done.
        assert sender.is_done or sender.poll_deadline() is not None
        assert rig.timeline.now < limit_ns, rig.describe()
    written = sum(length for length, _ in writes)
    assert rig.receiver.goodput_bytes == written
    assert delivery.inflight_bytes == 0
    assert delivery.delivered_bytes + delivery.lost_bytes >= sender.sent_bytes
