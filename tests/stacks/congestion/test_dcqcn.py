"""DCQCN's reaction point against the laws of the paper (SIGCOMM 2015, section 3.1 and figure 7)."""

from __future__ import annotations

import pytest

from stacks.congestion import ALPHA_ONE, CONTROLLERS, PRESETS, Dcqcn, DcqcnParameters, Flow, controller_factory
from stacks.runtime import LocalError

MBPS, GBPS = 1_000_000, 1_000_000_000
LINE = 40 * GBPS
FLOW = Flow(line_rate_bps=LINE, packet_bytes=1024)
PERIOD = 55_000


def near(value: float, expected: float, within: float = 1e-6) -> bool:
    return abs(value - expected) <= within * expected


def test_a_flow_starts_at_line_rate_and_nothing_runs_before_its_first_cnp() -> None:
    """Section 3.1: there is no slow start."""
    dcqcn = Dcqcn(FLOW)
    assert (dcqcn.rate_bps, dcqcn.poll_deadline(), dcqcn.window_bytes) == (LINE, None, None)
    dcqcn.handle_sent(1 << 30, 10**9)
    dcqcn.handle_timeout(10**12)
    assert (dcqcn.rate_bps, dcqcn.alpha, dcqcn.is_limiting) == (LINE, ALPHA_ONE, False)


def test_a_cnp_cuts_by_half_of_alpha_and_remembers_where_it_was() -> None:
    """Equation 1."""
    dcqcn = Dcqcn(FLOW, DcqcnParameters(initial_alpha_1024=512))
    dcqcn.handle_notification(1000)
    assert dcqcn.target_bps == LINE
    assert dcqcn.rate_bps == LINE * 3 // 4
    assert near(dcqcn.alpha / ALPHA_ONE, 0.5 * 255 / 256 + 1 / 256)


def test_alpha_decays_by_a_factor_of_255_256_a_period_without_cnp() -> None:
    """Equation 2: alpha(n) = alpha(0) * (1 - g)^n."""
    dcqcn = Dcqcn(FLOW)
    dcqcn.handle_notification(0)
    for periods in (1, 2, 10, 100, 1000):
        dcqcn.handle_timeout(periods * PERIOD)
        assert near(dcqcn.alpha / ALPHA_ONE, (255 / 256) ** periods, 1e-4)


def test_a_cnp_restarts_the_alpha_timer() -> None:
    dcqcn = Dcqcn(FLOW)
    dcqcn.handle_notification(0)
    dcqcn.handle_notification(50_000)
    dcqcn.handle_timeout(100_000)
    assert dcqcn.alpha == ALPHA_ONE
    dcqcn.handle_timeout(105_000)
    assert dcqcn.alpha < ALPHA_ONE


def test_alpha_under_steady_cnps_settles_where_gain_and_decay_balance() -> None:
    """A CNP at the end of every second period: two decays and (1-g) alpha + g, whose fixed point is g/(1-(1-g)^3)."""
    dcqcn = Dcqcn(FLOW)
    for number in range(3000):
        dcqcn.handle_notification(number * 2 * PERIOD)
    g = 1 / 256
    assert near(dcqcn.alpha / ALPHA_ONE, g / (1 - (1 - g) ** 3), 1e-3)


def test_fast_recovery_halves_the_distance_to_the_target_five_times() -> None:
    """F = 5."""
    dcqcn = Dcqcn(FLOW)
    dcqcn.handle_notification(0)
    for step in range(1, 6):
        dcqcn.handle_timeout(step * PERIOD)
        assert dcqcn.target_bps == LINE
        assert near(LINE - dcqcn.rate_bps, LINE / 2 ** (step + 1))


def stages_after(dcqcn: Dcqcn, *, timers: int, counters: int) -> tuple[int, int]:
    """Timer expiries, then byte counter expiries at that moment."""
    now = timers * PERIOD
    dcqcn.handle_timeout(now)
    for _ in range(counters):
        dcqcn.handle_sent(10_000_000, now)
    return dcqcn.timer_stage, dcqcn.byte_stage


def limited() -> Dcqcn:
    """A flow far below line rate, whose target is its rate."""
    dcqcn = Dcqcn(FLOW)
    dcqcn.handle_notification(0)
    dcqcn.handle_notification(0)
    dcqcn.handle_notification(0)
    return dcqcn


@pytest.mark.parametrize(("timers", "counters"), [(6, 0), (0, 6), (6, 5), (5, 6), (6, 4)])
def test_additive_increase_raises_the_target_once_either_stage_is_past_f(timers: int, counters: int) -> None:
    dcqcn = limited()
    target = dcqcn.target_bps
    assert stages_after(dcqcn, timers=timers, counters=counters) == (timers, counters)
    additive = (timers > 5) * 1 + counters if timers > 5 else max(0, counters - 5)
    assert dcqcn.target_bps == target + additive * 40 * MBPS


def test_hyper_increase_begins_when_both_stages_are_past_f() -> None:
    """Figure 7: min(T, BC) > F."""
    dcqcn = limited()
    stages_after(dcqcn, timers=6, counters=5)
    target = dcqcn.target_bps
    dcqcn.handle_sent(10_000_000, 6 * PERIOD)
    assert dcqcn.target_bps == target + 400 * MBPS
    dcqcn.handle_timeout(7 * PERIOD)
    assert dcqcn.target_bps == target + 800 * MBPS


