"""HyStart++: leave the first slow start when round trips grow, before the queue overflows (RFC 9406).

    slow start               a round whose smallest RTT is above the last one's by 1/8 of it (4 to 16 ms)
      -> conservative        (CSS) growth divided by 4; an RTT below that of its first round: back to slow start
      -> over                after 5 rounds of it

Rounds are those of RFC 9406 4.2: one ends when a packet that was sent after its beginning is acknowledged. The document
bounds the growth for one acknowledgement to 8 packets where the sender does not pace (`ABC_PACKETS`).
"""

from __future__ import annotations


class HyStart:
    """The first slow start of one flow.

    is_conservative: in CSS. css_rounds: rounds of it that are complete. baseline_ns: the RTT at which it began
    (cssBaselineMinRtt). round_min_ns, last_round_min_ns: smallest RTT of this round and of the one before, NEVER where
    there is none. samples: of this round.
    """

    __slots__ = ("_round_start_ns", "baseline_ns", "css_rounds", "is_conservative", "last_round_min_ns", "round_min_ns",
                 "samples")  # fmt: skip

    def __init__(self, start_ns: int) -> None:
        self.is_conservative = False
        self.css_rounds = 0
        self.baseline_ns = NEVER
        self.round_min_ns = self.last_round_min_ns = NEVER
        self.samples = 0
        # The packets that leave first are a round.
        self._round_start_ns = start_ns + 1

    def is_over(self, rtt_ns: int | None, newest_sent_ns: int, now: int) -> bool:
        """Of each acknowledgement in slow start, as `Ack` tells it: whether slow start ends here."""
        if newest_sent_ns >= self._round_start_ns:
            if self._end_round():
                return True
            self._round_start_ns = now
        if rtt_ns is None:
            return False
        if rtt_ns < self.round_min_ns:
            self.round_min_ns = rtt_ns
        self.samples += 1
        if self.samples >= RTT_SAMPLES:
            self._judge()
        return False

    def _end_round(self) -> bool:
        self.last_round_min_ns = self.round_min_ns
        self.round_min_ns = NEVER
        self.samples = 0
        if self.is_conservative:
            self.css_rounds += 1
        return self.css_rounds >= CSS_ROUNDS

    def _judge(self) -> None:
        if self.is_conservative:
            if self.round_min_ns < self.baseline_ns:
                self.is_conservative = False
                self.baseline_ns = NEVER
                self.css_rounds = 0
            return
        last_ns = self.last_round_min_ns
        if last_ns == NEVER:
            return
        threshold_ns = max(MIN_RTT_THRESH_NS, min(last_ns // MIN_RTT_DIVISOR, MAX_RTT_THRESH_NS))
        if self.round_min_ns >= last_ns + threshold_ns:
            self.is_conservative = True
            self.baseline_ns = self.round_min_ns


MIN_RTT_THRESH_NS = 4_000_000
MAX_RTT_THRESH_NS = 16_000_000
MIN_RTT_DIVISOR = 8
RTT_SAMPLES = 8
CSS_GROWTH_DIVISOR = 4
CSS_ROUNDS = 5
ABC_PACKETS = 8
NEVER = 1 << 62
