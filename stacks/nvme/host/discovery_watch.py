"""A discovery service that is watched: kept connected, its log read again whenever it says that it changed.

    path live, or AEN 70F002h -> the log is read -> on_change(added, removed)

A loss is no change: what was listed counts until the service is back and its log was read.
Follows NVMe over Fabrics 1.1 4.2 and 5.3 (persistent connections, discovery log change).
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.discovery import DiscoveredSubsystem, read_discovery_log
from stacks.nvme.host.path import Path
from stacks.nvme.host.refresher import Refresher
from stacks.nvme.host.script import Steps
from stacks.runtime.errors import StackError
from wire.nvme.opcodes import LogPage

Changes = Callable[[list[DiscoveredSubsystem], list[DiscoveredSubsystem]], None]


class DiscoveryWatch:
    """The watch over what is at the other end of `path`, which it starts.

    on_change: called with the entries that came and those that went, when there are any, and after the first reading.
    entries: the log as it was read last; is_read: whether it ever was; problem: why it was not, the last time.
    """

    def __init__(self, path: Path, on_change: Changes, now: int) -> None:
        self.path = path
        self.entries: list[DiscoveredSubsystem] = []
        self.is_read = False
        self.problem = ""
        self._on_change = on_change
        self._found: list[DiscoveredSubsystem] = []
        self._refresher = Refresher(self._run, self._steps, self._was_read)
        path.observer = self
        path.start(now)

    @property
    def is_settled(self) -> bool:
        """Whether the log was read, or will not be for now."""
        path = self.path
        return self.is_read or path.is_removed or bool(self.problem or path.failure)

    def stop(self, now: int) -> None:
        """Watch no more."""
        self.path.stop(now)

    # What the path tells

    def path_changed(self, path: Path, now: int) -> None:  # noqa: ARG002 (it is told together with the path)
        """Read the log of a service that is there (again)."""
        if path.is_live:
            self._refresher = Refresher(self._run, self._steps, self._was_read)
            self._refresher.refresh()

    def event_came(self, path: Path, event: int) -> None:
        """Read the log when it changed."""
        if event >> 16 & 0xFF == LogPage.DISCOVERY and path.is_live:
            self._refresher.refresh()

    def recover(self, path: Path, command: HostCommand) -> bool:  # noqa: ARG002
        """A discovery controller has no I/O commands."""
        return False

    def _steps(self) -> Steps:
        assert self.path.host is not None
        self._found = []
        return read_discovery_log(self.path.host, self._found)

    def _run(self, steps: Steps, finished: Callable[[StackError | None], None]) -> None:
        def ended(error: StackError | None) -> None:
            self.problem = str(error) if error is not None else ""
            finished(error)

        host = self.path.host
        assert host is not None
        host.run(steps, ended, host.now)

    def _was_read(self) -> None:
        added = [entry for entry in self._found if entry not in self.entries]
        removed = [entry for entry in self.entries if entry not in self._found]
        is_first, self.is_read = not self.is_read, True
        self.entries = self._found
        if added or removed or is_first:
            self._on_change(added, removed)