def test_without_a_byte_counter_one_additive_step_comes_before_hyper_increase() -> None:
    """As in the HPCC authors' ns-3 model, which has only the timer."""
    dcqcn = Dcqcn(FLOW, DcqcnParameters(byte_counter_bytes=0, hyper_bps=400 * MBPS))
    for _ in range(3):
        dcqcn.handle_notification(0)
    target = dcqcn.target_bps
    dcqcn.handle_timeout(5 * PERIOD)
    assert dcqcn.target_bps == target
    dcqcn.handle_timeout(6 * PERIOD)
    assert dcqcn.target_bps == target + 40 * MBPS
    dcqcn.handle_timeout(7 * PERIOD)
    assert dcqcn.target_bps == target + 440 * MBPS


def test_a_cnp_sends_both_stages_and_the_counted_bytes_back_to_zero() -> None:
    dcqcn = limited()
    stages_after(dcqcn, timers=7, counters=7)
    dcqcn.handle_sent(9_999_999, 7 * PERIOD)
    dcqcn.handle_notification(7 * PERIOD)
    assert (dcqcn.timer_stage, dcqcn.byte_stage) == (0, 0)
    dcqcn.handle_sent(1, 7 * PERIOD)
    assert dcqcn.byte_stage == 0


def test_the_rate_never_falls_below_the_minimum_nor_rises_above_the_line() -> None:
    dcqcn = Dcqcn(FLOW, DcqcnParameters(minimum_bps=100 * MBPS))
    for _ in range(50):
        dcqcn.handle_notification(0)
    assert dcqcn.rate_bps == 100 * MBPS
    dcqcn.handle_timeout(10**10)
    assert dcqcn.rate_bps == dcqcn.target_bps == LINE


def test_back_at_line_rate_with_nothing_left_of_alpha_the_timers_stop() -> None:
    dcqcn = Dcqcn(FLOW)
    dcqcn.handle_notification(0)
    dcqcn.handle_timeout(10**10)
    assert (dcqcn.alpha, dcqcn.rate_bps, dcqcn.poll_deadline(), dcqcn.is_limiting) == (0, LINE, None, False)
    dcqcn.handle_notification(2 * 10**10)
    assert dcqcn.alpha == ALPHA_ONE // 256
    assert dcqcn.poll_deadline() == 2 * 10**10 + PERIOD


def test_calling_late_has_the_outcome_of_calling_on_time() -> None:
    late, prompt = limited(), limited()
    while (deadline := prompt.poll_deadline()) is not None and deadline <= 90 * PERIOD:
        prompt.handle_timeout(deadline)
    late.handle_timeout(90 * PERIOD)
    assert (late.rate_bps, late.target_bps, late.alpha) == (prompt.rate_bps, prompt.target_bps, prompt.alpha)


def test_cnps_within_a_decrease_period_make_one_cut_at_its_end() -> None:
    """NVIDIA's rate decrease period."""
    dcqcn = Dcqcn(FLOW, DcqcnParameters(decrease_period_ns=4_000))
    dcqcn.handle_notification(0)
    for now in (1000, 2000, 3000):
        dcqcn.handle_notification(now)
    assert dcqcn.rate_bps == LINE // 2
    assert dcqcn.poll_deadline() == 4_000
    dcqcn.handle_timeout(4_000)
    assert dcqcn.rate_bps == LINE // 4
    dcqcn.handle_timeout(8_000)
    assert dcqcn.rate_bps == LINE // 4
    dcqcn.handle_notification(9_000)
    assert dcqcn.rate_bps == LINE // 8


@pytest.mark.parametrize(
    "wrong", [{"g_1024": 0}, {"g_1024": 1025}, {"minimum_bps": 0}, {"alpha_period_ns": 0}, {"byte_counter_bytes": -1}]
)
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalError, match="DCQCN"):
        DcqcnParameters(**wrong)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_controller_of_its_name_that_recovers(preset: str) -> None:
    dcqcn = controller_factory(f"dcqcn-{preset}")(FLOW)
    assert isinstance(dcqcn, Dcqcn)
    assert dcqcn.parameters == PRESETS[preset](LINE)
    for now in range(0, 500_000, 50_000):
        dcqcn.handle_notification(now)
    assert dcqcn.rate_bps < LINE // 4
    dcqcn.handle_timeout(20 * 10**9)
    assert dcqcn.rate_bps == LINE


def test_increments_of_the_scaled_presets_follow_the_line_rate() -> None:
    """run.py: AI = 5 Mbit/s and HAI = 50 Mbit/s for each 25 Gbit/s."""
    for preset in ("nvidia", "hpcc-paper", "hpcc-vendor"):
        parameters = PRESETS[preset](100 * GBPS)
        assert (parameters.additive_bps, parameters.hyper_bps) == (20 * MBPS, 200 * MBPS)


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(LocalError, match="there are: .*dcqcn, dcqcn-paper"):
        controller_factory("vegas")
    assert "dcqcn" in CONTROLLERS
