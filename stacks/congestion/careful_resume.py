"""Careful resume: a window that jumps to half of what the path carried the last time, and proves it (RFC 9959).

    RECONNAISSANCE   the controller as ever, until the initial data has arrived on a path that looks like the former
    UNVALIDATED      the window jumps, paced over a round trip, for at most one
    VALIDATING       all of that has to arrive
    SAFE_RETREAT     it did not: half of what got through, until all of that is known
    NORMAL           the controller as ever

It is around a controller with a window (Reno, CUBIC), which slow-starts on from where that ends. Beside it, it observes
what the path carries, for the next connection.
"""

from __future__ import annotations

import enum

from stacks.congestion.controller import Ack, Flow, Loss
from stacks.congestion.path_memory import SavedPath
from stacks.congestion.rounds import RoundCounter
from stacks.congestion.windowed import WindowedController
from stacks.congestion.wrapped import WrappedController
from stacks.runtime import LocalError
from stacks.runtime.state_table import IGNORE, StateTable, Verdict


class Phase(enum.Enum):
    """As above (RFC 9959 3)."""

    RECONNAISSANCE = "reconnaissance"
    UNVALIDATED = "unvalidated"
    VALIDATING = "validating"
    SAFE_RETREAT = "safe retreat"
    NORMAL = "normal"


class PhaseEvent(enum.Enum):
    """PATH_CONFIRMED: the initial data arrived, the round trip fits, and there is more to send than the window lets.

    PATH_CHANGED: the round trip does not fit. CONGESTION: a loss or a mark. PERSISTENT: nothing gets through.
    JUMP_SENT: the jump was used, or its time is over. RATE_LIMITED: that, and it was not used. ALL_KNOWN: the fate of
    the last unvalidated packet is known.
    """

    PATH_CONFIRMED = enum.auto()
    PATH_CHANGED = enum.auto()
    CONGESTION = enum.auto()
    PERSISTENT = enum.auto()
    JUMP_SENT = enum.auto()
    RATE_LIMITED = enum.auto()
    ALL_KNOWN = enum.auto()


_P, _E = Phase, PhaseEvent

PHASES: StateTable[Phase, PhaseEvent] = StateTable(
    "careful resume",
    Phase,
    events=PhaseEvent,
    entries={
        (_P.RECONNAISSANCE, _E.PATH_CONFIRMED): _P.UNVALIDATED,
        (_P.RECONNAISSANCE, _E.PATH_CHANGED): _P.NORMAL,
        (_P.RECONNAISSANCE, _E.CONGESTION): _P.NORMAL,
        (_P.UNVALIDATED, _E.PATH_CHANGED): _P.SAFE_RETREAT,
        (_P.UNVALIDATED, _E.CONGESTION): _P.SAFE_RETREAT,
        (_P.UNVALIDATED, _E.JUMP_SENT): _P.VALIDATING,
        (_P.UNVALIDATED, _E.RATE_LIMITED): _P.NORMAL,
        (_P.VALIDATING, _E.CONGESTION): _P.SAFE_RETREAT,
        (_P.VALIDATING, _E.ALL_KNOWN): _P.NORMAL,
        (_P.SAFE_RETREAT, _E.CONGESTION): IGNORE,  # of the same flight
        (_P.SAFE_RETREAT, _E.ALL_KNOWN): _P.NORMAL,
        **{(phase, _E.PERSISTENT): _P.NORMAL for phase in Phase},
        (_P.NORMAL, _E.CONGESTION): IGNORE,
    },
)


