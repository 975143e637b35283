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
    reach_down(rig)
    behind: list[bool] = []

    def before(ack: Ack, now: int) -> None:
        behind.append(ack.inflight_bytes > min(rig.headroom(), rig.inflight()))

    bbr.before_ack = before
    step = next((step for step in rig.transitions if step.new is State.CRUISE and step.now == rig.timeline.now), None)
    # With four packets or fewer in flight, the acknowledgement that finds the loss also finds the queue drained.
    step = step or rig.until_state(State.CRUISE)
    assert (step.old, step.event) == (State.DOWN, Event.TIME_TO_CRUISE)
    assert step.variables["pacing_gain"] == 90
    assert all(behind[:-1])
    assert step.inflight_bytes <= rig.headroom(step.variables)
    assert step.inflight_bytes <= rig.inflight(step.variables)
    return f"{len(behind)} ACKs, to {step.inflight_bytes / rig.inflight(step.variables):.2f} Inflight(1.0)"


def exiting_probe_down_after_max_time(point: Point) -> str:
    """At the entry into ProbeBW_DOWN the link gets 10 % slower, and 1 %, so that it is as fast as DOWN sends.

    With 10 % alone, the pacing margin of 1 % drains 1 % of a BDP a round, and at 1 ms the 62 or 63 rounds to the next
    probe are enough for that. It is time to probe after bw_probe_wait, or after as many rounds as there are packets in
    TargetInflight, 63 at most, if that is earlier.

    At a round trip of 1 s, ProbeRTT comes before: refilling, three rounds of ProbeBW_UP and two seconds of waiting are
    more than its interval, however fresh min_rtt was.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    assert rig.until_state(State.DOWN).event is Event.TIME_TO_GO_DOWN
    rig.port.rate = ConstantRate(point.rate_bps * 891 // 1000)
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
    assert all(above)
    assert not any(is_time[:-1])
    if step.event is Event.PROBE_RTT_EXPIRED:
        assert point.is_long
        left_ns = entered_ns + wait_ns - step.now
        return f"ProbeRTT {left_ns / 1e9:.3f} s before the wait of {wait_ns / 1e9:.3f} s is over"
    assert (step.old, step.new, step.event) == (State.DOWN, State.REFILL, Event.TIME_TO_PROBE_BW)
    assert is_time[-1]
    rounds = step.variables["rounds_since_probe_up"]
    return f"after {(step.now - entered_ns) / 1e9:.3f} s of {wait_ns / 1e9:.3f} s, {rounds} rounds"


def reach_down(rig: Rig) -> None:
    """Run to ProbeBW_DOWN, which loss of what was sent first in ProbeBW_UP begins."""
    rig.reach_up()
    lose_in_probe(rig)
    assert rig.until_state(State.DOWN).event is Event.INFLIGHT_TOO_HIGH
    rig.gate.drop = None
