"""Signals that end a command which has something to put away first."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator


def end_tidily() -> None:
    """From now on, SIGTERM and SIGHUP end this process as Ctrl-C does: with an exception, and the status a shell shows.

    A signal that is ignored, as under nohup, stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, _: sys.exit(128 + received))


@contextlib.contextmanager
def time_limit(seconds: float, error: Callable[[], Exception]) -> Iterator[None]:
    """Raise `error` in the block when it takes longer, wherever it is then. Only in the main thread."""

    def expire(_number: int, _frame: object) -> None:
        raise error()

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
