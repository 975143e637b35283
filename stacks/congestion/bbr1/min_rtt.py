"""The smallest round trip, and PROBE_RTT, which empties the queue to see it when it has not been seen for 10 s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1 import probe_bw
from stacks.congestion.bbr1.constants import (
    CWND_MIN_TARGET,
    MIN_RTT_WINDOW_NS,
    OPEN,
    PROBE_RTT,
    PROBE_RTT_NS,
    STARTUP,
)

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1
    from stacks.congestion.controller import Ack


def update(bbr: Bbr1, ack: Ack, now: int) -> None:
    """Keep the minimum of 10 s; go into PROBE_RTT and out of it (bbr_update_min_rtt)."""
    is_expired = now > bbr.min_rtt_stamp_ns + MIN_RTT_WINDOW_NS
    if ack.rtt_ns is not None:
        rtt_us = ack.rtt_ns // 1000
        if rtt_us <= bbr.min_rtt_us or is_expired:
            bbr.min_rtt_us = rtt_us
            bbr.min_rtt_stamp_ns = now
    if is_expired and not bbr.idle_restart and bbr.state != PROBE_RTT:
        bbr.state = PROBE_RTT
        save_cwnd(bbr)
        bbr.probe_rtt_done_ns = 0
    if bbr.state == PROBE_RTT:
        _stay(bbr, ack, now)
    if ack.delivered_bytes > 0:
        bbr.idle_restart = False


def check_done(bbr: Bbr1, now: int) -> None:
    """Leave PROBE_RTT when its time is over; the next is 10 s away."""
    if not bbr.probe_rtt_done_ns or now <= bbr.probe_rtt_done_ns:
        return
    bbr.min_rtt_stamp_ns = now
    bbr.cwnd = max(bbr.cwnd, bbr.prior_cwnd)
    if bbr.full_bw_reached:
        probe_bw.enter(bbr)
    else:
        bbr.state = STARTUP


def save_cwnd(bbr: Bbr1) -> None:
    """Remember the window that was good, for when recovery or PROBE_RTT is over."""
    if bbr.prev_ca_state == OPEN and bbr.state != PROBE_RTT:
        bbr.prior_cwnd = bbr.cwnd
    else:
        bbr.prior_cwnd = max(bbr.prior_cwnd, bbr.cwnd)


def _stay(bbr: Bbr1, ack: Ack, now: int) -> None:
    bbr.delivery.application_limited()  # what so small a window delivers says nothing of the path
    if not bbr.probe_rtt_done_ns:
        if ack.inflight_bytes <= CWND_MIN_TARGET * bbr.packet_bytes:
            bbr.probe_rtt_done_ns = now + PROBE_RTT_NS
            bbr.probe_rtt_round_done = False
            bbr.next_rtt_delivered = bbr.delivery.delivered_bytes
        return
    if bbr.round_start:
        bbr.probe_rtt_round_done = True
    if bbr.probe_rtt_round_done:
        check_done(bbr, now)
