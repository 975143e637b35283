"""Signals that end a command which has something to put away first."""

from __future__ import annotations

import signal
import sys


def end_tidily() -> None:
    """From now on, SIGTERM and SIGHUP end this process as Ctrl-C does: with an exception, and the status a shell shows.

    A signal that is ignored, as under nohup, stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, _: sys.exit(128 + received))
