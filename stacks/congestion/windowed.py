"""What controllers that answer loss with a smaller window have in common: Reno and CUBIC build on it.

    slow start            cwnd += bytes acknowledged, at most L packets an acknowledgement (RFC 3465); or HyStart++
    congestion avoidance  the algorithm's own growth
    recovery              a loss: ssthresh is the algorithm's; PRR brings the window there; then avoidance
    reduction             CE on packets that carry ECT(0): as a loss, once a round; nothing is sent again (RFC 3168)
    timeout               cwnd = one packet, slow start to ssthresh; repeated timeouts leave ssthresh (RFC 5681 3.1)
    undo                  a loss that was none: window, ssthresh and the algorithm's variables are as before

Where documents leave a choice:
* The window is reduced, not the flight size (RFC 9002 7.3.2; RFC 5681 names FlightSize): it grows only while it is what
  limits the sender (RFC 9002 7.8, RFC 7661's concern), so the two differ little.
* A timeout in recovery reduces ssthresh once more: the loss of a retransmission is a second sign (RFC 5681 4.3). Linux
  leaves it.
* A CE mark during a reduction or recovery is of the same round, and so is a loss during a reduction (RFC 3168 5;
  Linux).
* After an idle time above the retransmission timeout the window is at most the initial one (RFC 5681 4.1), and ssthresh
  keeps three quarters of what it was (RFC 2861).
* Persistent congestion (RFC 9002 7.6) sets the window to two packets.
* Paced, which is an option, the rate is two windows a round trip in slow start (as Linux's) and 5/4 after (RFC 9002
  7.7), and the growth for one acknowledgement is not bounded (RFC 9406 4.3). Unpaced senders answer a pause of the
  application with a burst of a whole window.
"""

from __future__ import annotations

from typing import Any

from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.congestion.hystart import CSS_GROWTH_DIVISOR, HyStart
from stacks.congestion.prr import Prr
from stacks.runtime import LocalError


