"""BBRv1 in a flow: phases, gains, rounds and windows as tcp_bbr.c has them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.congestion import Ack, Bbr1
from stacks.congestion.bbr1.minmax import WindowedMax
from stacks.runtime import LocalError
from tests.stacks.congestion.told import MS, SECOND, flow, lose
from tests.stacks.model.rig import Rig

MBIT = 1_000_000


def bulk(**options: Any) -> tuple[Rig, Bbr1]:
    rig = Rig("bbr1", **options)
    rig.flow.write(1 << 40)
    assert isinstance(rig.controller, Bbr1)
    return rig, rig.controller


def until(rig: Rig, state: str, *, within_s: int = 60) -> None:
    limit_ns = rig.timeline.now + within_s * SECOND
    while rig.controller.state != state:
        rig.run_ms(1)
        assert rig.timeline.now < limit_ns


def test_it_refuses_a_flow_without_delivery_totals() -> None:
    with pytest.raises(LocalError, match="Delivery"):
        Bbr1(flow())


def test_the_first_rate_is_the_high_gain_over_a_millisecond_and_then_over_the_round_trip() -> None:
    bbr = Bbr1(flow(with_delivery=True))
    # 739/256 of 10 packets of 1000 bytes each millisecond, less 1 %.
    assert abs(bbr.pacing_rate - 739 / 256 * 10_000_000 * 0.99) < 10_000
    rig, bbr = bulk()
    rig.run_ms(45)  # one acknowledgement after 41.2 ms
    assert bbr.has_seen_rtt
    assert bbr.pacing_rate < 739 / 256 * 0.99 * 15 * 1500 / 0.04


def test_startup_ends_after_three_rounds_without_a_quarter_more() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    history = []  # (round, full_bw_cnt, bandwidth) as they change
    while bbr.state == "STARTUP":
        rig.run_ms(1)
        if not history or history[-1][0] != bbr.rtt_cnt:
            history.append((bbr.rtt_cnt, bbr.full_bw_cnt, bbr.max_bw.best))
        assert (bbr.pacing_gain, bbr.cwnd_gain) == (739, 739) or bbr.state == "DRAIN"
    plateau = [entry for entry in history if entry[1]]
    assert [count for _, count, _ in plateau] in ([1, 2], [1, 2, 3])
    for (_, _, earlier), (_, _, later) in itertools.pairwise(history[1:-3]):
        assert later >= 1.25 * earlier
    assert bbr.full_bw_reached
    assert abs(bbr.variables()["bw"] * 8 / (20 * MBIT) - 1) < 0.01


def test_drain_lasts_until_no_more_than_the_bdp_is_in_flight() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    until(rig, "DRAIN")
    assert (bbr.pacing_gain, bbr.cwnd_gain) == (88, 739)
    assert rig.port.queue.backlog_packets > 20
    until(rig, "PROBE_BW")
    bdp_packets = bbr.max_bw.best * bbr.min_rtt_us >> 24
    # What will have arrived when the pacer lets the next burst go, at 88/256 of the bandwidth, counts as gone.
    waiting = bbr.tso_segs_goal * 256 // 88 + 1
    assert rig.delivery.inflight_bytes // 1500 <= bdp_packets + 3 * bbr.tso_segs_goal + 2 + waiting


def phases(rig: Rig, bbr: Bbr1, duration_ms: int) -> list[tuple[int, int, int]]:
    """(index, pacing gain, duration in ms) of each complete phase of the gain cycle."""
    seen: list[tuple[int, int, int]] = []
    index, gain, start = bbr.cycle_idx, bbr.pacing_gain, rig.timeline.now
    end = rig.timeline.now + duration_ms * MS
    while rig.timeline.now < end:
        rig.run_ms(1)
        if bbr.cycle_idx != index:
            seen.append((index, gain, (rig.timeline.now - start) // MS))
            index, gain, start = bbr.cycle_idx, bbr.pacing_gain, rig.timeline.now
        assert bbr.state == "PROBE_BW"
        assert bbr.cwnd_gain == 512
    return seen[1:]


def test_the_gain_cycle_is_five_quarters_three_quarters_and_six_times_one() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    until(rig, "PROBE_BW")
    seen = phases(rig, bbr, 6000)
    assert len(seen) > 100
    gains = {0: 320, 1: 192} | dict.fromkeys(range(2, 8), 256)
    for (index, gain, duration), (following, _, _) in itertools.pairwise(seen):
        assert gain == gains[index]
        assert following == (index + 1) % 8
        # A min_rtt of 41 ms each; less while draining, if the queue is gone before; more while 5/4 are not in flight.
        assert duration <= (80 if gain == 320 else 44)
        assert duration >= (40 if gain != 192 else 1)


def test_the_cycle_starts_anywhere_but_where_it_drains() -> None:
    starts = set()
    for seed in range(40):
        rig, bbr = bulk(rate_bps=20 * MBIT, seed=seed)
        until(rig, "PROBE_BW")
        starts.add(bbr.cycle_idx)
    assert starts == {0, 2, 3, 4, 5, 6, 7}


def test_probe_rtt_comes_every_ten_seconds_for_200_ms_and_a_round() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT, delay_ns=20 * MS)
    entered, left = [], []
    was = ""
    while len(left) < 4:
        rig.run_ms(1)
        if bbr.state != was:
            if bbr.state == "PROBE_RTT":
                entered.append(rig.timeline.now)
            elif was == "PROBE_RTT":
                left.append(rig.timeline.now)
            was = bbr.state
        if bbr.state == "PROBE_RTT":
            assert bbr.cwnd <= 4
            assert (bbr.pacing_gain, bbr.cwnd_gain) == (256, 256)
    for start, end in zip(entered, left, strict=True):
        # The flight falls in a round trip; then 200 ms and a packet-timed round, the next of which may be running.
        assert 200 * MS <= end - start <= 200 * MS + 4 * 41 * MS
    for earlier, later in zip(left, entered[1:], strict=False):
        # A sample that is no larger than the minimum puts it off: the queue is empty now and then.
        assert later - earlier >= 10 * SECOND
        assert later - earlier <= 10.5 * SECOND
    assert 40_000 <= bbr.min_rtt_us <= 41_300


def test_the_window_before_probe_rtt_is_the_window_after() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    until(rig, "PROBE_BW")
    rig.run_ms(1000)
    before = bbr.cwnd
    until(rig, "PROBE_RTT")
    while bbr.state == "PROBE_RTT":
        rig.run_ms(1)
    rig.run_ms(50)
    assert bbr.cwnd >= before - 4


def test_after_a_pause_it_paces_at_the_bandwidth_and_probes_no_rtt() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    until(rig, "PROBE_BW")
    rig.run_ms(1000)
    rig.sender.unsent_bytes = 0
    rig.run_ms(12_000)
    assert rig.sender.is_done
    rig.flow.write(1 << 40)
    assert bbr.idle_restart
    assert abs(bbr.rate_bps / (20 * MBIT) - 0.99) < 0.01
    rig.run_ms(50)
    assert not bbr.idle_restart
    assert bbr.state == "PROBE_BW"  # though 10 s have passed
    assert rig.port.queue.dropped_packets == 0


def test_recovery_begins_with_packet_conservation_and_restores_the_window() -> None:
    lost = []

    def fate(index: int, packet: Any) -> list[int]:
        if index > 1650 and len(lost) < 3:
            lost.append(packet)
            return []
        return [0]

    rig, bbr = bulk(rate_bps=20 * MBIT, forward=fate)
    rig.run_ms(900)
    before = bbr.cwnd
    while not bbr.packet_conservation:
        rig.run_ms(1)
        assert rig.timeline.now < 2 * SECOND
    assert bbr.prior_cwnd == before
    in_flight = -(-rig.delivery.inflight_bytes // 1500)
    assert in_flight - 4 <= bbr.cwnd <= in_flight + 4
    rig.run_ms(100)
    assert not bbr.packet_conservation
    assert bbr.cwnd >= before - 4


def test_a_timeout_leaves_one_packet_and_an_undo_looks_for_the_pipe_anew() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    until(rig, "PROBE_BW")
    before = bbr.cwnd
    rig.sender.losses.find_all_lost(rig.timeline.now)
    lose(bbr, rig.timeline.now, is_timeout=True)
    assert bbr.cwnd == 1
    assert bbr.prior_cwnd == before
    assert bbr.full_bw == 0
    bbr.handle_spurious_loss(rig.timeline.now)
    told = Ack(1500, 0)
    told.acked_packets = 1
    bbr.handle_ack(told, rig.timeline.now)
    assert bbr.cwnd >= before - 4


def test_acknowledgements_that_come_in_bursts_make_room() -> None:
    """Every acknowledgement waits for the next fiftieth of a second: cwnd has room for what comes at once."""

    def fate(index: int, packet: Any) -> list[int]:
        return [-rig.timeline.now % (20 * MS)]

    rig, bbr = bulk(rate_bps=20 * MBIT, backward=fate)
    until(rig, "PROBE_BW")
    rig.run_ms(2000)
    # 20 ms of 20 Mbit/s are 33 packets of 1500 bytes.
    assert 25 <= bbr.variables()["extra_acked"] <= 45
    rig.run_ms(1000)
    busy, now = rig.port.busy_ns, rig.timeline.now
    rig.run_ms(3000)
    assert rig.port.busy_ns - busy > 0.95 * (rig.timeline.now - now)


def test_variables_are_those_of_tcp_cc_info() -> None:
    rig, bbr = bulk(rate_bps=20 * MBIT)
    until(rig, "PROBE_BW")
    shown = bbr.variables()
    assert abs(shown["bw"] * 8 - 20 * MBIT) < 0.01 * 20 * MBIT  # bytes per second
    assert shown["min_rtt"] == 41_200  # two ways of 20 ms, and 0.6 for each of the two packets that are acknowledged
    assert shown["pacing_gain"] in (320, 192, 256, 88)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1000)), min_size=1, max_size=100), st.integers(2, 12))
def test_the_windowed_maximum_is_a_recent_sample_and_as_large_as_any_since(
    steps: list[tuple[int, int]], window: int
) -> None:
    """lib/win_minmax.c: the best is no older than the window and nothing that came after it was larger."""
    filtered = WindowedMax(window)
    time = 0
    samples: list[tuple[int, int]] = []
    for step, value in steps:
        time += step
        samples.append((time, value))
        filtered.update(time, value)
        recent = [old for at, old in samples if time - at <= window]
        assert filtered.best in recent
        assert filtered.best >= value
        newest_of_best = max(number for number, (_, old) in enumerate(samples) if old == filtered.best)
        assert all(old <= filtered.best for _, old in samples[newest_of_best:])


def test_two_flows_with_one_seed_are_the_same_and_with_two_are_not() -> None:
    def run(seed: int) -> list[int]:
        rig, _ = bulk(rate_bps=20 * MBIT, seed=seed)
        rig.run_ms(3000)
        return [packet.sent_ns for packet in rig.sent]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_of_the_generator_only_random_is_drawn() -> None:
    class Only:
        drawn = 0

        def random(self) -> float:
            self.drawn += 1
            return 0.999

    rig, bbr = bulk(rate_bps=20 * MBIT)
    odd: Any = Only()
    bbr.rng = odd
    until(rig, "PROBE_BW")
    assert odd.drawn == 1
    assert bbr.cycle_idx == 2  # 7 - 6, and one on: the phase after the one that drains
