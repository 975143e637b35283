"""Cases 10 and 11 of the draft's appendix: ProbeRTT, and how idleness takes its place."""

from __future__ import annotations

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.path import SECOND_NS
from tests.stacks.congestion.bbr3.rig import PROBE_RTT_INTERVAL_NS, Point, Rig


def entering_and_exiting_probe_rtt(point: Point) -> str:
    """A bulk flow in ProbeBW; it pauses for most of the interval, without which 10 Gbit/s would take 5 s of traffic."""
    rig = Rig(point)
    bbr = rig.bbr
    reach_cruise(rig)
    stamps = [0, 0]

    def before(ack: Ack, now: int) -> None:
        stamps[:] = bbr.probe_rtt_min_stamp, bbr.window_bytes

    bbr.before_ack = before
    entry = rig.wait_for_probe_rtt()
    assert entry.event is Event.PROBE_RTT_EXPIRED
    assert entry.now > stamps[0] + PROBE_RTT_INTERVAL_NS
    assert (bbr.pacing_gain, bbr.cwnd_gain) == (100, 50)
    cap = max(bbr.bdp // 2, 4 * point.packet_bytes)
    assert bbr.window_bytes <= cap
    # What it sends says nothing of the bandwidth.
    assert rig.delivery.app_limited == rig.delivery.delivered_bytes + rig.delivery.inflight_bytes
    if rig.delivery.inflight_bytes > cap:
        rig.until(lambda: rig.delivery.inflight_bytes <= cap)
    low_ns, low_round = rig.timeline.now, bbr.round_count
    step = rig.until_state(State.DOWN, rounds=SECOND_NS // point.rtt_ns + 10)
    assert (step.old, step.event) == (State.PROBE_RTT, Event.PROBE_RTT_DONE)
    held_ns, rounds = step.now - low_ns, step.variables["round_count"] - low_round
    assert held_ns >= 200_000_000
    assert rounds >= 1
    assert bbr.full_bw_reached
    # As an optimisation (5.3.4.4) DOWN lasts no time.
    assert rig.transitions[-1].new is State.CRUISE
    assert rig.transitions[-1].now == step.now
    delivered = rig.delivery.delivered_bytes
    now = rig.timeline.now
    rig.run(max(4 * point.rtt_ns, 10 * point.packet_ns))
    resumed_bps = (rig.delivery.delivered_bytes - delivered) * 8 * SECOND_NS / (rig.timeline.now - now)
    assert resumed_bps > 0.7 * point.rate_bps
    return f"{held_ns / 1e6:.0f} ms and {rounds} rounds at {cap / point.bdp_bytes:.2f} BDP"


def skipping_probe_rtt_due_to_application_limited_sending(point: Point) -> str:
    """The application pauses in ProbeBW_CRUISE until 6 s after inflight is 0, then has plenty for ten rounds or 4 s."""
    rig = Rig(point)
    bbr = rig.bbr
    reach_cruise(rig)
    rig.pause()
    rig.drain()
    assert rig.delivery.inflight_bytes == 0
    rig.run(6 * SECOND_NS)
    assert rig.timeline.now > bbr.probe_rtt_min_stamp + PROBE_RTT_INTERVAL_NS
    assert not bbr.idle_restart
    count = len(rig.transitions)
    rig.bulk()
    assert bbr.idle_restart
    assert bbr.rate_bps == bbr.bw * 99 // 100
    expired: list[bool] = []
    rig.on_ack = lambda ack, now: expired.append(bbr.probe_rtt_expired)
    rig.until(lambda: True)
    assert expired == [True]
    assert not bbr.idle_restart
    resumed_ns = rig.timeline.now
    rig.run(min(10 * point.rtt_ns, 4 * SECOND_NS))
    assert not any(expired[1:])
    assert all(step.new is not State.PROBE_RTT for step in rig.transitions[count:])
    return f"no ProbeRTT for {(rig.timeline.now - resumed_ns) / 1e9:.3f} s"


def reach_cruise(rig: Rig) -> None:
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