class WindowedController(Controller):
    """Base of the loss-based controllers.

    A subclass gives `reduced_bytes`, `grow`, and where it has variables of its own, `begin_avoidance`, `pause`,
    `time_out`, `saved` and `restore`.

    abc_packets: L. abc_timeout_packets: L in the slow start after a timeout. hystart: whether the first slow start is
    HyStart++'s. ecn: codepoint of the packets, 2 for ECT(0). is_paced: send at a rate; LocalError without `Delivery`,
    whose round-trip time it takes. ssthresh_bytes: below it the window doubles each round.
    minimum_bytes: two packets.
    """

    window_bytes: int

    def __init__(
        self,
        flow: Flow,
        *,
        abc_packets: int,
        abc_timeout_packets: int,
        hystart: bool = False,
        ecn: int = 0,
        is_paced: bool = False,
    ) -> None:
        if is_paced and flow.delivery is None:
            raise LocalError("a window is paced over the round-trip time: the flow needs a Delivery")
        if is_paced:
            abc_packets = abc_timeout_packets = UNLIMITED_PACKETS
        self.is_paced = is_paced
        self.packet_bytes = flow.packet_bytes
        self.delivery = flow.delivery
        self.ecn = ecn
        initial = flow.delivery.initial_window_bytes if flow.delivery else 0
        self.initial_window_bytes = initial or 10 * flow.packet_bytes
        self.minimum_bytes = 2 * flow.packet_bytes
        self.window_bytes = self.initial_window_bytes
        self.ssthresh_bytes = NO_SSTHRESH
        self.state = "slow start"
        self.prr = Prr(flow.packet_bytes)
        self.hystart = HyStart(flow.start_ns) if hystart else None
        self._abc_bytes = self._abc_usual_bytes = abc_packets * flow.packet_bytes
        self._abc_timeout_bytes = abc_timeout_packets * flow.packet_bytes
        # Reducing: since a loss (until the stack says it is over) or a mark (until a later packet is acknowledged).
        self._is_recovering = self._is_marked = False
        self._reduced_ns = -1
        self._reduced_bytes = 0
        self._timeouts = 0
        self._acked_ns = flow.start_ns
        self._undo: tuple[int, int, HyStart | None, Any] | None = None

    # What an algorithm says

    def reduced_bytes(self, window_bytes: int) -> int:
        """The ssthresh after a congestion event at `window_bytes`; the algorithm notes what it wants of it."""
        raise NotImplementedError

    def grow(self, ack: Ack, now: int) -> None:
        """Congestion avoidance: an acknowledgement while the window is what limits the sender."""
        raise NotImplementedError

    def begin_avoidance(self, now: int) -> None:
        """Congestion avoidance begins."""

    def pause(self, now: int) -> None:
        """Since the last acknowledgement the application has been what limits the sender, or it was silent."""

    def time_out(self) -> None:
        """The retransmission timer ran out; ssthresh has been set."""

    def saved(self) -> Any:
        """The algorithm's variables as they are before a congestion event."""

    def restore(self, saved: Any) -> None:
        """The congestion event was none."""

    # What the stack says

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """Count it against a reduction; restart with a small window after a long pause."""
        if self._is_recovering or self._is_marked:
            self.prr.sent_bytes += length_bytes
        elif self.delivery is not None and not self.delivery.inflight_bytes:
            self._restart(now)

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Grow, or go on with a reduction."""
        delivery = self.delivery
        if ack.acked_bytes:
            self._timeouts = 0
        if ack.ce_packets and self.ecn == ECT0 and not (self._is_recovering or self._is_marked):
            self._handle_mark(ack, now)
        if self._is_recovering or self._is_marked:
            self._reduce(ack, now)
        else:
            is_limited = delivery is None or delivery.is_cwnd_limited
            if self.window_bytes < self.ssthresh_bytes:
                self._slow_start(ack, now, is_limited=is_limited)
            elif is_limited:
                self.grow(ack, now)
            else:
                self.pause(now)
        self._acked_ns = now
        if self.is_paced and delivery is not None and delivery.srtt_ns:
            percent = SLOW_START_PACING if self.window_bytes < self.ssthresh_bytes else AVOIDANCE_PACING
            to_send = max(self.window_bytes, ack.inflight_bytes) * percent // 100
            # A path that stood still leaves a smoothed round trip that is far too long; the window bounds the rest.
            rtt_ns = delivery.srtt_ns if not ack.rtt_ns else min(ack.rtt_ns, delivery.srtt_ns)
            self.rate_bps = rate_bps = max(to_send * BIT_NS_PER_BYTE_S // rtt_ns, 1)
            # A millisecond's worth, two packets at least and a super-datagram at most.
            self.send_quantum_bytes = min(max(rate_bps // 8000, self.minimum_bytes), MAX_QUANTUM_BYTES)

    def handle_loss(self, loss: Loss, now: int) -> None:
        """Reduce; in a reduction since a mark, a loss is of the same round and only begins the recovery."""
        if loss.is_timeout:
            self._handle_timeout_loss()
            return
        if not self._is_marked:
            self._save()
            self.ssthresh_bytes = max(self.reduced_bytes(self._present_bytes()), self.minimum_bytes)
            flight_bytes = loss.lost_bytes + (self.delivery.inflight_bytes if self.delivery else 0)
            self._begin_reduction(flight_bytes, now)
        self._is_marked = False
        self._is_recovering = True
        self.state = "recovery"
        if loss.is_persistent:
            self._is_recovering = False
            self.window_bytes = self.minimum_bytes
            self._enter_slow_start()
            self.time_out()

    def handle_mtu(self, packet_bytes: int, now: int) -> None:  # noqa: ARG002
        """Count in packets of this size."""
        self._abc_bytes = self._abc_bytes // self.packet_bytes * packet_bytes
        self._abc_usual_bytes = self._abc_usual_bytes // self.packet_bytes * packet_bytes
        self._abc_timeout_bytes = self._abc_timeout_bytes // self.packet_bytes * packet_bytes
        self.packet_bytes = self.prr.packet_bytes = packet_bytes
        self.minimum_bytes = 2 * packet_bytes

    def handle_recovered(self, now: int) -> None:
        """The window is ssthresh from here."""
        if self._is_recovering:
            self._is_recovering = False
            self._end_reduction(now)

    def handle_spurious_loss(self, now: int) -> None:
        """Everything as before the loss, but for a window that has grown beyond since."""
        if self._undo is None:
            return
        window_bytes, ssthresh_bytes, hystart, saved = self._undo
        self._undo = None
        self._is_recovering = self._is_marked = False
        self.window_bytes = max(self.window_bytes, window_bytes)
        self.ssthresh_bytes = max(self.ssthresh_bytes, ssthresh_bytes)
        if self.window_bytes < self.ssthresh_bytes:
            self._enter_slow_start()
        else:
            self._enter_avoidance(now)
        self.hystart = hystart
        self.restore(saved)

    def variables(self) -> dict[str, int]:
        """The ssthresh; prr_delivered, prr_out while a reduction is on."""
        shown = {} if self.ssthresh_bytes == NO_SSTHRESH else {"ssthresh": self.ssthresh_bytes}
        if self._is_recovering or self._is_marked:
            shown["prr_delivered"] = self.prr.delivered_bytes
            shown["prr_out"] = self.prr.sent_bytes
        return shown

    def resume(self, window_bytes: int, now: int, *, ssthresh_bytes: int | None = None) -> None:
        """Go on from a window that somebody else knows to be right, outside any reduction (RFC 9959)."""
        self._is_recovering = self._is_marked = False
        self._undo = None
        self.window_bytes = window_bytes
        if ssthresh_bytes is not None:
            self.ssthresh_bytes = ssthresh_bytes
        if self.window_bytes < self.ssthresh_bytes:
            self._enter_slow_start()
        else:
            self._enter_avoidance(now)

    # Slow start

    def _slow_start(self, ack: Ack, now: int, *, is_limited: bool) -> None:
        growth_bytes = min(ack.acked_bytes, self._abc_bytes)
        hystart = self.hystart
        if hystart is not None:
            if hystart.is_over(ack.rtt_ns, ack.newest_sent_ns, now):
                self.ssthresh_bytes = self.window_bytes
                self._enter_avoidance(now)
                return
            if hystart.is_conservative:
                growth_bytes //= CSS_GROWTH_DIVISOR
                self.state = "conservative slow start"
            else:
                self.state = "slow start"
        if is_limited:
            self.window_bytes += growth_bytes
            if self.window_bytes >= self.ssthresh_bytes:
                self.window_bytes = self.ssthresh_bytes
                self._enter_avoidance(now)

    def _enter_slow_start(self) -> None:
        self.state = "slow start"

    def _enter_avoidance(self, now: int) -> None:
        self.hystart = None  # it is for the first slow start (RFC 9406 4.3)
        self._abc_bytes = self._abc_usual_bytes
        self.state = "congestion avoidance"
        self.begin_avoidance(now)

    def _restart(self, now: int) -> None:
        rto_ns = self.delivery.rto_ns if self.delivery else 0
        idle_ns = now - self._acked_ns
        self.pause(now)
        self._acked_ns = now
        if rto_ns and idle_ns > rto_ns and self.window_bytes > self.initial_window_bytes:
            if self.ssthresh_bytes != NO_SSTHRESH:
                self.ssthresh_bytes = max(self.ssthresh_bytes, self.window_bytes * 3 // 4)
            self.window_bytes = self.initial_window_bytes
            self._enter_slow_start()

    # Reductions

    def _present_bytes(self) -> int:
        """The window that congestion met: in a recovery, that to which it was going."""
        return self.ssthresh_bytes if self._is_recovering or self._is_marked else self.window_bytes

    def _save(self) -> None:
        self._undo = (self._present_bytes(), self.ssthresh_bytes, self.hystart, self.saved())

    def _handle_mark(self, ack: Ack, now: int) -> None:
        self._undo = None
        self.ssthresh_bytes = max(self.reduced_bytes(self.window_bytes), self.minimum_bytes)
        self._begin_reduction(ack.inflight_bytes, now, is_loss=False)
        self._is_marked = True
        self.state = "reduction"

    def _begin_reduction(self, flight_bytes: int, now: int, *, is_loss: bool = True) -> None:
        self.hystart = None
        self._reduced_ns = now
        self._reduced_bytes = self.delivery.delivered_bytes if self.delivery is not None else 0
        self.prr.start(flight_bytes, is_loss=is_loss)
        if self.delivery is None:
            self.window_bytes = self.ssthresh_bytes
        else:
            # Until the acknowledgement that goes with it: room for the fast retransmit.
            self.window_bytes = self.delivery.inflight_bytes + self.packet_bytes

    def _reduce(self, ack: Ack, now: int) -> None:
        if self._is_marked and self._is_after_reduction(ack):
            self._is_marked = False
            self._end_reduction(now)
            return
        if self.delivery is None:
            return
        if now == self._reduced_ns and not self.prr.delivered_bytes:
            self.prr.recover_fs_bytes += ack.acked_bytes
        self.window_bytes = self.prr.window_bytes(
            ack.acked_bytes, ack.inflight_bytes, self.ssthresh_bytes, is_safe=not ack.lost_bytes
        )

    def _is_after_reduction(self, ack: Ack) -> bool:
        # By what was delivered when its newest packet left: that may have been in the nanosecond of the reduction.
        if self.delivery is None:
            return ack.newest_sent_ns > self._reduced_ns
        return ack.prior_delivered_bytes >= self._reduced_bytes

    def _end_reduction(self, now: int) -> None:
        self.window_bytes = self.ssthresh_bytes
        self._enter_avoidance(now)

    def _handle_timeout_loss(self) -> None:
        if not self._timeouts:
            self._save()
            self.ssthresh_bytes = max(self.reduced_bytes(self._present_bytes()), self.minimum_bytes)
        self._timeouts += 1
        self._is_recovering = self._is_marked = False
        self.hystart = None
        self.window_bytes = self.packet_bytes
        self._abc_bytes = self._abc_timeout_bytes
        self._enter_slow_start()
        self.time_out()


NO_SSTHRESH = 1 << 62
ECT0 = 2
UNLIMITED_PACKETS = 1 << 40
SLOW_START_PACING, AVOIDANCE_PACING = 200, 125
MAX_QUANTUM_BYTES = 65_536
BIT_NS_PER_BYTE_S = 8_000_000_000
