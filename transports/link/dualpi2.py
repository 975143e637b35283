"""DualPI2, the coupled dual queue of L4S (RFC 9332): one queue for scalable flows, one for all others, one controller.

    L   packets with ECT(1) or CE; marked with the larger of the queue's own law and the coupled probability
    C   all others; marked, or dropped, with the square of the base probability

    base p' += alpha (delay - target) + beta (delay - delay before), every update; delay: the longer one's (appendix A)
    p_CL = k p'      coupled, for L
    p_C  = p'^2      so p_C = (p_CL / k)^2, which makes windows equal (section 2.1, equation 1)

L's own law is a ramp of `range` above `min`, or a step where there is no range; it looks at how long a packet waited,
and only while another one waits behind. Overload (p_CL is 1 or more): L drops with p_C as well, and C no longer marks;
without `drops_overload` p' stays at 1/k and the queues grow until they are full (section 4.2.3).

Signals are not drawn: probabilities add up, and one is given for each whole (appendix A.1, recur). The scheduler is
weighted round robin by bytes: C has `c_share` while both have packets, and what L leaves (4.2.2; as in Linux).
Updates are caught up with, see `periodic`. Floating point, by additions and multiplications in a fixed order.
"""

from __future__ import annotations

from collections import deque

from transports.errors import TransportError
from transports.link.bounded import NO_LIMITS, Limits
from transports.link.checks import check_at_least, check_probability
from transports.link.packet import ECN_NOT_ECT, LinkPacket
from transports.link.periodic import PeriodicQueue


