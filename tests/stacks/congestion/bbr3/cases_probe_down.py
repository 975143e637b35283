"""Cases 8 and 9 of the draft's appendix: how ProbeBW_DOWN ends."""

from __future__ import annotations

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.cases_probe_up import lose_in_probe
from tests.stacks.congestion.bbr3.rig import Point, Rig
from transports.link import ConstantRate


def exiting_probe_down_on_inflight(point: Point) -> str:
    """Loss in ProbeBW_UP has set inflight_longterm, so that there is headroom to leave."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    rig.until(lambda: bbr.full_bw_count == 1)
    lose_in_probe(rig)
    rig.until_state(State.DOWN)
    rig.gate.drop = None
    assert bbr.pacing_gain == 90
    behind: list[bool] = []

    def before(ack: Ack, now: int) -> None:  # noqa: ARG001
        behind.append(ack.inflight_bytes > min(rig.headroom(), rig.inflight()))

    bbr.before_ack = before
    count = len(rig.transitions)
    rig.until(lambda: len(rig.transitions) > count)
    step = rig.transitions[count]
    assert (step.old, step.new, step.event) == (State.DOWN, State.CRUISE, Event.TIME_TO_CRUISE)
    assert all(behind[:-1])
    assert step.inflight_bytes <= rig.headroom(step.variables)
    assert step.inflight_bytes <= rig.inflight(step.variables)
    return f"{len(behind)} ACKs, to {step.inflight_bytes / rig.inflight(step.variables):.2f} Inflight(1.0)"


def exiting_probe_down_after_max_time(point: Point) -> str:
    """At the entry into ProbeBW_DOWN the link gets 10 % slower, which is as much slower as DOWN sends.

    It is time to probe after bw_probe_wait, or after as many rounds as there are packets in TargetInflight, 63 at most,
    if that is earlier.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    rig.until_state(State.DOWN)
    rig.port.rate = ConstantRate(point.rate_bps * 9 // 10)
    entered_ns, wait_ns = rig.timeline.now, bbr.bw_probe_wait
    assert 2_000_000_000 <= wait_ns < 3_000_000_000
    is_time: list[bool] = []
    above: list[bool] = []

    def before(ack: Ack, now: int) -> None:
        # This acknowledgement may begin a round, which counts.
        rounds = bbr.rounds_since_probe_up + (ack.prior_delivered_bytes >= bbr.next_round_delivered)
        target = min(bbr.bdp, bbr.window_bytes) / point.packet_bytes
        is_time.append(now > entered_ns + wait_ns or rounds >= min(target, 63))
        above.append(ack.inflight_bytes > min(rig.headroom(), rig.inflight()))

    bbr.before_ack = before
    count = len(rig.transitions)
    rig.until(lambda: len(rig.transitions) > count)
    step = rig.transitions[count]
    assert (step.old, step.new, step.event) == (State.DOWN, State.REFILL, Event.TIME_TO_PROBE_BW)
    assert not any(is_time[:-1])
    assert is_time[-1]
    assert all(above[:-1])
    return f"after {(step.now - entered_ns) / 1e9:.3f} s of {wait_ns / 1e9:.3f} s, {step.variables['rounds_since_probe_up']} rounds"