class CarefulResume(WrappedController):
    """Around `inner`, which is a controller with a window.

    flow: with a Delivery, LocalError without. saved: what is known of the path, None to observe alone. max_jump_bytes:
    the window never jumps further. phase: as of `Phase`. pipe_bytes: PipeSize, what was validated since the jump.
    observed_bytes: of one round trip, for who comes next; 0 for none.
    """

    inner: WindowedController

    def __init__(
        self, flow: Flow, inner: WindowedController, saved: SavedPath | None, *, max_jump_bytes: int = 1 << 40
    ) -> None:
        if flow.delivery is None:
            raise LocalError("careful resume needs a stack that counts what is delivered (Flow.delivery)")
        super().__init__(inner)
        self.phase = Phase.NORMAL if saved is None else Phase.RECONNAISSANCE
        self.pipe_bytes = 0
        self.observed_bytes = 0
        self.jump_bytes = 0 if saved is None else min(max_jump_bytes, saved.window_bytes // 2)
        self._saved_rtt_ns = 0 if saved is None else saved.rtt_ns
        self._delivery = flow.delivery
        self._initial_bytes = inner.initial_window_bytes
        self._packet_bytes = flow.packet_bytes
        self._entered_ns = self._last_ns = 0
        self._entered_bytes = 0
        self._round = RoundCounter()
        self._round_bytes = 0
        self._is_round_limited = False
        self._follow()

    # What the stack says

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """The jump is over with the packet that leaves no room for another."""
        self.inner.handle_sent(length_bytes, now)
        if self.phase is Phase.UNVALIDATED:
            self._last_ns = now
            flight_bytes = self._delivery.inflight_bytes + length_bytes
            if flight_bytes + self._packet_bytes > self.jump_bytes:
                self._end_jump(flight_bytes, now)
        if self.phase is not Phase.UNVALIDATED:
            self._follow()

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Each phase looks for its end."""
        self.inner.handle_ack(ack, now)
        self._observe(ack)
        phase = self.phase
        if phase is Phase.RECONNAISSANCE:
            self._reconnoitre(now)
        elif phase is not Phase.NORMAL:
            self.pipe_bytes += ack.acked_bytes
            if phase is Phase.UNVALIDATED:
                self._look_at_jump(ack, now)
            elif ack.newest_sent_ns >= self._last_ns and ack.prior_delivered_bytes >= self._entered_bytes:
                self._all_known(now)
        self._follow()

    def handle_loss(self, loss: Loss, now: int) -> None:
        """Congestion, in whichever phase."""
        self.inner.handle_loss(loss, now)
        is_severe = loss.is_persistent or loss.is_timeout
        self._apply(PhaseEvent.PERSISTENT if is_severe else PhaseEvent.CONGESTION)
        self._follow()

    def handle_recovered(self, now: int) -> None:
        """A packet sent after the congestion arrived; what was before it is known then, too."""
        self.inner.handle_recovered(now)
        if self.phase is Phase.SAFE_RETREAT:
            self._all_known(now)
        self._follow()

    def handle_spurious_loss(self, now: int) -> None:
        """In a retreat there is no way back: the path is learnt anew."""
        if self.phase is Phase.SAFE_RETREAT:
            self._all_known(now)
        else:
            self.inner.handle_spurious_loss(now)
        self._follow()

    def handle_mtu(self, packet_bytes: int, now: int) -> None:
        """See Controller."""
        self._packet_bytes = packet_bytes
        super().handle_mtu(packet_bytes, now)

    def variables(self) -> dict[str, int]:
        """Those of the other, and PipeSize while it matters."""
        shown = self.inner.variables()
        if self.phase in (Phase.UNVALIDATED, Phase.VALIDATING, Phase.SAFE_RETREAT):
            shown["PipeSize"] = self.pipe_bytes
        return shown

    # Phases

    def _reconnoitre(self, now: int) -> None:
        """3.2: the initial data arrived without congestion, and round trips are like those that were saved."""
        delivery = self._delivery
        if not delivery.min_rtt_ns:
            return
        if 2 * delivery.min_rtt_ns <= self._saved_rtt_ns or delivery.min_rtt_ns > MOST_TIMES * self._saved_rtt_ns:
            self._apply(PhaseEvent.PATH_CHANGED)
        elif delivery.delivered_bytes >= self._initial_bytes and delivery.is_cwnd_limited:
            if self.jump_bytes <= self.inner.window_bytes:
                self._apply(PhaseEvent.PATH_CHANGED)  # there is nothing to gain
                return
            self._apply(PhaseEvent.PATH_CONFIRMED)
            self.pipe_bytes = delivery.inflight_bytes
            self._entered_ns = self._last_ns = now
            self._entered_bytes = delivery.delivered_bytes

    def _look_at_jump(self, ack: Ack, now: int) -> None:
        """3.3: the jump ends when its first packet is acknowledged, or after a round trip; or the path is another."""
        delivery = self._delivery
        if 2 * delivery.min_rtt_ns <= self._saved_rtt_ns:
            self._apply(PhaseEvent.PATH_CHANGED)
        elif ack.prior_delivered_bytes >= self._entered_bytes or now - self._entered_ns > delivery.srtt_ns:
            self._end_jump(delivery.inflight_bytes, now)

    def _end_jump(self, flight_bytes: int, now: int) -> None:
        if flight_bytes < self._initial_bytes or flight_bytes <= self.pipe_bytes:
            self.inner.resume(max(self.pipe_bytes, self._initial_bytes), now)
            self._apply(PhaseEvent.RATE_LIMITED)
        else:
            self.inner.resume(flight_bytes, now)
            self._apply(PhaseEvent.JUMP_SENT)

    def _all_known(self, now: int) -> None:
        if self.phase is Phase.SAFE_RETREAT:
            ssthresh_bytes = max(self.pipe_bytes // 2, self.inner.minimum_bytes)  # Beta of 0.5
            self.inner.resume(min(self._retreat_bytes, ssthresh_bytes), now, ssthresh_bytes=ssthresh_bytes)
        self._apply(PhaseEvent.ALL_KNOWN)

    def _apply(self, event: PhaseEvent) -> None:
        """What `event` does to the phase: the only place where it changes."""
        outcome = PHASES.apply(self.phase, event)
        if isinstance(outcome, Verdict):
            return
        self.phase = outcome
        if outcome is Phase.SAFE_RETREAT:
            self._retreat_bytes = max(self.pipe_bytes // 2, self.inner.minimum_bytes)

    def _observe(self, ack: Ack) -> None:
        """3.1: what got through in a round trip; less counts only where it was the window that allowed no more."""
        delivery = self._delivery
        if delivery.is_cwnd_limited:
            self._is_round_limited = True
        if self._round.update(ack.prior_delivered_bytes, delivery.delivered_bytes):
            through_bytes = delivery.delivered_bytes - self._round_bytes
            if self._is_round_limited or through_bytes > self.observed_bytes:
                self.observed_bytes = through_bytes
            self._round_bytes = delivery.delivered_bytes
            self._is_round_limited = False

    def _follow(self) -> None:
        inner, phase = self.inner, self.phase
        self.rate_bps, self.send_quantum_bytes = inner.rate_bps, inner.send_quantum_bytes
        self.window_bytes = inner.window_bytes
        self.state = inner.state if phase is Phase.NORMAL else f"{phase.value}, {inner.state}"
        if phase is Phase.UNVALIDATED:
            # 3.3: paced by the present round trip.
            self.window_bytes = self.jump_bytes
            self.rate_bps = max(1, self.jump_bytes * BIT_NS_PER_BYTE_S // self._delivery.srtt_ns)
            self.send_quantum_bytes = 2 * self._packet_bytes
        elif phase is Phase.SAFE_RETREAT:
            self.window_bytes = self._retreat_bytes

    _retreat_bytes = 0


BIT_NS_PER_BYTE_S = 8_000_000_000
MOST_TIMES = 10
"""Round trips that are so many times those that were saved are of another path (RFC 9959 4.2.1)."""
