"""What follows from the model: pacing rate and burst, how much should be in flight, and cwnd with its recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1.constants import (
    BBR_SCALE,
    BBR_UNIT,
    BW_SCALE,
    BW_UNIT,
    CWND_MIN_TARGET,
    HIGH_GAIN,
    INITIAL_CWND,
    MAX_BURST_BYTES,
    MIN_TSO_RATE_BYTES,
    NO_RTT_US,
    OPEN,
    PACING_MARGIN_PERCENT,
    PROBE_BW,
    PROBE_RTT,
    RECOVERY,
)

if TYPE_CHECKING:
    from stacks.congestion.bbr1.controller import Bbr1
    from stacks.congestion.controller import Ack


def rate_bytes_per_second(bbr: Bbr1, bw: int, gain: int) -> int:
    """A bandwidth, with a gain, as bytes per second less 1 % (bbr_rate_bytes_per_sec)."""
    rate = bw * bbr.packet_bytes * gain >> BBR_SCALE
    return rate * (1_000_000 // 100 * (100 - PACING_MARGIN_PERCENT)) >> BW_SCALE


def init_pacing_rate(bbr: Bbr1) -> None:
    """The high gain times cwnd per round trip; 1 ms while no round trip is known, which the first one puts right."""
    srtt_us = bbr.delivery.srtt_ns // 1000
    if srtt_us:
        bbr.has_seen_rtt = True
    _pace(bbr, rate_bytes_per_second(bbr, (bbr.cwnd << BW_SCALE) // (srtt_us or 1000), HIGH_GAIN))


def set_pacing_rate(bbr: Bbr1, bw: int, gain: int) -> None:
    """Pace at gain times bandwidth; before the pipe is full the rate only rises."""
    if not bbr.has_seen_rtt and bbr.delivery.srtt_ns:
        init_pacing_rate(bbr)
    if bw == bbr.paced_bw and gain == bbr.paced_gain and bbr.full_bw_reached:
        return
    rate = rate_bytes_per_second(bbr, bw, gain)
    if bbr.full_bw_reached or rate > bbr.pacing_rate:
        bbr.paced_bw, bbr.paced_gain = bw, gain
        _pace(bbr, rate)


def _pace(bbr: Bbr1, rate: int) -> None:
    bbr.pacing_rate = rate = max(rate, 1)
    bbr.rate_bps = rate * 8
    # bbr_tso_segs_goal: a millisecond's worth, one packet at least below 1.2 Mbit/s and two above.
    segments = min(rate >> 10, MAX_BURST_BYTES) // bbr.packet_bytes
    bbr.tso_segs_goal = min(max(segments, 1 if rate < MIN_TSO_RATE_BYTES else 2), 0x7F)
    bbr.send_quantum_bytes = bbr.tso_segs_goal * bbr.packet_bytes


def bdp(bbr: Bbr1, bw: int, gain: int) -> int:
    """Packets in bandwidth times min_rtt times gain, rounded up."""
    if bbr.min_rtt_us == NO_RTT_US:
        return INITIAL_CWND
    return ((bw * bbr.min_rtt_us * gain >> BBR_SCALE) + BW_UNIT - 1) >> BW_SCALE


def quantization_budget(bbr: Bbr1, cwnd: int) -> int:
    """Room for three bursts at the ends, an even number of packets, and two more while probing for bandwidth."""
    cwnd = cwnd + 3 * bbr.tso_segs_goal + 1 & ~1
    if bbr.state == PROBE_BW and bbr.cycle_idx == 0:
        cwnd += 2
    return cwnd


def inflight(bbr: Bbr1, bw: int, gain: int) -> int:
    """How many packets should be in flight."""
    return quantization_budget(bbr, bdp(bbr, bw, gain))


def packets_in_net(bbr: Bbr1, inflight_bytes: int, now: int) -> int:
    """How many of those in flight will be in the network when the pacer lets the next leave (.._in_net_at_edt)."""
    packets = -(-inflight_bytes // bbr.packet_bytes)
    wait_us = max(bbr.delivery.next_send_ns - now, 0) // 1000
    bw = bbr.lt_bw if bbr.lt_use_bw else bbr.max_bw.best
    if bbr.pacing_gain > BBR_UNIT:
        packets += bbr.tso_segs_goal
    return max(packets - (bw * wait_us >> BW_SCALE), 0)


def set_cwnd(bbr: Bbr1, ack: Ack, bw: int, extra: int) -> None:
    """Grow towards the target, snap down to it once the pipe is full (bbr_set_cwnd). extra: for aggregation."""
    acked = ack.acked_packets
    is_steady = not bbr.losses and bbr.ca_state == bbr.prev_ca_state and not bbr.packet_conservation
    if acked and (is_steady or not _recover_or_restore(bbr, ack, acked)):
        cwnd = bbr.cwnd
        target = quantization_budget(bbr, bdp(bbr, bw, bbr.cwnd_gain) + extra)
        if bbr.full_bw_reached:
            cwnd = min(cwnd + acked, target)
        elif cwnd < target or bbr.delivery.delivered_bytes < INITIAL_CWND * bbr.packet_bytes:
            cwnd += acked
        bbr.cwnd = max(cwnd, CWND_MIN_TARGET)
    if bbr.state == PROBE_RTT and bbr.cwnd > CWND_MIN_TARGET:
        bbr.cwnd = CWND_MIN_TARGET
    bbr.window_bytes = bbr.cwnd * bbr.packet_bytes


def _recover_or_restore(bbr: Bbr1, ack: Ack, acked: int) -> bool:
    """Whether the window is that of packet conservation, the first round of a recovery."""
    previous, state = bbr.prev_ca_state, bbr.ca_state
    cwnd = bbr.cwnd
    if bbr.losses:
        cwnd = max(cwnd - bbr.losses, 1)
    in_flight = -(-ack.inflight_bytes // bbr.packet_bytes)
    if state == RECOVERY and previous != RECOVERY:
        bbr.packet_conservation = True
        bbr.next_rtt_delivered = bbr.delivery.delivered_bytes
        cwnd = in_flight + acked
    elif previous != OPEN and state == OPEN:
        cwnd = max(cwnd, bbr.prior_cwnd)
        bbr.packet_conservation = False
    bbr.prev_ca_state = state
    bbr.cwnd = max(cwnd, in_flight + acked) if bbr.packet_conservation else cwnd
    return bbr.packet_conservation
