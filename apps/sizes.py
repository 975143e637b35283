"""Sizes, rates and durations as people write and read them.

In what is read, `k`, `M`, `G`, `T` (alone or as `KiB` ...) are powers of 1024, as in fio and qemu-img; `kB`, `MB` ...
are powers of 1000. In what is printed, MB/s is 10^6 bytes a second, as network people count.
"""

from __future__ import annotations

import re

import typer

from stacks.nvme import stores
from stacks.runtime import LocalError


class Bytes(int):
    """A number of bytes that shows itself as people write it, which makes it a default that the help can print."""

    def __str__(self) -> str:
        for power in range(len(PREFIXES), 0, -1):
            if self and not self % 1024**power:
                return f"{self // 1024**power}{PREFIXES[power - 1].upper()}iB"
        return repr(int(self))


class Nanoseconds(int):
    """A duration that shows itself as people write it, likewise."""

    def __str__(self) -> str:
        return format_duration(self).replace(" ", "")


def parse_size(text: str | int) -> int:
    """Bytes of "4096", "4k", "1GiB", "250MB". typer.BadParameter for anything else."""
    try:
        return stores.parse_size(str(text))
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error


def parse_some(text: str | int) -> int:
    """As `parse_size`, and at least one byte."""
    size = parse_size(text)
    if size < 1:
        raise typer.BadParameter("0 bytes are too few; give at least 1")
    return size


def parse_duration(text: str | float) -> int:
    """Nanoseconds of "10", "10s", "500ms", "2m". typer.BadParameter for anything else, and for no time at all."""
    if isinstance(text, int):
        return int(text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|us|s|m|h)?", str(text).strip().lower())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration; write it like 10s, 500ms or 2m")
    duration_ns = round(float(match[1]) * SECONDS_NS[match[2] or "s"])
    if not 0 < duration_ns <= LONGEST_NS:
        raise typer.BadParameter(f"{text!r} is no time to work in; give one like 500ms, 10s or 2m")
    return duration_ns


def format_size(size: int) -> str:
    """`size` bytes in the largest unit of 1024 that leaves a number of at least 1: "4 KiB", "1.5 GiB"."""
    value, unit = float(size), "B"
    for prefix in PREFIXES:
        if value < 1024:
            break
        value, unit = value / 1024, f"{prefix.upper()}iB"
    return f"{value:.4g} {unit}"


def format_amount(size: int) -> str:
    """`size` bytes exactly, and in words where that is shorter: "8388608 bytes (8 MiB)"."""
    exact = f"{size} byte{'' if size == 1 else 's'}"
    return exact if size < 1024 else f"{exact} ({format_size(size)})"


def format_rate(size: int, duration_ns: int) -> str:
    """`size` bytes in `duration_ns` as megabytes (10^6) a second."""
    rate = 1e3 * size / max(1, duration_ns)
    return f"{rate:.0f} MB/s" if rate >= 10 else f"{rate:.2g} MB/s"


def format_duration(duration_ns: float) -> str:
    """A duration in the unit that suits it: "850 ns", "12.3 us", "4.1 ms", "2.5 s"."""
    for unit, scale in (("ns", 1), ("us", 1e3), ("ms", 1e6)):
        if duration_ns < 1000 * scale:
            return f"{duration_ns / scale:.3g} {unit}"
    return f"{duration_ns / 1e9:.3g} s"


PREFIXES = "kmgtp"
LONGEST_NS = 366 * 24 * 3600 * 10**9
SECONDS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
