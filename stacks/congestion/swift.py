"""Swift: the window follows a target for the delay (Kumar et al., SIGCOMM 2020, section 3, algorithm 1).

    delay < target            cwnd += ai * acked / cwnd, or ai * acked while cwnd is below one packet
    else, once a round trip   cwnd *= max(1 - beta (delay - target) / delay, 1 - max_mdf)
    loss, once a round trip   cwnd *= 1 - max_mdf; the smallest window after five timeouts in a row
    target                    base + hops * hop + clamp(a / sqrt(cwnd) + b, 0, fs_range)
    cwnd below one packet     one packet each rtt / cwnd: paced

The target rises as windows shrink, since many flows make longer queues (3.1, flow scaling): that is what makes shares
converge. The paper publishes no complete set of constants: beta, max_mdf and the flow-scaling ranges are those which
the public htsim model calls guesses, the targets belong to a fabric.

Left out: the end-host window (3.2), whose delay our receivers do not have: the fabric's window is the window.

Everything is an integer: windows in bytes * 2^20, delays in nanoseconds, square roots by `isqrt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class SwiftParameters:
    """The constants of Swift.

    base_target_ns: enough for full use of one hop with few flows. hop_ns: added for each of `hops` of the path.
    fs_range_ns: what flow scaling adds at most, at and below a window of fs_min_1024; nothing from fs_max_1024 on; both
    in units of packets/1024. ai_1024: additive increase, in packets/1024 a round trip. beta_1024, max_mdf_1024: of the
    decrease. minimum_1024, maximum_1024: bounds of the window, in packets/1024. reset_timeouts: after so many in a row
    the window is the smallest. initial_packets: the window at the start, 0 for the connection's initial window.

    LocalError for a value that makes no sense.
    """

    base_target_ns: int = 25_000
    hop_ns: int = 1_000
    hops: int = 0
    fs_range_ns: int = 100_000
    fs_min_1024: int = 102
    fs_max_1024: int = 102_400
    ai_1024: int = 1024
    beta_1024: int = 819
    max_mdf_1024: int = 512
    minimum_1024: int = 10
    maximum_1024: int = 1_024_000
    reset_timeouts: int = 5
    initial_packets: int = 0

    def __post_init__(self) -> None:
        for name in ("base_target_ns", "ai_1024", "minimum_1024", "reset_timeouts"):
            if getattr(self, name) < 1:
                raise LocalError(f"Swift's {name} must be above 0, not {getattr(self, name)}")
        for name in ("hop_ns", "hops", "fs_range_ns", "initial_packets"):
            if getattr(self, name) < 0:
                raise LocalError(f"Swift's {name} must not be negative: {getattr(self, name)}")
        if not 0 < self.beta_1024 <= 1024 or not 0 < self.max_mdf_1024 <= 1024:
            raise LocalError("Swift's beta and max_mdf are above 0 and at most 1024/1024")
        if not 0 < self.fs_min_1024 < self.fs_max_1024 or self.minimum_1024 > self.maximum_1024:
            raise LocalError("Swift's fs_min is above 0 and below fs_max, its minimum at most its maximum")


class Swift(Controller):
    """The window of one flow.

    window: in units of 1/WINDOW_ONE bytes. target_ns: for the delay, at the present window.
    """

    window_bytes: int

    def __init__(self, flow: Flow, parameters: SwiftParameters | None = None) -> None:
        self.parameters = parameters = parameters or SwiftParameters()
        self.packet_bytes = packet_bytes = flow.packet_bytes
        self.send_quantum_bytes = packet_bytes
        self._packet = packet = packet_bytes * WINDOW_ONE
        initial_bytes = flow.delivery.initial_window_bytes if flow.delivery else 0
        initial_bytes = parameters.initial_packets * packet_bytes or initial_bytes or 10 * packet_bytes
        self._minimum = packet * parameters.minimum_1024 // 1024
        self._maximum = packet * parameters.maximum_1024 // 1024
        self._fixed_ns = parameters.base_target_ns + parameters.hops * parameters.hop_ns
        # a and b of the flow scaling: fs_range = a / sqrt(fs_min) + b, 0 = a / sqrt(fs_max) + b; roots times 1024.
        low, high = isqrt(parameters.fs_min_1024 << 10), isqrt(parameters.fs_max_1024 << 10)
        self._scale = parameters.fs_range_ns * low * high // (high - low)
        self._scale_offset_ns = -(self._scale // high)
        self._last_decrease_ns = -1
        self._srtt_ns = flow.base_rtt_ns
        self._timeouts = 0
        self.window = min(initial_bytes * WINDOW_ONE, self._maximum)
        self.target_ns = self._fixed_ns
        self._apply()

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Grow below the target, shrink above it."""
        delay_ns = ack.rtt_ns
        if delay_ns is None:
            return
        self._timeouts = 0
        srtt_ns = self._srtt_ns
        self._srtt_ns = (7 * srtt_ns + delay_ns) >> 3 if srtt_ns else delay_ns
        self.target_ns = target_ns = self._target_ns()
        window = self.window
        if delay_ns < target_ns:
            grown = ack.acked_bytes * WINDOW_ONE * self.parameters.ai_1024 >> 10
            window += grown * self._packet // window if window >= self._packet else grown
            self.window = min(window, self._maximum)
            self.state = "increase"
        elif now - self._last_decrease_ns >= self._srtt_ns or self._last_decrease_ns < 0:
            parameters = self.parameters
            cut = window * parameters.beta_1024 * (delay_ns - target_ns) // (delay_ns << 10)
            self._decrease(min(cut, window * parameters.max_mdf_1024 >> 10), now)
        self._apply()

    def handle_loss(self, loss: Loss, now: int) -> None:
        """At most one decrease a round trip, whatever its reason."""
        if loss.is_mark:
            return
        if loss.is_timeout:
            self._timeouts += 1
            if self._timeouts >= self.parameters.reset_timeouts:
                self._decrease(self.window - self._minimum, now)
                self._apply()
                return
        if now - self._last_decrease_ns >= self._srtt_ns or self._last_decrease_ns < 0:
            self._decrease(self.window * self.parameters.max_mdf_1024 >> 10, now)
            self._apply()

    def variables(self) -> dict[str, int]:
        """The window in thousandths of a packet, and the target delay."""
        return {"fcwnd_thousandths": self.window * 1000 // self._packet, "target_ns": self.target_ns}

    def _target_ns(self) -> int:
        root = isqrt((self.window << 20) // self._packet)
        scaled_ns = self._scale // root + self._scale_offset_ns if root else self.parameters.fs_range_ns
        return self._fixed_ns + max(0, min(scaled_ns, self.parameters.fs_range_ns))

    def _decrease(self, cut: int, now: int) -> None:
        self.window = max(self.window - cut, self._minimum)
        self._last_decrease_ns = now
        self.state = "decrease"

    def _apply(self) -> None:
        """What the sender reads: a window, and below one packet a rate as well."""
        if self.window >= self._packet:
            self.window_bytes = self.window >> 20
            self.rate_bps = None
            return
        self.window_bytes = self.packet_bytes
        srtt_ns = self._srtt_ns or self._fixed_ns
        self.rate_bps = max(1, (self.window * BIT_NS_PER_BYTE_S // srtt_ns) >> 20)


WINDOW_ONE = 1 << 20
BIT_NS_PER_BYTE_S = 8_000_000_000
