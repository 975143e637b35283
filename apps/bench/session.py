"""A session: every probe once a round, round after round, so that whatever disturbs the machine disturbs them alike."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence

from apps.bench.probes import Cpus, Probe
from apps.bench.rows import Row
from apps.errors import CommandError

Json = dict[str, object]


class Session:
    """The readings of some rounds.

    progress: called with the name of each probe before it runs.
    """

    def __init__(self, probes: Sequence[Probe], progress: Callable[[str], None]) -> None:
        self._probes = probes
        self._progress = progress
        self._values: dict[str, list[float]] = {}
        self._reasons: dict[str, str] = {}
        self._commands = {name: probe.command for probe in probes for name in probe.names}

    def run(self, rounds: int, cpus: Cpus) -> None:
        """Take all readings `rounds` times. A probe that fails once is left out from then on."""
        for _ in range(rounds):
            for probe in self._probes:
                if probe.names[0] not in self._reasons:
                    self._progress(probe.names[0])
                    self._take(probe, cpus)

    def result(self, row: Row) -> Json:
        """The row with its medians; null and the reason where a reading is missing."""
        values = self._values.get(row.name, [])
        yardstick = self._values.get(row.yardstick or "", [])
        value = statistics.median(values) if values else None
        yardstick_value = statistics.median(yardstick) if yardstick else None
        result: Json = {
            "name": row.name,
            "value": rounded(value),
            "unit": row.unit,
            "yardstick": row.yardstick,
            "yardstick_value": rounded(yardstick_value),
            "ratio": rounded(value / yardstick_value) if value and yardstick_value else None,
            "min": rounded(min(values, default=None)),
            "max": rounded(max(values, default=None)),
            "command": self._commands.get(row.name, ""),
            "about": row.about,
            "loopback": row.is_over_loopback,
        }
        reasons = [self._reasons[name] for name in (row.name, row.yardstick) if name in self._reasons]
        return result | {"reason": "; ".join(reasons)} if reasons else result

    def _take(self, probe: Probe, cpus: Cpus) -> None:
        try:
            readings = probe.take(cpus)
        except (CommandError, OSError, ValueError, ArithmeticError, LookupError) as error:
            self._reasons |= dict.fromkeys(probe.names, str(error))
            for name in probe.names:
                self._values.pop(name, None)
            return
        for name, value in readings.items():
            self._values.setdefault(name, []).append(value)


def two_cpus() -> Cpus:
    """The last two processors that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cpus(serving=allowed[-2] if len(allowed) > 1 else allowed[0], measuring=allowed[-1])


def machine() -> Json:
    """What the figures were taken on."""
    return {
        "processor": processor_name(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def processor_name() -> str:
    """The processor as /proc/cpuinfo calls it, or else the machine's architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a file of the kernel
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def rounded(value: float | None) -> float | None:
    """`value` to four digits."""
    return None if value is None else float(f"{value:.4g}")
