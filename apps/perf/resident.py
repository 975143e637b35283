"""How much memory a process has, as the kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(pid: int | None) -> int | None:
    """Pages in memory of a process of this machine (resident set size), in bytes; None when that is not known."""
    if pid is None:
        return None
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def growth_per(count: int, before: int | None, after: int | None) -> int | None:
    """By how much each of `count` objects made a process grow.

    None where it is not known, and for fewer than COUNTABLE objects: then the process's other growth hides theirs.
    """
    if before is None or after is None or count < COUNTABLE:
        return None
    return max(0, after - before) // count


COUNTABLE = 100
