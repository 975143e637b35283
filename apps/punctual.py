"""For processes that have to act on time: timers that fire when they are due, and nobody who goes first."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path
from typing import Annotated

import typer

from apps.errors import CommandError

Realtime = Annotated[
    bool | None,
    typer.Option(help="Go before all other processes (SCHED_RR), as a busy machine needs it. Left out: if allowed."),
]


def be_punctual(*, is_realtime: bool | None) -> None:
    """Have timers of this process fire when they are due, and the garbage collector stay away from what lives long.

    is_realtime: before all other processes; None for where that is allowed. CommandError where it is not.
    """
    if is_realtime is not False:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError:
            if is_realtime:
                raise CommandError("only root goes before all other processes", "leave --realtime out") from None
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1000")
    gc.collect()
    gc.freeze()
    # No packet is part of a cycle; what a control socket leaves behind is collected all the same.
    gc.set_threshold(100_000, 50, 100)


def is_realtime() -> bool:
    """Whether this process goes before others."""
    return os.sched_getscheduler(0) == os.SCHED_RR
