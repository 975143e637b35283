"""The control parameters: pacing rate, send quantum, congestion window (5.6), and the volumes they rest on (5.5.8)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import (
    BIT_NS_PER_BYTE_S,
    HEADROOM,
    INFINITY,
    MAX_SEND_QUANTUM_BYTES,
    NOMINAL_RTT_NS,
    PACING_MARGIN_PERCENT,
    PROBE_RTT_CWND_GAIN,
    SECOND_NS,
    SEND_QUANTUM_NS,
    STARTUP_PACING_GAIN,
)
from stacks.congestion.bbr3.machine import State
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def init_pacing_rate(bbr: Variables) -> None:
    """InitPacingRate (5.6.2): the initial window in a round trip, or in 1 ms while that is not known."""
    window_bits_ns = bbr.initial_cwnd * BIT_NS_PER_BYTE_S
    bbr.rate_bps = STARTUP_PACING_GAIN * window_bits_ns // (100 * (bbr.delivery.srtt_ns or NOMINAL_RTT_NS)) or 1


def set_pacing_rate_with_gain(bbr: Variables, gain: int) -> None:
    """SetPacingRateWithGain: 1 % below the gain's share of bw; before the pipe was full only upward."""
    rate = gain * bbr.bw * (100 - PACING_MARGIN_PERCENT) // 10_000
    if rate > 0 and (bbr.full_bw_reached or rate > bbr.rate_bps):
        bbr.rate_bps = rate


def set_rates_and_budgets(bbr: Variables) -> None:
    """SetPacingRate, SetSendQuantum and UpdateMaxInflight, when something that they rest on has changed."""
    bbr.is_stale = False
    if not bbr.has_seen_rtt and bbr.delivery.srtt_ns:
        bbr.has_seen_rtt = True
        init_pacing_rate(bbr)
    set_pacing_rate_with_gain(bbr, bbr.pacing_gain)
    quantum = min(bbr.rate_bps * SEND_QUANTUM_NS // (8 * SECOND_NS), MAX_SEND_QUANTUM_BYTES)
    bbr.send_quantum_bytes = max(quantum, 2 * bbr.smss)
    bbr.offload_budget = bbr.offload_quanta * bbr.send_quantum_bytes
    if bbr.min_rtt < INFINITY:
        bbr.bdp = bbr.bw * bbr.min_rtt // BIT_NS_PER_BYTE_S
    bbr.max_inflight = _quantization_budget(bbr, _bdp_multiple(bbr, bbr.bw, bbr.cwnd_gain) + bbr.extra_acked)


def set_cwnd(bbr: Variables, ack: Ack) -> None:
    """SetCwnd without UpdateMaxInflight (5.6.4.6)."""
    cwnd = bbr.window_bytes
    max_inflight = bbr.max_inflight
    if bbr.full_bw_reached:
        cwnd += ack.acked_bytes
        if cwnd > max_inflight:
            cwnd = max_inflight
    elif cwnd < max_inflight or bbr.delivery.delivered_bytes < bbr.initial_cwnd:
        cwnd += ack.acked_bytes
    if cwnd < bbr.min_pipe_cwnd:
        cwnd = bbr.min_pipe_cwnd
    if bbr.phase is State.PROBE_RTT:
        cwnd = min(cwnd, probe_rtt_cwnd(bbr))
    if bbr.inflight_longterm < INFINITY or bbr.inflight_shortterm < INFINITY:
        cwnd = min(cwnd, _volume_cap(bbr))
    bbr.window_bytes = cwnd


def inflight(bbr: Variables, gain: int) -> int:
    """Inflight(gain): so much in flight keeps the path busy at bw."""
    return inflight_of(bbr, bbr.bw, gain)


def inflight_of(bbr: Variables, bw: int, gain: int) -> int:
    """Inflight(bw, gain), as IsTimeToCruise calls it."""
    return _quantization_budget(bbr, _bdp_multiple(bbr, bw, gain))


def inflight_with_headroom(bbr: Variables) -> int:
    """InflightWithHeadroom: what leaves room to others."""
    longterm = bbr.inflight_longterm
    if longterm == INFINITY:
        return INFINITY
    return max(longterm - max(bbr.smss, longterm * HEADROOM // 100), bbr.min_pipe_cwnd)


def probe_rtt_cwnd(bbr: Variables) -> int:
    """ProbeRTTCwnd: half a BDP, four packets at least (5.6.4.5)."""
    return max(_bdp_multiple(bbr, bbr.bw, PROBE_RTT_CWND_GAIN), bbr.min_pipe_cwnd)


def _bdp_multiple(bbr: Variables, bw: int, gain: int) -> int:
    if bbr.min_rtt == INFINITY:
        return bbr.initial_cwnd
    return gain * (bw * bbr.min_rtt // BIT_NS_PER_BYTE_S) // 100


def _quantization_budget(bbr: Variables, inflight_cap: int) -> int:
    inflight_cap = max(inflight_cap, bbr.offload_budget, bbr.min_pipe_cwnd)
    return inflight_cap + 2 * bbr.smss if bbr.phase is State.UP else inflight_cap


def _volume_cap(bbr: Variables) -> int:
    # BoundCwndForModel
    phase = bbr.phase
    if phase is State.CRUISE or phase is State.PROBE_RTT:
        cap = inflight_with_headroom(bbr)
    elif phase is State.STARTUP or phase is State.DRAIN:
        cap = INFINITY
    else:
        cap = bbr.inflight_longterm
    return max(min(cap, bbr.inflight_shortterm), bbr.min_pipe_cwnd)
