"""A subsystem over any number of paths, whichever transports they use: its namespaces, and I/O that survives a path.

    Path, Path ... -> Multipath -> Head, one for each NSID -> HostNamespace, as on a single association

Namespaces of several paths are one when NSID and identifiers are the same. A command that fails with its path, or
because of its ANA state, is sent on another; while there is none it waits, until the path is given up or fails fast
(`reconnect`). What a controller refuses for now is sent again after the delay that it names (`disposition`).

Commands are not sent again where they failed, in the middle of things, but in `handle_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.disposition import ANA_STATUSES, Disposition, disposition_of, is_unanswered
from stacks.nvme.host.head import Head, PathPolicy
from stacks.nvme.host.namespace import HostNamespace, pick
from stacks.nvme.host.path import Connector, Path
from stacks.runtime import LocalError, Timers
from wire.nvme.status import retry_delay


class Multipath:
    """A subsystem over paths, which it starts and stops.

    policy: which of several good paths is used. wake: has every connector's pump make a pass; needed when the paths
    have several. on_change: called when a path or a namespace is not what it was.
    is_over: whether every path is removed; `failure` says why.
    failovers: commands that were sent again another way, or after their connection broke; retries: again because a
    controller refused them for now.
    """

    def __init__(
        self,
        *,
        policy: PathPolicy = PathPolicy.NUMA,
        wake: Callable[[], None] | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.policy = policy
        self.paths: list[Path] = []
        self.heads: dict[int, Head] = {}
        self.is_over = True
        self.failovers = 0
        self.retries = 0
        self.on_change = on_change
        self.on_event: Callable[[Path, int], None] | None = None
        self._wake = wake
        self._is_stopping = False
        self._leaving: set[Path] = set()
        self._now = 0
        self._timers: Timers[Multipath | HostCommand] = Timers()
        """Its own: commands that wait can go. A command's: it is sent again."""
        self._delayed: set[HostCommand] = set()
        self._connector: Connector | None = None
        self._replaced: list[Head] = []
        """Heads whose number another namespace has now; what waits there has to be told."""
        self._orphans: set[HostCommand] = set()
        """Commands under way for those, which must not be sent again."""

    @property
    def is_live(self) -> bool:
        """Whether a path is."""
        return any(path.is_live for path in self.paths)

    @property
    def failure(self) -> str:
        """Why no path is live, in one line."""
        return "; ".join(dict.fromkeys(path.failure for path in self.paths if path.failure))

    @property
    def waiting(self) -> int:
        """Commands that wait for a path, or for their delay to be over."""
        return sum(len(head.waiting) for head in self._all_heads()) + len(self._delayed)

    @property
    def namespaces(self) -> dict[int, HostNamespace]:
        """The namespaces by number."""
        return {nsid: head.namespace for nsid, head in sorted(self.heads.items()) if head.is_known}

    def add(self, path: Path, now: int) -> None:
        """Take a new path and start it."""
        path.observer = self
        self.paths.append(path)
        self.is_over = False
        self._connector = self._connector or path.connector
        path.start(now)

    def remove(self, path: Path, now: int) -> None:
        """Stop a path, in order; commands that are under way on it go another way."""
        self._leaving.add(path)
        path.stop(now)

    def stop(self, now: int) -> None:
        """Stop every path, in order; commands that are under way, or wait, end with a path error."""
        self._is_stopping = True
        self._now = now
        for path in self.paths:
            path.stop(now)
        for command in self._delayed:
            self._timers.cancel(command)
            self.heads[command.nsid].waiting.append(command)
        self._delayed.clear()
        self._timers.cancel(self)
        if self._connector is not None:
            self._connector.policies.pop(self, None)
        for head in self._all_heads():
            head.settle()

    def namespace(self, nsid: int = 0) -> HostNamespace:
        """A namespace by number, or (0) the only one; LocalError when there is none, or more than one."""
        namespaces = self.namespaces
        if not namespaces and not self.is_live:
            raise LocalError(self.failure or "there is no path")
        hidden: dict[int, str] = {}
        for path in self.paths:
            if path.is_live and path.host is not None:
                hidden |= path.host.hidden
        return pick(namespaces, hidden, nsid, self.paths[0].config.nqn)

    # What the connector calls

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due, in nanoseconds; None for never."""
        return self._timers.next_deadline()

    def handle_timeout(self, now: int) -> None:
        """Send again what can be."""
        self._now = now
        for timer in self._timers.expired(now):
            if isinstance(timer, HostCommand):
                self._delayed.discard(timer)
                self.heads[timer.nsid].waiting.append(timer)
        sent = sum(head.settle() for head in self._all_heads())
        self._replaced.clear()
        if self._timers.next_deadline() is None and self._connector is not None:
            self._connector.policies.pop(self, None)
        if sent and self._wake is not None:
            self._wake()

    # What paths tell

    def path_changed(self, path: Path, now: int) -> None:
        """It is live, or not, or has other namespaces or ANA states."""
        self._now = now
        if path.is_live and path.host is not None:
            for nsid in path.host.namespaces:
                if nsid not in self.heads:
                    self.heads[nsid] = Head(nsid, self.policy, waiting_max=path.policy.waiting_max)
        if path.is_removed and path in self._leaving:
            self._leaving.remove(path)
            self.paths.remove(path)
        self.is_over = all(each.is_removed for each in self.paths)
        for head in list(self.heads.values()):
            head.update(self.paths)
            if head.is_replaced:
                self._replace(head)
        self._settle_soon()
        if self.on_change is not None:
            self.on_change()

    def event_came(self, path: Path, event: int) -> None:
        """An asynchronous event."""
        if self.on_event is not None:
            self.on_event(path, event)

    def recover(self, path: Path, command: HostCommand) -> bool:
        """An I/O command failed; True when it is sent again."""
        head, host = self.heads.get(command.nsid), path.host
        if head is None or host is None or self._is_stopping or command.is_fused or command in self._orphans:
            return False
        what = disposition_of(command)
        if what is Disposition.COMPLETE:
            return False
        self._now = host.now
        if what is Disposition.RETRY:
            self.retries += 1
            command.tries += 1
            delay_ns = host.retry_delay_ns(retry_delay(command.status_word))
            command.renew()
            self._delayed.add(command)
            self._arm(command, host.now + delay_ns)
            return True
        self.failovers += 1
        if command.status in ANA_STATUSES and host.ana.is_reported:
            host.doubt_ana(command.nsid)
            head.update(self.paths)
        elif not is_unanswered(command):
            command.tries += 1
        command.renew()
        head.waiting.append(command)
        self._settle_soon()
        return True

    # What follows

    def _replace(self, old: Head) -> None:
        # As in Linux: who has the old namespace gets errors, and whoever asks for the number gets the new one.
        old.end()
        self._replaced.append(old)
        under_way = {
            command
            for path in self.paths
            if path.host is not None
            for queue in path.host.io_queues
            for command in queue.commands_in_flight()
        }
        self._orphans &= under_way
        self._orphans |= {command for command in under_way if command.nsid == old.nsid}
        for command in [command for command in self._delayed if command.nsid == old.nsid]:
            self._timers.cancel(command)
            self._delayed.remove(command)
            old.waiting.append(command)
        self.heads[old.nsid] = new = Head(old.nsid, self.policy, waiting_max=old.waiting_max)
        new.update(self.paths)

    def _all_heads(self) -> list[Head]:
        return [*self.heads.values(), *self._replaced]

    def _settle_soon(self) -> None:
        if any(head.waiting for head in self._all_heads()):
            self._arm(self, self._now)

    def _arm(self, timer: Multipath | HostCommand, deadline_ns: int) -> None:
        self._timers.arm(timer, deadline_ns)
        if self._connector is not None:
            self._connector.policies[self] = None
        if self._wake is not None:
            # It may be another connector's pump that this happens in.
            self._wake()
