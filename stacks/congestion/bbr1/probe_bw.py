"""PROBE_BW: the gain cycle, which finds bandwidth in one phase, gives the queue back in the next, and cruises for six.

gain 5/4    for a min_rtt, and until something is lost or 5/4 of the BDP is in flight
gain 3/4    for a min_rtt, or until no more than the BDP is in flight
gain 1      for a min_rtt, six times
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1.constants import BBR_UNIT, CYCLE_LENGTH, CYCLE_RAND, PROBE_BW
from stacks.congestion.bbr1.window import inflight, packets_in_net

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1
    from stacks.congestion.controller import Ack


def enter(bbr: Bbr1) -> None:
    """Begin in a phase drawn by lot, never the one that drains (bbr_reset_probe_bw_mode)."""
    bbr.state = PROBE_BW
    bbr.cycle_idx = CYCLE_LENGTH - 1 - int(bbr.rng.random() * CYCLE_RAND)
    _advance(bbr)


def update(bbr: Bbr1, ack: Ack, now: int) -> None:
    """Of each acknowledgement (bbr_update_cycle_phase)."""
    if bbr.state == PROBE_BW and _is_phase_over(bbr, ack, now):
        _advance(bbr)


def _is_phase_over(bbr: Bbr1, ack: Ack, now: int) -> bool:
    is_full_length = (bbr.delivery.delivered_ns - bbr.cycle_ns) // 1000 > bbr.min_rtt_us
    gain = bbr.pacing_gain
    if gain == BBR_UNIT:
        return is_full_length
    if gain > BBR_UNIT:
        if not is_full_length or bbr.losses:
            return is_full_length
        return _in_net(bbr, ack, now) >= inflight(bbr, bbr.max_bw.best, gain)
    return is_full_length or _in_net(bbr, ack, now) <= inflight(bbr, bbr.max_bw.best, BBR_UNIT)


def _in_net(bbr: Bbr1, ack: Ack, now: int) -> int:
    # What was in flight before this acknowledgement (prior_in_flight).
    return packets_in_net(bbr, ack.inflight_bytes + ack.acked_bytes + ack.lost_bytes, now)


def _advance(bbr: Bbr1) -> None:
    bbr.cycle_idx = (bbr.cycle_idx + 1) % CYCLE_LENGTH
    bbr.cycle_ns = bbr.delivery.delivered_ns