class DualPi2(PeriodicQueue):
    """target_ns: of C. rtt_max_ns: the longest round trip for which it is stable; gains and period follow from it.

    update_ns, alpha_hz, beta_hz: these themselves, None for the RFC's. k: coupling. min_ns, range_ns: L's ramp.
    c_share: of C, 0 to 1. drops_overload: see the module. is_ecn: C marks packets that allow it. TransportError for
    values out of range.

    base: p'. coupled, classic: p_CL and p_C that follow. delay_ns: at the last update. low_packets: that wait in L.
    """

    def __init__(
        self,
        *,
        target_ns: int = 15_000_000,
        rtt_max_ns: int = 100_000_000,
        update_ns: int | None = None,
        alpha_hz: float | None = None,
        beta_hz: float | None = None,
        k: float = 2.0,
        min_ns: int = 800_000,
        range_ns: int = 400_000,
        c_share: float = 0.1,
        drops_overload: bool = True,
        is_ecn: bool = True,
        limits: Limits = NO_LIMITS,
    ) -> None:
        check_at_least("rtt_max", rtt_max_ns, 1)
        if update_ns is None:
            update_ns = max(1, min(target_ns, rtt_max_ns // 3))
        super().__init__(update_ns, limits)
        check_at_least("target", target_ns, 1)
        check_at_least("min", min_ns, 0)
        check_at_least("range", range_ns, 0)
        check_probability("c_share", c_share)
        alpha = _gain("alpha", alpha_hz, 0.1 * update_ns * NS_PER_SECOND / (rtt_max_ns * rtt_max_ns))
        beta = _gain("beta", beta_hz, 0.3 * NS_PER_SECOND / rtt_max_ns)
        if not 1.0 <= k <= K_MAX:
            raise TransportError(f"k is a factor from 1 to {K_MAX:g}, not {k}")
        self.target_ns = target_ns
        self.k = k
        self.min_ns = min_ns
        self.range_ns = range_ns
        self.c_share = c_share
        self.drops_overload = drops_overload
        self.is_ecn = is_ecn
        self.base = self.coupled = self.classic = 0.0
        self.delay_ns = 0
        self._alpha = alpha / NS_PER_SECOND
        self._beta = beta / NS_PER_SECOND
        self._low: deque[LinkPacket] = deque()
        # What adds up until a signal is given, of each queue, and of L's drops when overloaded.
        self._low_count = self._classic_count = self._overload_count = 0.0
        self._first_credit = self._credit = (c_share + c_share - 1.0) * MTU_BYTES

    @property
    def low_packets(self) -> int:
        """That wait in L."""
        return len(self._low)

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet into its queue, if there is room in both together."""
        if now >= self.due_ns:
            self.catch_up(now)
        size_bytes = packet.size_bytes
        if not self.has_room(size_bytes):
            self.drop(packet)
            return False
        packet.enqueued_ns = now
        (self._low if packet.ecn & 1 else self._packets).append(packet)
        self.backlog_packets += 1
        self.backlog_bytes += size_bytes
        return True

    def dequeue(self, now: int) -> LinkPacket | None:
        """The next packet of the queue whose turn it is, marked or not, after drops."""
        if now >= self.due_ns:
            self.catch_up(now)
        low, classic = self._low, self._packets
        while low or classic:
            is_low = bool(low) and (not classic or self._credit <= 0.0)
            packet = (low if is_low else classic).popleft()
            size_bytes = packet.size_bytes
            self.backlog_packets -= 1
            self.backlog_bytes -= size_bytes
            if self._is_dropped_low(packet, now) if is_low else self._is_dropped_classic(packet):
                self.drop(packet)
                continue
            if is_low and classic:
                self._credit += self.c_share * size_bytes
            elif low and not is_low:
                self._credit -= (1.0 - self.c_share) * size_bytes
            return packet
        self._credit = self._first_credit
        return None

    def update(self, time_ns: int) -> None:
        """The base probability and what follows from it (appendix A.1, dualpi2_update)."""
        delay_ns = self.waited_ns(time_ns)
        if self._low:
            delay_ns = max(delay_ns, time_ns - self._low[0].enqueued_ns)
        base = self.base + self._alpha * (delay_ns - self.target_ns) + self._beta * (delay_ns - self.delay_ns)
        self.base = base = min(max(base, 0.0), 1.0 if self.drops_overload else 1.0 / self.k)
        self.coupled = self.k * base
        self.classic = base * base
        self.delay_ns = delay_ns

    def is_settled(self) -> bool:
        """Nothing waits, and the controller is at rest."""
        return not self.backlog_packets and not self.delay_ns and (not self.base or not self._alpha)

    def native(self, waited_ns: int) -> float:
        """The probability that L's own law has for a packet that waited so long (appendix A.1, laqm)."""
        above_ns = waited_ns - self.min_ns
        if above_ns <= 0:
            return 0.0
        return 1.0 if above_ns >= self.range_ns else above_ns / self.range_ns

    def _is_dropped_low(self, packet: LinkPacket, now: int) -> bool:
        """Gives a packet of L its mark; True if it has to be dropped instead."""
        coupled = self.coupled
        if coupled >= 1.0:
            if self.drops_overload:
                self._overload_count += self.classic
                if self._overload_count > 1.0:
                    self._overload_count -= 1.0
                    return True
            self.mark(packet)
            return False
        # With nothing behind it a packet waited for the link alone, not in a queue.
        native = self.native(now - packet.enqueued_ns) if self._low else 0.0
        self._low_count += max(native, coupled)
        if self._low_count > 1.0:
            self._low_count -= 1.0
            self.mark(packet)
        return False

    def _is_dropped_classic(self, packet: LinkPacket) -> bool:
        """The same of C."""
        self._classic_count += self.classic
        if self._classic_count <= 1.0:
            return False
        self._classic_count -= 1.0
        if not self.is_ecn or packet.ecn == ECN_NOT_ECT or (self.drops_overload and self.coupled >= 1.0):
            return True
        self.mark(packet)
        return False


def _gain(name: str, given: float | None, derived: float) -> float:
    gain = derived if given is None else given
    if not 0.0 <= gain <= GAIN_MAX_HZ:
        raise TransportError(f"{name} is a gain from 0 to {GAIN_MAX_HZ:g} Hz, not {gain:g}")
    return gain


K_MAX = 16.0
GAIN_MAX_HZ = 1e6
MTU_BYTES = 1500
NS_PER_SECOND = 1_000_000_000
