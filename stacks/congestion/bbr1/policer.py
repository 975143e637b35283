"""The long-term model: a token-bucket policer is on the path, and its rate is the one to keep to (bbr_lt_bw_sampling).

Two intervals in a row, each of 4 to 16 rounds between losses and with a fifth or more lost, whose rates agree within an
eighth or 4 kbit/s: then their mean is the bandwidth for 48 rounds of PROBE_BW, without probing above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1 import probe_bw
from stacks.congestion.bbr1.constants import (
    BBR_SCALE,
    BBR_UNIT,
    BW_SCALE,
    LT_BW_DIFF_BYTES,
    LT_BW_MAX_ROUNDS,
    LT_BW_RATIO,
    LT_INTERVAL_MIN_ROUNDS,
    LT_LOSS_THRESH,
    PROBE_BW,
)
from stacks.congestion.bbr1.window import rate_bytes_per_second

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1


def sample(bbr: Bbr1, losses: int, *, is_app_limited: bool) -> None:
    """Of each rate sample. losses: packets newly found lost."""
    if bbr.lt_use_bw:
        if bbr.state == PROBE_BW and bbr.round_start:
            bbr.lt_rtt_cnt += 1
            if bbr.lt_rtt_cnt >= LT_BW_MAX_ROUNDS:
                reset(bbr)
                probe_bw.enter(bbr)
        return
    if not bbr.lt_is_sampling:
        # Samples that begin before the first loss contain the bucket's burst.
        if not losses:
            return
        _begin_interval(bbr)
        bbr.lt_is_sampling = True
    if is_app_limited:
        reset(bbr)
        return
    if bbr.round_start:
        bbr.lt_rtt_cnt += 1
    if bbr.lt_rtt_cnt < LT_INTERVAL_MIN_ROUNDS:
        return
    if bbr.lt_rtt_cnt > 4 * LT_INTERVAL_MIN_ROUNDS:
        reset(bbr)
        return
    # An interval that ends without a loss would leave tokens in the bucket.
    if losses:
        _judge_interval(bbr)


def reset(bbr: Bbr1) -> None:
    """Forget everything."""
    bbr.lt_bw = 0
    bbr.lt_use_bw = False
    bbr.lt_is_sampling = False
    _begin_interval(bbr)


def _begin_interval(bbr: Bbr1) -> None:
    delivery = bbr.delivery
    bbr.lt_last_stamp_ms = delivery.delivered_ns // 1_000_000
    bbr.lt_last_delivered = delivery.delivered_bytes
    bbr.lt_last_lost = delivery.lost_bytes
    bbr.lt_rtt_cnt = 0


def _judge_interval(bbr: Bbr1) -> None:
    delivery = bbr.delivery
    lost_bytes = delivery.lost_bytes - bbr.lt_last_lost
    delivered_bytes = delivery.delivered_bytes - bbr.lt_last_delivered
    if not delivered_bytes or lost_bytes << BBR_SCALE < LT_LOSS_THRESH * delivered_bytes:
        return
    elapsed_ms = delivery.delivered_ns // 1_000_000 - bbr.lt_last_stamp_ms
    if elapsed_ms < 1:
        return
    bw = (delivered_bytes << BW_SCALE) // (bbr.packet_bytes * elapsed_ms * 1000)
    if bbr.lt_bw:
        difference = abs(bw - bbr.lt_bw)
        if (
            difference * BBR_UNIT <= LT_BW_RATIO * bbr.lt_bw
            or rate_bytes_per_second(bbr, difference, BBR_UNIT) <= LT_BW_DIFF_BYTES
        ):
            bbr.lt_bw = (bw + bbr.lt_bw) >> 1
            bbr.lt_use_bw = True
            bbr.pacing_gain = BBR_UNIT
            bbr.lt_rtt_cnt = 0
            return
    bbr.lt_bw = bw
    _begin_interval(bbr)
