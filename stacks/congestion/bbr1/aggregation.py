"""How much more than expected is acknowledged at once; cwnd makes room for it (bbr_update_ack_aggregation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1.constants import ACK_EPOCH_RESET, BW_SCALE, EXTRA_ACKED_MAX_US, EXTRA_ACKED_ROUNDS

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1
    from stacks.congestion.controller import Ack


def update(bbr: Bbr1, ack: Ack) -> None:
    """Count what this epoch brought beyond bandwidth times time; two halves of 5 rounds keep the maximum."""
    if not ack.delivery_rate_bps or not ack.acked_packets:
        return
    extra_acked = bbr.extra_acked
    if bbr.round_start:
        bbr.extra_acked_win_rtts += 1
        if bbr.extra_acked_win_rtts >= EXTRA_ACKED_ROUNDS:
            bbr.extra_acked_win_rtts = 0
            bbr.extra_acked_win_idx ^= 1
            extra_acked[bbr.extra_acked_win_idx] = 0
    now = bbr.delivery.delivered_ns
    bw = bbr.lt_bw if bbr.lt_use_bw else bbr.max_bw.best
    expected = bw * ((now - bbr.ack_epoch_ns) // 1000) >> BW_SCALE
    acked = bbr.ack_epoch_acked
    if acked <= expected or acked + ack.acked_packets >= ACK_EPOCH_RESET:
        acked = expected = 0
        bbr.ack_epoch_ns = now
    bbr.ack_epoch_acked = acked = acked + ack.acked_packets
    extra = min(acked - expected, bbr.cwnd)
    if extra > extra_acked[bbr.extra_acked_win_idx]:
        extra_acked[bbr.extra_acked_win_idx] = extra


def extra_cwnd(bbr: Bbr1, bw: int) -> int:
    """Packets that cwnd gets for it once the pipe is full, at most 100 ms of bandwidth."""
    return min(max(bbr.extra_acked), bw * EXTRA_ACKED_MAX_US >> BW_SCALE)
