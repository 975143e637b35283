"""Prague: a scalable controller for L4S (draft-briscoe-iccrg-prague-congestion-control, Linux tcp_prague, RFC 9331).

    each virtual round    alpha = (1 - g) alpha + g F, F the share of packets that was marked
    first mark ever       cwnd halves, slow start ends
    a mark, once a round  cwnd *= 1 - alpha/2
    unmarked data         cwnd += packet * acked / cwnd, also in rounds with marks; scaled for RTT independence
    loss                  half, no growth until it is over
    rate                  cwnd / srtt, 3 % above it for half a virtual round and 3 % below for the other

A virtual round is a round trip, but from `transition_rounds` after slow start on never less than `target_rtt_ns`; from
then on growth is scaled by (srtt / target)^2, so that flows of all shorter round trips share as if theirs were it. The
window is fractional; below two packets the rate alone limits. Needs accurate counts of marks (`Ack.ce_packets`).

RFC 9331 section 4: ECT(1), accurate feedback, response independent of RTT, scaling below two packets and response to
loss are here. Loss is detected by the stack. There is no detection of classic ECN queues, as in Linux, where it is off:
`classic_ecn` makes marks halve the window, for who knows that such a queue is on the path. Linux also shrinks packets
at low rates; ours keep their size.

Everything is an integer: windows in bytes * 2^20, alpha in units of 2^-24.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.congestion.rounds import RoundCounter
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class PragueParameters:
    """The constants of Prague, as in Linux.

    gain_shift: g = 2^-gain_shift. target_rtt_ns: shorter round trips behave like this one; 0 for RTT dependence.
    transition_rounds: after slow start, until they do. pacing_offset_128: of the rate, in units of 1/128.
    burst_ns: at the rate, what may leave at once. minimum_bps: the rate never falls below. classic_ecn: see the module.

    LocalError for a value that makes no sense.
    """

    gain_shift: int = 4
    target_rtt_ns: int = 25_000_000
    transition_rounds: int = 4
    pacing_offset_128: int = 4
    burst_ns: int = 250_000
    minimum_bps: int = 100_000
    classic_ecn: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.gain_shift <= 16:
            raise LocalError(f"Prague's gain_shift is from 0 to 16, not {self.gain_shift}")
        if not 0 <= self.pacing_offset_128 < 128:
            raise LocalError(f"Prague's pacing_offset_128 is from 0 to 127, not {self.pacing_offset_128}")
        for name in ("target_rtt_ns", "transition_rounds", "burst_ns"):
            if getattr(self, name) < 0:
                raise LocalError(f"Prague's {name} must not be negative: {getattr(self, name)}")
        if self.minimum_bps < 1:
            raise LocalError(f"Prague's minimum_bps must be above 0, not {self.minimum_bps}")


class Prague(Controller):
    """The sender of one flow; its packets carry ECT(1).

    flow: LocalError without `delivery`. window: in units of 1/WINDOW_ONE bytes. upscaled_alpha: alpha / g, so that
    nothing of it is rounded away, in units of 1/PRAGUE_ALPHA_ONE. ssthresh_bytes: slow start ends there. rounds: ended
    since slow start.
    """

    window_bytes: int
    rate_bps: int

    def __init__(self, flow: Flow, parameters: PragueParameters | None = None) -> None:
        if flow.delivery is None:
            raise LocalError("Prague needs a stack that counts what is delivered (Flow.delivery)")
        self.parameters = parameters or PragueParameters()
        self.ecn = 1
        self.state = "slow start"
        self.delivery = flow.delivery
        self.packet_bytes = flow.packet_bytes
        self.line_rate_bps = flow.line_rate_bps
        self.ssthresh_bytes = UNLIMITED
        self.window = (flow.delivery.initial_window_bytes or 10 * flow.packet_bytes) * WINDOW_ONE
        self.rounds = 0
        self.upscaled_alpha = 0
        self._has_seen_mark = False
        self._round = RoundCounter()
        self._round_packets = self._round_marks = 0
        self._updated_ns = flow.start_ns
        self._reduced_until = -1
        self._reduced_ns = NEVER
        self._is_recovering = False
        self._growth = flow.packet_bytes * WINDOW_ONE
        self._before_loss = 0
        self._set_rate(flow.start_ns)

    @property
    def alpha(self) -> int:
        """The average share of marks, in units of 1/PRAGUE_ALPHA_ONE."""
        return self.upscaled_alpha >> self.parameters.gain_shift

    @property
    def is_rtt_independent(self) -> bool:
        """Whether the flow behaves as if its round trip were at least `target_rtt_ns`."""
        return self.state != "slow start" and self.rounds >= self.parameters.transition_rounds

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Grow by what was not marked, react to what was, then rounds and rate."""
        marks, packets = ack.ce_packets, ack.acked_packets
        self._round_packets += packets
        self._round_marks += marks
        self._grow(ack, marks, packets)
        if marks:
            self._handle_marks(ack, now)
        if ack.prior_delivered_bytes >= self._round.next_delivered_bytes and ack.prior_delivered_ns >= 0:
            virtual_ns = self.parameters.target_rtt_ns if self.is_rtt_independent else 0
            if now - self._updated_ns >= virtual_ns:
                self._end_round(ack, now)
        self._set_rate(now)

    def handle_loss(self, loss: Loss, now: int) -> None:
        """Halve; after a timeout begin with one packet."""
        if loss.is_mark:
            return
        self._before_loss = max(self.window, self._before_loss) if self._is_recovering else self.window
        self.window = max(self.window // 2, self.packet_bytes * WINDOW_ONE)
        self.ssthresh_bytes = max(self.window // WINDOW_ONE, 2 * self.packet_bytes)
        if loss.is_timeout:
            self.window = self.packet_bytes * WINDOW_ONE
        self._is_recovering = not loss.is_timeout
        self.state = "slow start" if loss.is_timeout else "recovery"
        self._set_rate(now)

    def handle_recovered(self, now: int) -> None:  # noqa: ARG002
        """Grow again."""
        self._is_recovering = False
        if self.state == "recovery":
            self.state = "congestion avoidance"

    def handle_spurious_loss(self, now: int) -> None:
        """Nothing was lost: back to the window before."""
        self.window = max(self.window, self._before_loss)
        self._is_recovering = False
        if self.state == "recovery":
            self.state = "congestion avoidance"
        self._set_rate(now)

    def variables(self) -> dict[str, int]:
        """Alpha in millionths, the fractional window in thousandths of a packet, rounds since slow start."""
        return {
            "alpha_ppm": self.alpha * 1_000_000 // PRAGUE_ALPHA_ONE,
            "frac_cwnd_thousandths": self.window * 1000 // (self.packet_bytes * WINDOW_ONE),
            "round": self.rounds,
        }

    def _grow(self, ack: Ack, marks: int, packets: int) -> None:
        if self._is_recovering or marks >= packets or not self.delivery.is_cwnd_limited:
            return
        acked_bytes = ack.acked_bytes if not marks else ack.acked_bytes * (packets - marks) // packets
        window = self.window
        if self.state == "slow start":
            if window >> 20 < self.ssthresh_bytes:
                self.window = window + acked_bytes * WINDOW_ONE
                return
            self._leave_slow_start()
        self.window = window + max(1, acked_bytes * WINDOW_ONE * self._growth // window)

    def _handle_marks(self, ack: Ack, now: int) -> None:
        if not self._has_seen_mark:
            # There is an AQM that marks: from here on alpha says how much; until then only this.
            self._has_seen_mark = True
            self.window = (self.window + 1) // 2
            self._leave_slow_start()
        elif self._is_recovering or self._has_just_reduced(ack, now):
            return
        else:
            alpha = PRAGUE_ALPHA_ONE if self.parameters.classic_ecn else self.alpha
            self.window -= (self.window * alpha + PRAGUE_ALPHA_ONE) // (2 * PRAGUE_ALPHA_ONE)
            if self.state == "slow start":
                self._leave_slow_start()
        self._reduced_until = self.delivery.delivered_bytes
        self._reduced_ns = now
        self.ssthresh_bytes = max(self.window // WINDOW_ONE, 2 * self.packet_bytes)
        smallest = self.parameters.minimum_bps * self.delivery.srtt_ns * WINDOW_ONE // BIT_NS_PER_BYTE_S
        self.window = max(self.window, smallest, WINDOW_ONE)

    def _has_just_reduced(self, ack: Ack, now: int) -> bool:
        """Whether it did within this round, or within the target round trip where that is the clock."""
        if ack.prior_delivered_bytes < self._reduced_until:
            return True
        return self.is_rtt_independent and now - self._reduced_ns < self.parameters.target_rtt_ns

    def _leave_slow_start(self) -> None:
        self.state = "congestion avoidance"
        self.rounds = 0

    def _end_round(self, ack: Ack, now: int) -> None:
        if self._has_seen_mark:
            shift = self.parameters.gain_shift
            share = self._round_marks * PRAGUE_ALPHA_ONE // max(1, self._round_packets)
            alpha = self.upscaled_alpha - (self.upscaled_alpha >> shift) + share
            self.upscaled_alpha = min(alpha, PRAGUE_ALPHA_ONE << shift)
        self._updated_ns = now
        self._round_packets = self._round_marks = 0
        self._round.update(ack.prior_delivered_bytes, self.delivery.delivered_bytes)
        if self.state != "slow start":
            self.rounds += 1
        growth = self.packet_bytes * WINDOW_ONE
        srtt_ns, target_ns = self.delivery.srtt_ns, self.parameters.target_rtt_ns
        if self.is_rtt_independent and 0 < srtt_ns < target_ns:
            growth = growth * srtt_ns * srtt_ns // (target_ns * target_ns)
        self._growth = max(1, growth)

    def _set_rate(self, now: int) -> None:
        parameters, window = self.parameters, self.window
        srtt_ns = self.delivery.srtt_ns or INITIAL_RTT_NS
        rate_bps = (window * BIT_NS_PER_BYTE_S // srtt_ns) >> 20
        window_bytes = window >> 20
        if self.state == "slow start":
            if 2 * window_bytes < self.ssthresh_bytes:
                rate_bps *= 2
        elif self.rounds >= parameters.transition_rounds:
            offset_bps = rate_bps * parameters.pacing_offset_128 >> 7
            half_ns = max(parameters.target_rtt_ns, srtt_ns) // 2
            rate_bps += offset_bps if now - self._updated_ns < half_ns else -offset_bps
        self.rate_bps = rate_bps = max(parameters.minimum_bps, min(rate_bps, self.line_rate_bps))
        quantum_bytes = rate_bps * parameters.burst_ns // BIT_NS_PER_BYTE_S
        packet_bytes = self.packet_bytes
        self.send_quantum_bytes = max(quantum_bytes, packet_bytes)
        # Rounded up to whole packets, and two at least: below, the rate limits.
        self.window_bytes = max(2, -(-window_bytes // packet_bytes)) * packet_bytes


PRAGUE_ALPHA_ONE = 1 << 24
WINDOW_ONE = 1 << 20
UNLIMITED = 1 << 62
NEVER = -(1 << 62)
INITIAL_RTT_NS = 1_000_000
"""For the initial rate, as in BBR; recomputed with the first round-trip time."""
BIT_NS_PER_BYTE_S = 8_000_000_000
