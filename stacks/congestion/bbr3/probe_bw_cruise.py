"""ProbeBW_CRUISE: as fast as data arrives, until it is time to probe (5.3.3.2, 5.3.3.5)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import RENO_ROUNDS
from stacks.congestion.bbr3.machine import Event
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def enter(bbr: Variables, now: int) -> None:
    """StartProbeBW_CRUISE: its gains are all there is to it."""


def check(bbr: Variables, ack: Ack, now: int) -> Event | None:  # noqa: ARG001
    """Time to probe."""
    return Event.TIME_TO_PROBE_BW if is_time_to_probe_bw(bbr, now) else None


def is_time_to_probe_bw(bbr: Variables, now: int) -> bool:
    """IsTimeToProbeBW: so much time, or so many rounds as Reno would need to grow by what is in flight."""
    if now > bbr.cycle_stamp + bbr.bw_probe_wait:
        return True
    rounds = bbr.rounds_since_probe_up
    if rounds >= RENO_ROUNDS:
        return True
    # TargetInflight in packets, compared without rounding it.
    target = rounds * bbr.smss
    return target >= bbr.bdp or target >= bbr.window_bytes
