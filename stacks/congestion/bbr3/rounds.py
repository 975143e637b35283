"""What each acknowledgement tells first: the latest delivery, the round, max_bw, congestion (5.5.1, 5.5.5, 5.5.10.3).

All of it happens for every acknowledgement, so the steps of the draft stand in one function, in its order.
"""

from __future__ import annotations

from stacks.congestion.bbr3.constants import BETA, INFINITY
from stacks.congestion.bbr3.machine import State
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def start_round(bbr: Variables) -> None:
    """StartRound: what is in flight now ends the round (5.5.1)."""
    bbr.next_round_delivered = bbr.delivery.delivered_bytes


def update_signals(bbr: Variables, ack: Ack) -> None:
    """UpdateLatestDeliverySignals and UpdateCongestionSignals, with UpdateMaxBw and UpdateRound inside."""
    rate = ack.delivery_rate_bps
    prior_delivered = ack.prior_delivered_bytes
    if rate > bbr.bw_latest:
        bbr.bw_latest = rate
    if ack.delivered_bytes > bbr.inflight_latest:
        bbr.inflight_latest = ack.delivered_bytes

    if prior_delivered >= bbr.next_round_delivered:
        bbr.next_round_delivered = bbr.delivery.delivered_bytes
        bbr.round_count += 1
        bbr.rounds_since_probe_up += 1
        bbr.round_start = True
    else:
        bbr.round_start = False

    if rate > 0 and (rate >= bbr.max_bw or not ack.is_app_limited):
        # The first sample of a cycle is always above: max_bw then forgets the cycle before the previous one.
        if rate > bbr.max_bw_current:
            bbr.max_bw_current = rate
            bbr.max_bw = max(rate, bbr.max_bw_previous)

    if prior_delivered >= bbr.loss_round_delivered:
        bbr.loss_round_delivered = bbr.delivery.delivered_bytes
        bbr.loss_round_start = True
        if bbr.is_loss_in_round:
            _adapt_lower_bounds_from_congestion(bbr)
            bbr.is_loss_in_round = False
    else:
        bbr.loss_round_start = False


def advance_max_bw_filter(bbr: Variables) -> None:
    """AdvanceMaxBwFilter: a cycle is over; max_bw itself waits for the next sample (5.5.6)."""
    bbr.cycle_count += 1
    bbr.max_bw_previous = bbr.max_bw_current
    bbr.max_bw_current = 0


def reset_congestion_signals(bbr: Variables) -> None:
    """ResetCongestionSignals (5.5.10.3)."""
    bbr.is_loss_in_round = False
    bbr.bw_latest = 0
    bbr.inflight_latest = 0


def reset_short_term_model(bbr: Variables) -> None:
    """ResetShortTermModel (5.5.10.3)."""
    bbr.bw_shortterm = INFINITY
    bbr.inflight_shortterm = INFINITY
    bbr.is_stale = True


def _adapt_lower_bounds_from_congestion(bbr: Variables) -> None:
    # AdaptLowerBoundsFromCongestion, InitLowerBounds and LossLowerBounds: once a round with loss.
    if bbr.phase in PROBING:
        return
    if bbr.bw_shortterm == INFINITY:
        bbr.bw_shortterm = bbr.max_bw
    if bbr.inflight_shortterm == INFINITY:
        bbr.inflight_shortterm = bbr.window_bytes
    bbr.bw_shortterm = max(bbr.bw_latest, bbr.bw_shortterm * BETA // 100)
    bbr.inflight_shortterm = max(bbr.inflight_latest, bbr.inflight_shortterm * BETA // 100)


PROBING = (State.STARTUP, State.REFILL, State.UP)
"""IsProbingBW."""
