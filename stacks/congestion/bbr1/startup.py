"""STARTUP and DRAIN: double each round until the bandwidth grows no more, then let the queue go that this built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1 import probe_bw
from stacks.congestion.bbr1.constants import BBR_SCALE, BBR_UNIT, DRAIN, FULL_BW_COUNT, FULL_BW_THRESH, STARTUP
from stacks.congestion.bbr1.window import inflight, packets_in_net

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1
    from stacks.congestion.controller import Ack


def check_full_bw(bbr: Bbr1, ack: Ack) -> None:
    """Three rounds with data enough and less than a quarter more bandwidth: the pipe is full."""
    if bbr.full_bw_reached or not bbr.round_start or ack.is_app_limited:
        return
    best = bbr.max_bw.best
    if best >= bbr.full_bw * FULL_BW_THRESH >> BBR_SCALE:
        bbr.full_bw = best
        bbr.full_bw_cnt = 0
        return
    bbr.full_bw_cnt += 1
    bbr.full_bw_reached = bbr.full_bw_cnt >= FULL_BW_COUNT


def check_drain(bbr: Bbr1, ack: Ack, now: int) -> None:
    """STARTUP to DRAIN when the pipe is full, and on to PROBE_BW when no more than the BDP is in flight."""
    if bbr.state == STARTUP and bbr.full_bw_reached:
        bbr.state = DRAIN
    if bbr.state == DRAIN and packets_in_net(bbr, ack.inflight_bytes, now) <= inflight(bbr, bbr.max_bw.best, BBR_UNIT):
        probe_bw.enter(bbr)
