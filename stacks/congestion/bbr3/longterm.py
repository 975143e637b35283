"""The long-term model: how much in flight the path takes without losing too much of it (5.3.3.6, 5.5.10.2)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import BETA, INFINITY, LOSS_THRESH, MAX_PROBE_UP_ROUNDS
from stacks.congestion.bbr3.machine import PROBE_BW, AckPhase, Event, State
from stacks.congestion.bbr3.rounds import advance_max_bw_filter
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack
from stacks.congestion.delivery import SentPacket


def adapt_ack_phase(bbr: Variables, ack: Ack) -> Event | None:
    """The first half of AdaptLongTermModel, of an acknowledgement that begins a round: what feedback means now."""
    if bbr.ack_phase is AckPhase.PROBE_STARTING:
        bbr.ack_phase = AckPhase.PROBE_FEEDBACK
    elif bbr.ack_phase is AckPhase.PROBE_STOPPING:
        bbr.is_bw_probe_sample = False
        bbr.ack_phase = AckPhase.INIT
        if bbr.phase in PROBE_BW:
            if not ack.is_app_limited:
                advance_max_bw_filter(bbr)
            if bbr.prev_probe_precautionary and not bbr.prev_probe_too_high:
                return Event.PRECAUTION_HELD
    return None


def raise_inflight_longterm(bbr: Variables, ack: Ack) -> None:
    """The second half of AdaptLongTermModel, once inflight_longterm is set: what is safe raises it."""
    if is_inflight_too_high(bbr, ack.sample_lost_bytes, ack.tx_in_flight_bytes):
        return
    if ack.tx_in_flight_bytes > bbr.inflight_longterm:
        bbr.inflight_longterm = ack.tx_in_flight_bytes
    if bbr.phase is State.UP:
        _probe_inflight_longterm_upward(bbr, ack)


def raise_inflight_longterm_slope(bbr: Variables) -> None:
    """RaiseInflightLongtermSlope: twice as many packets this round as in the last."""
    growth_this_round = 1 << bbr.bw_probe_up_rounds
    bbr.bw_probe_up_rounds = min(bbr.bw_probe_up_rounds + 1, MAX_PROBE_UP_ROUNDS)
    bbr.probe_up_acked_per_inc = max(bbr.window_bytes // growth_this_round, bbr.smss)


def handle_lost_packet(bbr: Variables, packet: SentPacket) -> Event | None:
    """The part of HandleLostPacket about packets that probe: too many of them lost end the probe."""
    if not bbr.is_bw_probe_sample:
        return None
    lost = packet.lost_after_bytes - packet.lost_bytes
    if not is_inflight_too_high(bbr, lost, packet.tx_in_flight_bytes):
        return None
    # HandleInflightTooHigh
    bbr.prev_probe_too_high = True
    bbr.is_bw_probe_sample = False
    if not packet.is_app_limited:
        target = min(bbr.bdp, bbr.window_bytes)
        bbr.inflight_longterm = max(inflight_at_loss(packet, lost), target * BETA // 100)
    if bbr.phase is State.UP:
        bbr.undo_state = State.UP
    return Event.INFLIGHT_TOO_HIGH


def is_inflight_too_high(bbr: Variables, lost: int, tx_in_flight: int) -> bool:
    """IsInflightTooHigh. lost: since a packet was sent. tx_in_flight: when it was."""
    return 100 * lost > LOSS_THRESH * tx_in_flight or (lost > 0 and not bbr.has_selective_acks)


def inflight_at_loss(packet: SentPacket, lost: int) -> int:
    """InflightAtLoss: how much was in flight when losses reached LossThresh, somewhere within `packet`."""
    inflight_prev = packet.tx_in_flight_bytes - packet.size_bytes
    lost_prev = lost - packet.size_bytes
    return inflight_prev + (LOSS_THRESH * inflight_prev - 100 * lost_prev) // (100 - LOSS_THRESH)


def _probe_inflight_longterm_upward(bbr: Variables, ack: Ack) -> None:
    # ProbeInflightLongtermUpward
    if bbr.window_bytes < bbr.inflight_longterm or not bbr.delivery.is_cwnd_limited:
        return
    bbr.bw_probe_up_acked += ack.acked_bytes
    if bbr.bw_probe_up_acked >= bbr.probe_up_acked_per_inc < INFINITY:
        delta, bbr.bw_probe_up_acked = divmod(bbr.bw_probe_up_acked, bbr.probe_up_acked_per_inc)
        bbr.inflight_longterm += delta * bbr.smss
    if bbr.round_start:
        raise_inflight_longterm_slope(bbr)
