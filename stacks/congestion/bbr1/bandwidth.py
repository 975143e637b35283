"""The bandwidth of the path: rounds, samples, and their maximum over ten rounds (bbr_update_bw)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1 import policer
from stacks.congestion.bbr1.constants import BW_SCALE

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1
    from stacks.congestion.controller import Ack


def update(bbr: Bbr1, ack: Ack) -> None:
    """Take in a sample; one that the application limited counts only where it is no lower than what is known."""
    bbr.round_start = False
    if not ack.delivery_rate_bps:
        return
    if ack.prior_delivered_bytes >= bbr.next_rtt_delivered:
        bbr.next_rtt_delivered = bbr.delivery.delivered_bytes
        bbr.rtt_cnt += 1
        bbr.round_start = True
        bbr.packet_conservation = False
    if bbr.lt_is_sampling or bbr.losses or bbr.lt_use_bw:
        policer.sample(bbr, bbr.losses, is_app_limited=ack.is_app_limited)
    interval_us = ack.interval_ns // 1000 or 1
    bw = (ack.delivered_bytes << BW_SCALE) // (bbr.packet_bytes * interval_us)
    if not ack.is_app_limited or bw >= bbr.max_bw.best:
        bbr.max_bw.update(bbr.rtt_cnt, bw)
