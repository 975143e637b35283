"""Cases 18 and 19 of the draft's appendix: recoveries from losses that were none."""

from __future__ import annotations

from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.rig import Point, Rig, Transition


def handling_spurious_fast_recovery(point: Point) -> str:
    """In ProbeBW_UP a twentieth of a window, a packet at least, is overtaken by what was sent in half a round trip."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    count = max(bbr.window_bytes // (20 * point.packet_bytes), 1)
    first = rig.sender.sent_packets
    hold_ns = point.rtt_ns // 2 + 5 * point.packet_ns
    rig.gate.hold = lambda packet: hold_ns if first <= packet.number < first + count else 0
    before, down = _undo(rig)
    assert rig.sender.timeouts == 0
    return f"{count} packets late, DOWN for {(rig.timeline.now - down.now) / point.rtt_ns:.2f} RTT, longterm {before}"


def handling_spurious_rto_recovery(point: Point) -> str:
    """In ProbeBW_UP the path holds everything back until the retransmission timer has counted it all as lost."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    rig.run(point.rtt_ns // 2)
    assert bbr.phase is State.UP
    hold_ns = 8 * rig.sender.rtt.retransmission_ns() + 200_000_000
    start_ns = rig.timeline.now
    rig.gate.hold = lambda packet: max(start_ns + hold_ns - rig.timeline.now, 0)  # noqa: ARG005
    before, down = _undo(rig)
    assert rig.sender.timeouts >= 1
    return f"{rig.sender.timeouts} timeouts, DOWN for {(rig.timeline.now - down.now) / point.rtt_ns:.2f} RTT, longterm {before}"


def _undo(rig: Rig) -> tuple[str, Transition]:
    """Run to the end of the recovery and check what was saved and what is restored."""
    bbr = rig.bbr
    count = len(rig.transitions)
    saved = (bbr.bw_shortterm, bbr.inflight_shortterm, bbr.inflight_longterm)
    rig.run(1)
    return str(saved), rig.transitions[count]
