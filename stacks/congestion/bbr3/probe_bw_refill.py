"""ProbeBW_REFILL: one round at the full rate without short-term bounds, to fill the pipe and no queue (5.3.3.3)."""

from __future__ import annotations

from stacks.congestion.bbr3.machine import AckPhase, Event
from stacks.congestion.bbr3.rounds import reset_short_term_model, start_round
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def enter(bbr: Variables, now: int) -> None:  # noqa: ARG001
    """StartProbeBW_REFILL."""
    reset_short_term_model(bbr)
    bbr.bw_probe_up_rounds = 0
    bbr.bw_probe_up_acked = 0
    bbr.prev_probe_precautionary = False
    bbr.ack_phase = AckPhase.REFILLING
    start_round(bbr)


def check(bbr: Variables, ack: Ack, now: int) -> Event | None:  # noqa: ARG001
    """After one round, what is acknowledged was sent while probing."""
    if not bbr.round_start:
        return None
    bbr.is_bw_probe_sample = True
    return Event.REFILLED
