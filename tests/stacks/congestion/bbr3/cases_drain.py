"""Cases 3 and 4 of the draft's appendix: how Drain ends."""

from __future__ import annotations

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.rig import PROBE_RTT_INTERVAL_NS, Point, Rig
from transports.link import ConstantRate


def exiting_drain_based_on_inflight(point: Point) -> str:
    """A bulk flow; where Startup takes longer than ProbeRTTInterval, it pauses once on the way (see `reach_drain`)."""
    rig = Rig(point)
    bbr = rig.bbr
    reach_drain(rig)
    if bbr.phase is not State.DRAIN:
        # A quantum of a millisecond is more than the BDP: Inflight(1.0) is above what is in flight at once.
        step = next(step for step in rig.transitions if step.old is State.DRAIN)
        assert step.variables["pacing_gain"] == 50
        assert step.inflight_bytes <= rig.inflight(step.variables) == step.variables["offload_budget"]
        return "at once"
    assert bbr.pacing_gain == 50
    assert bbr.rate_bps == bbr.bw * 50 * 99 // 10_000
    behind: list[bool] = []

    def before(ack: Ack, now: int) -> None:
        behind.append(ack.inflight_bytes > rig.inflight())

    bbr.before_ack = before
    step = rig.until_state(State.DOWN)
    assert (step.old, step.event) == (State.DRAIN, Event.DRAINED)
    assert all(behind[:-1])
    assert not behind[-1]
    assert step.inflight_bytes <= rig.inflight(step.variables)
    assert step.variables["round_count"] <= bbr.drain_start_round + 3
    rounds = step.variables["round_count"] - bbr.drain_start_round
    return f"{len(behind)} ACKs, {rounds} rounds, {step.inflight_bytes / point.bdp_bytes:.2f} BDP"


def exiting_drain_based_on_time(point: Point) -> str:
    """At the entry into Drain the link gets 10 % slower.

    That alone does not hold inflight up, since Drain sends at half the rate: as in the draft's reason for the rule, a
    competing flow takes 40 % of the link at the same time.

    Each of the four rounds takes as long as what is in flight takes at the half of the link that is left, the first
    one all of it. Where that is more than what is left of ProbeRTTInterval, ProbeRTT comes first, from which BBR goes
    to ProbeBW as well.
    """
    rig = Rig(point)
    bbr = rig.bbr
    reach_drain(rig)
    rig.port.rate = ConstantRate(point.rate_bps * 9 // 10)
    rig.cross.start(point.rate_bps * 2 // 5)
    entered_ns, left_ns = rig.timeline.now, bbr.probe_rtt_min_stamp + PROBE_RTT_INTERVAL_NS - rig.timeline.now
    entered_bytes = rig.delivery.inflight_bytes
    rounds: list[tuple[int, bool]] = []

    def before(ack: Ack, now: int) -> None:
        rounds.append((bbr.round_count - bbr.drain_start_round, ack.inflight_bytes > rig.inflight()))

    bbr.before_ack = before
    count = len(rig.transitions)
    rig.until(lambda: bbr.phase is not State.DRAIN)
    step = rig.transitions[count]
    assert all(is_above for _, is_above in rounds)
    if step.event is Event.PROBE_RTT_EXPIRED:
        assert (entered_bytes + 3 * step.inflight_bytes) * 8_000_000_000 // (point.rate_bps // 2) > left_ns
        assert step.variables["round_count"] - bbr.drain_start_round <= 3
        assert rig.until_state(State.DOWN).old is State.PROBE_RTT
        return "ProbeRTT first"
    assert (step.new, step.event) == (State.DOWN, Event.DRAINED)
    assert step.variables["round_count"] == bbr.drain_start_round + 4
    assert step.inflight_bytes > rig.inflight(step.variables)
    above = step.inflight_bytes / rig.inflight(step.variables)
    return f"4 rounds, {(step.now - entered_ns) / 1e6:.1f} ms, {above:.2f} Inflight(1.0)"


def reach_drain(rig: Rig) -> None:
    """Run to Drain, with ProbeRTTInterval as far ahead as can be.

    Where three flat rounds take longer than that, the application pauses before the last of them for longer than the
    interval: the restart from idle counts as a ProbeRTT (5.4.1).
    """
    bbr = rig.bbr
    rig.bulk()
    if 4 * rig.point.rtt_ns > PROBE_RTT_INTERVAL_NS // 2:
        rig.until(lambda: bbr.full_bw_count == 2)
        rig.idle(PROBE_RTT_INTERVAL_NS)
    rig.until_state(State.DRAIN)
