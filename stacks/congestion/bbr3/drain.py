"""Drain: half the rate, until the queue that Startup built is gone (5.3.2)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import DRAIN_ROUNDS
from stacks.congestion.bbr3.machine import Event
from stacks.congestion.bbr3.outputs import inflight
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def enter(bbr: Variables, now: int) -> None:  # noqa: ARG001
    """EnterDrain."""
    bbr.drain_start_round = bbr.round_count


def check(bbr: Variables, ack: Ack) -> Event | None:
    """CheckDrainDone."""
    if ack.inflight_bytes <= inflight(bbr, 100) or bbr.round_count > bbr.drain_start_round + DRAIN_ROUNDS:
        return Event.DRAINED
    return None
