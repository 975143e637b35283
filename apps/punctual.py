"""For processes that have to act on time: timers that fire when they are due, and nobody who goes first."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
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


@contextlib.contextmanager
def going_first() -> Iterator[None]:
    """Within the block this process goes before others, where that is allowed; processes that it starts do not."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, before, parameters)


def is_realtime() -> bool:
    """Whether this process goes before others."""
    return os.sched_getscheduler(0) == os.SCHED_RR
