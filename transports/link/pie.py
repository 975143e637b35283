"""PIE, proportional integral controller enhanced (RFC 8033): random drops on arrival hold the delay at a target.

    every update  p += alpha (delay - target) + beta (delay - delay before), with both gains smaller for a small p (4.2)
    on arrival    nothing while a burst is allowed, while the delay is low, or in front of a short queue (4.1);
                  else a drop with probability p, made less random (5.4), or a mark below `mark_below` (5.1)

The delay is how long the oldest packet has waited, by its time stamp (4.3); a departure rate is not estimated (5.2).
Done of the optional parts: ECN (5.1), derandomization (5.4), the limit on p's growth (5.5). Left out: being inactive
until the queue is a third full (5.3). Updates are caught up with, see `periodic`. Probabilities are floating point, by
additions and multiplications in a fixed order.
"""

from __future__ import annotations

import random

from transports.errors import TransportError
from transports.link.bounded import NO_LIMITS, Limits
from transports.link.checks import check_at_least, check_probability
from transports.link.packet import LinkPacket
from transports.link.periodic import PeriodicQueue


class Pie(PeriodicQueue):
    """target_ns: the delay. update_ns: between updates. alpha_hz, beta_hz: gains. burst_ns: how long one is allowed.

    is_ecn: mark packets that allow it while the probability is below `mark_below`. packet_bytes: of a typical packet;
    two of them are a short queue. is_derandomized: see the module. rng: drawn once a packet at most.
    TransportError for values out of range.

    probability: p. delay_ns: at the last update. burst_left_ns: of what is allowed.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        target_ns: int = 15_000_000,
        update_ns: int = 15_000_000,
        alpha_hz: float = 0.125,
        beta_hz: float = 1.25,
        burst_ns: int = 150_000_000,
        is_ecn: bool = True,
        mark_below: float = 0.1,
        packet_bytes: int = 1500,
        is_derandomized: bool = True,
        limits: Limits = NO_LIMITS,
    ) -> None:
        super().__init__(update_ns, limits)
        check_at_least("target", target_ns, 1)
        check_at_least("burst", burst_ns, 0)
        check_probability("mark_below", mark_below)
        check_at_least("packet", packet_bytes, 1)
        for name, gain in (("alpha", alpha_hz), ("beta", beta_hz)):
            if not 0.0 <= gain <= GAIN_MAX_HZ:
                raise TransportError(f"{name} is a gain from 0 to {GAIN_MAX_HZ:g} Hz, not {gain}")
        self.target_ns = target_ns
        self.burst_ns = burst_ns
        self.is_ecn = is_ecn
        self.mark_below = mark_below
        self.is_derandomized = is_derandomized
        self.probability = 0.0
        self.delay_ns = 0
        self.burst_left_ns = burst_ns
        self._alpha = alpha_hz / NS_PER_SECOND
        self._beta = beta_hz / NS_PER_SECOND
        self._short_bytes = 2 * packet_bytes
        self._accumulated = 0.0
        self._draw = rng.random

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, marked or not, or drop it."""
        if now >= self.due_ns:
            self.catch_up(now)
        if not self.has_room(packet.size_bytes) or (self._wants_signal() and not self._mark(packet)):
            self.drop(packet)
            self._accumulated = 0.0
            return False
        self.append(packet, now)
        return True

    def dequeue(self, now: int) -> LinkPacket | None:
        """The oldest packet."""
        if now >= self.due_ns:
            self.catch_up(now)
        return self.pop()

    def update(self, time_ns: int) -> None:
        """Section 4.2, with the limit of 5.5 and the allowance of 4.4."""
        delay_ns, former_ns, p = self.waited_ns(time_ns), self.delay_ns, self.probability
        change = self._alpha * (delay_ns - self.target_ns) + self._beta * (delay_ns - former_ns)
        for below, divisor in TUNING:
            if p < below:
                change /= divisor
                break
        if p >= CAPPED_FROM:
            change = min(change, GROWTH_MAX)
        p += change
        if not delay_ns and not former_ns:
            p *= DECAY
        self.probability = p = min(max(p, 0.0), 1.0)
        self.delay_ns = delay_ns
        self.burst_left_ns = max(0, self.burst_left_ns - self.period_ns)
        if not p and 2 * delay_ns < self.target_ns and 2 * former_ns < self.target_ns:
            self.burst_left_ns = self.burst_ns

    def is_settled(self) -> bool:
        """Nothing waits, and the controller is at rest."""
        return not self._packets and not self.probability and not self.delay_ns and self.burst_left_ns == self.burst_ns

    def _wants_signal(self) -> bool:
        p = self.probability
        if self.burst_left_ns or self.backlog_bytes <= self._short_bytes:
            return False
        if p < LOW_PROBABILITY and 2 * self.delay_ns < self.target_ns:
            return False
        if self.is_derandomized:
            # Between two signals p adds up to 0.85 at least, and to 8.5 at most.
            self._accumulated = self._accumulated + p if p else 0.0
            if self._accumulated < ACCUMULATED_MIN:
                return False
            if self._accumulated < ACCUMULATED_MAX and self._draw() >= p:
                return False
            self._accumulated = 0.0
            return True
        return self._draw() < p

    def _mark(self, packet: LinkPacket) -> bool:
        return self.is_ecn and self.probability < self.mark_below and self.mark(packet)


TUNING = ((1e-6, 2048), (1e-5, 512), (1e-4, 128), (1e-3, 32), (1e-2, 8), (1e-1, 2))
"""Below which probability gains are divided by what (section 4.2)."""
CAPPED_FROM = 0.1
GROWTH_MAX = 0.02
DECAY = 0.98
LOW_PROBABILITY = 0.2
ACCUMULATED_MIN = 0.85
ACCUMULATED_MAX = 8.5
GAIN_MAX_HZ = 1e6
NS_PER_SECOND = 1_000_000_000
