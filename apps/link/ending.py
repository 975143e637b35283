"""Signals that come before a link runs, or while it tidies up: what it has made has to go again whenever they come."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from apps.serving import ENDING


@contextlib.contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Within the block SIGINT, SIGTERM and SIGHUP (unless it is ignored) do nothing but join the list.

    Whoever listens to them itself in between, as `apps.serving.run_until_told` does, has them.
    """
    noted: list[int] = []
    numbers = [*ENDING, *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else [])]
    before = {number: signal.signal(number, lambda got, _: noted.append(got)) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
