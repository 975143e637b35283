"""Loopback addresses of these tests' own, apart for each process that runs tests."""

from __future__ import annotations

import itertools
import os

_NUMBERS = itertools.count()


def fresh_address() -> str:
    """127.77.x.y, never the same twice in a process."""
    number = (os.getpid() * 61 + next(_NUMBERS)) % (250 * 250)
    return f"127.77.{1 + number // 250}.{1 + number % 250}"
