"""Cases 18 and 19 of the draft's appendix: recoveries from losses that were none."""

from __future__ import annotations

from stacks.congestion import Loss
from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.rig import Point, Rig, Transition

SAVED = (
    ("undo_bw_shortterm", "bw_shortterm"),
    ("undo_inflight_shortterm", "inflight_shortterm"),
    ("undo_inflight_longterm", "inflight_longterm"),
)


class Watch:
    """Notes the window before a recovery, and when one is found spurious."""

    def __init__(self, rig: Rig) -> None:
        self.window = 0
        self.is_undone = False
        self._rig = rig
        self._handle_loss, self._handle_spurious = rig.bbr.handle_loss, rig.bbr.handle_spurious_loss
        rig.sender.controller.handle_loss = self._loss  # type: ignore[method-assign]
        rig.sender.controller.handle_spurious_loss = self._spurious  # type: ignore[method-assign]

    def _loss(self, loss: Loss, now: int) -> None:
        self.window = self._rig.bbr.window_bytes
        self._handle_loss(loss, now)

    def _spurious(self, now: int) -> None:
        self._handle_spurious(now)
        self.is_undone = True


def handling_spurious_fast_recovery(point: Point) -> str:
    """In ProbeBW_UP a twentieth of a window, a packet at least, is overtaken by what was sent in half a round trip.

    The appendix has SaveStateUponLoss save BBR.state; 5.5.10.2 saves it with the transition that the loss causes.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    before = bbr.variables()
    packets = max(bbr.window_bytes // (20 * point.packet_bytes), 1)
    first = rig.sender.sent_packets
    hold_ns = point.rtt_ns // 2 + 5 * point.packet_ns
    rig.gate.hold = lambda packet: hold_ns if first <= packet.number < first + packets else 0
    down = run_to_undo(rig, before)
    assert rig.sender.timeouts == 0
    assert rig.sender.lost_packets == rig.sender.spurious_losses == packets
    assert rig.transitions[-1].event is Event.UNDO_PROBE_UP
    back = rig.until_state(State.UP)
    assert (back.old, back.event) == (State.REFILL, Event.REFILLED)
    return f"{packets} packets late; UP again {(back.now - down.now) / point.rtt_ns:.2f} RTT after DOWN"


def handling_spurious_rto_recovery(point: Point) -> str:
    """In ProbeBW_UP the path holds everything back until the retransmission timer has counted it all as lost.

    Everything then arrives in its order, what was sent first before what was sent again. At a round trip of 1 s
    ProbeRTT is due by then; in ProbeRTT the undo leaves the state alone (5.5.11.2), and what it restores is the rest.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    rig.run(point.rtt_ns // 2)
    assert bbr.phase is State.UP
    before = bbr.variables()
    rig.gate.close()
    for _ in range(100):
        if rig.sender.timeouts:
            break
        rig.run(max(point.rtt_ns, 20_000_000))
    assert rig.sender.timeouts == 1
    assert bbr.window_bytes == point.packet_bytes
    rig.gate.open()
    run_to_undo(rig, before)
    undone_ns = rig.timeline.now
    if point.is_long:
        assert bbr.phase is State.PROBE_RTT
        return f"{rig.sender.spurious_losses} packets late; found in ProbeRTT"
    assert rig.transitions[-1].event is Event.UNDO_PROBE_UP
    back = rig.until_state(State.UP)
    assert (back.old, back.event) == (State.REFILL, Event.REFILLED)
    after = (back.now - undone_ns) / point.rtt_ns
    return f"{rig.sender.spurious_losses} packets late; UP again {after:.2f} RTT after the undo"


def run_to_undo(rig: Rig, before: dict[str, int]) -> Transition:
    """Run to where the loss is found spurious; check what was saved and what is restored; how UP was left."""
    watch = Watch(rig)
    bbr = rig.bbr
    prior_cwnd = bbr.prior_cwnd
    rig.until(lambda: watch.is_undone)
    down = next(step for step in reversed(rig.transitions) if step.old is State.UP)
    assert (down.new, down.event) == (State.DOWN, Event.INFLIGHT_TOO_HIGH)
    for saved, variable in SAVED:
        assert down.variables[saved] == before[variable]
        restored = bbr.variables()[variable]
        assert restored == -1 or restored >= before[variable] >= 0
    assert bbr.prior_cwnd >= max(watch.window, prior_cwnd)
    cap = bbr.max_inflight if bbr.phase is not State.PROBE_RTT else max(bbr.bdp // 2, 4 * rig.point.packet_bytes)
    assert bbr.window_bytes >= min(max(watch.window, prior_cwnd), cap)
    assert bbr.undo_state is None
    assert not bbr.is_loss_in_round
    return down
