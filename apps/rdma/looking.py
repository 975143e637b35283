"""Which running processes a command looks at, and what they tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from apps.errors import CommandError
from transports.control import ControlClient, ControlEntry, ControlError, Json, running_processes

Snapshot = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Look:
    """What one process told. before: what it told an interval earlier, None the first time."""

    process: ControlEntry
    now: Snapshot
    before: Snapshot | None = None

    @property
    def title(self) -> str:
        """The process in words."""
        return f"{self.process.role} {self.process.pid}"

    def part(self, name: str) -> list[tuple[str, dict[str, Json]]]:
        """A part of the snapshot that is an object of objects, as pairs."""
        found = self.now.get(name)
        if not isinstance(found, dict):
            return []
        return [(key, value) for key, value in found.items() if isinstance(value, dict)]

    @property
    def qps(self) -> list[dict[str, Json]]:
        """The process's queue pairs."""
        return _rows(self.now.get("qps"))

    def rate(self, qp: dict[str, Json], name: str) -> float | None:
        """How fast a count of a queue pair grew since the snapshot before, a second; None when that is not known."""
        if self.before is None:
            return None
        now, then = self.now.get("time_ns"), self.before.get("time_ns")
        earlier = next((each for each in _rows(self.before.get("qps")) if _same(each, qp)), {}).get(name)
        later = qp.get(name)
        numbers = (now, then, later, earlier)
        if not all(isinstance(number, int) for number in numbers):
            return None
        assert isinstance(now, int)
        assert isinstance(then, int)
        assert isinstance(later, int)
        assert isinstance(earlier, int)
        return max(0, later - earlier) * 1e9 / max(1, now - then)


def chosen(wanted: str) -> list[ControlEntry]:
    """The running processes that `wanted` names, by number or role; all when it is empty. CommandError for none."""
    running = running_processes()
    found = [entry for entry in running if wanted in ("", str(entry.pid), entry.role)]
    if found:
        return found
    if not running:
        raise CommandError(
            f"no process {wanted} of yours runs here" if wanted else "no process of yours with a device runs here",
            "start one, for example baremetal nvme target --namespace mem:1GiB --listen nvme+rdma://127.0.0.2",
        )
    others = ", ".join(f"{entry.pid} ({entry.role})" for entry in running)
    raise CommandError(f"no process {wanted} of yours runs here", f"there are: {others}")


def only(wanted: str) -> ControlEntry:
    """The one process that `wanted` names. CommandError when there are several, or none."""
    found = chosen(wanted)
    if len(found) > 1:
        names = ", ".join(f"{entry.pid} ({entry.role})" for entry in found)
        raise CommandError(f"{len(found)} processes have devices: {names}", "name one by its number")
    return found[0]


def looks(wanted: str, interval_ns: int, *, is_endless: bool, has_rates: bool) -> Iterator[list[Look]]:
    """What the chosen processes tell, once, or every interval until all have ended.

    has_rates: the first look, too, has one before it. CommandError when the last of them ends while it is looked at.
    """
    processes = chosen(wanted)
    before: dict[ControlEntry, Snapshot] = {}
    is_first = True
    while True:
        found = []
        for process in processes:
            snapshot = ask(process)
            if snapshot is not None:
                found.append(Look(process, snapshot, before.get(process)))
        if not found:
            names = ", ".join(f"{process.pid} ({process.role})" for process in processes)
            raise CommandError(f"ended meanwhile: {names}")
        before = {look.process: look.now for look in found}
        if not (is_first and has_rates):
            yield found
            if not is_endless:
                return
        time.sleep((FIRST_INTERVAL_NS if is_first and has_rates else interval_ns) / 1e9)
        is_first = False


def ask(process: ControlEntry) -> Snapshot | None:
    """The state of a process; None when it ended in the meantime."""
    try:
        with ControlClient(process.path) as client:
            return client.snapshot()
    except ControlError:
        return None


def command(process: ControlEntry, name: str, arguments: dict[str, Json]) -> Json:
    """Run a command of a process. CommandError when it refuses or has gone."""
    try:
        with ControlClient(process.path) as client:
            return client.command(name, arguments)
    except ControlError as error:
        raise CommandError(f"process {process.pid} ({process.role}): {error}") from error


def _rows(found: Json) -> list[dict[str, Json]]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _same(one: dict[str, Json], other: dict[str, Json]) -> bool:
    return (one.get("device"), one.get("number")) == (other.get("device"), other.get("number"))


FIRST_INTERVAL_NS = 200_000_000
"""How long the rates of the first look are measured."""
