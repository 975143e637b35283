"""A namespace over all its paths: which path takes a command, and where commands wait while none does.

    namespace.read ... -> the only usable path's association       nothing in between
                       -> Head.submit_io -> one of several          round-robin, queue-depth
                       -> Head.submit_io -> waiting                 no path now, but one may come back
                       -> Head.submit_io -> a path error            none will

Optimized paths are used before non-optimized ones, and no others (NVM Express Base 2.0 8.1).
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING

from stacks.nvme.host.ana import INACCESSIBLE, NON_OPTIMIZED, OPTIMIZED, PERSISTENT_LOSS
from stacks.nvme.host.namespace import HostNamespace
from stacks.nvme.host.queue import HostQueue, HostQueueEvent

if TYPE_CHECKING:
    from stacks.nvme.host.command import HostCommand
    from stacks.nvme.host.controller import HostController
    from stacks.nvme.host.path import Path


class PathPolicy(enum.Enum):
    """Which of several equally good paths takes a command, under the names of Linux (iopolicy)."""

    NUMA = "numa"
    """The first, as long as it is there; the others are in reserve."""
    ROUND_ROBIN = "round-robin"
    """Each in turn."""
    QUEUE_DEPTH = "queue-depth"
    """The one with the fewest commands under way."""


class Head:
    """A namespace, under its number.

    namespace: what programs use; its commands come here, or go straight to the only usable path.
    strangers: paths on which this number is another namespace, with what differs.
    waiting_max: commands that may wait.
    blocked: which ANA state keeps commands waiting although a path is live, in one line; empty while none does.
    """

    def __init__(self, nsid: int, policy: PathPolicy, *, waiting_max: int) -> None:
        self.nsid = nsid
        self.namespace = HostNamespace(self, nsid)
        self.strangers: dict[Path, str] = {}
        self.waiting: deque[HostCommand] = deque()
        self._policy = policy
        self.waiting_max = waiting_max
        self._members: dict[Path, HostNamespace] = {}
        self._usable: list[HostController] = []
        self._turn = 0
        self.blocked = ""
        self._impatience = ""
        """Why nobody waits any more until a path is usable; empty while that is worth it."""
        self._gone = ""
        """Why no path will come back; empty while one may."""

    @property
    def is_usable(self) -> bool:
        """Whether a path takes commands now."""
        return bool(self._usable)

    @property
    def is_known(self) -> bool:
        """Whether a path has it, or had it when it was last there and may come back."""
        return bool(self._members)

    @property
    def is_replaced(self) -> bool:
        """Whether no path has it, or may have it when it comes back, and one has another namespace of that number."""
        return not self._members and bool(self.strangers)

    @property
    def usable(self) -> list[HostController]:
        """The associations that take commands now, in the order of their paths."""
        return list(self._usable)

    @property
    def max_transfer_bytes(self) -> int:
        """The most data that one command may move, on any path."""
        sizes = [path.host.max_transfer_bytes for path in self._members if path.host is not None]
        return min(sizes, default=SMALLEST_TRANSFER)

    def submit_io(self, command: HostCommand) -> None:
        """Send a command on one of the paths; or keep it until there is one; or end it with a path error."""
        usable = self._usable
        if not usable:
            self._keep(command)
        elif self._policy is PathPolicy.QUEUE_DEPTH:
            min(usable, key=_in_flight).submit_io(command)
        else:
            self._turn = turn = (self._turn + 1) % len(usable)
            usable[turn].submit_io(command)

    def submit_pair(self, first: HostCommand) -> None:
        """The same for a fused pair."""
        if self._usable:
            self._usable[0].submit_pair(first)
        else:
            self._keep(first)

    def update(self, paths: list[Path]) -> None:
        """Something changed on one of the paths: look at all of them again."""
        for path in paths:
            if path.is_live:
                self._look_at(path)
        for path in list(self._members):
            if path.is_removed or path not in paths:
                del self._members[path]
        self._usable = self._choose(paths)
        # Descriptions are by the limits of all paths, since any of them may get a command in the end.
        self.namespace.follow(self)
        # What a live path says counts, since one that is down was told nothing of changes.
        known = [path for path in paths if path in self._members]
        shown = next((path for path in known if path.is_live), next(iter(known), None))
        if shown is not None:
            seen = self._members[shown]
            self.namespace.describe(seen.data, block_bytes=seen.block_bytes)
            self.namespace.identity = seen.identity
            self.namespace.compare_and_write_blocks = min(
                member.compare_and_write_blocks for member in self._members.values()
            )
        if len(self._usable) == 1:
            self.namespace.follow(self._usable[0])
        self._gone = "" if self._usable else self._why_gone(paths)
        self.blocked = "" if self._usable or self._gone else self._why_blocked(paths)
        if not self.blocked:
            self._impatience = ""
        self._gone = self._gone or self._impatience

    def give_up(self, reason: str) -> None:
        """Fail what waits, and what comes, until the ANA states are others; nothing where they keep nobody waiting.

        reason: one line for a person.
        """
        if self.blocked:
            self._impatience = self._gone = reason
            self.settle()

    def end(self) -> None:
        """Its number is another namespace's: nothing that is sent here will ever be done."""
        self._gone = next(iter(self.strangers.values()))

    def settle(self) -> int:
        """Send what waits, as far as that is possible, and fail it when it never will be; how many were sent."""
        if not self.waiting or not (self._usable or self._gone):
            return 0
        commands, self.waiting = self.waiting, deque()
        is_usable = bool(self._usable)
        for command in commands:
            (self.submit_io if command.partner is None else self.submit_pair)(command)
        return len(commands) if is_usable else 0

    def _look_at(self, path: Path) -> None:
        assert path.host is not None
        seen = path.host.namespaces.get(self.nsid)
        self.strangers.pop(path, None)
        others = [member for at, member in self._members.items() if at is not path]
        reason = self._why_stranger(seen, is_alone=not others) if seen is not None else ""
        if seen is None or reason:
            self._members.pop(path, None)
            if reason:
                self.strangers[path] = reason
        else:
            self._members[path] = seen

    def _why_stranger(self, seen: HostNamespace, *, is_alone: bool) -> str:
        known = self.namespace
        if not known.block_bytes:
            return ""
        if seen.identity != known.identity:
            return f"namespace {self.nsid} is another one there: its identifiers differ"
        if seen.block_bytes != known.block_bytes:
            return f"namespace {self.nsid} has blocks of {seen.block_bytes} bytes there, not {known.block_bytes}"
        if not is_alone and not seen.data.nmic & NMIC_SHARED:
            return f"namespace {self.nsid} is private to one controller"
        return ""

    def _choose(self, paths: list[Path]) -> list[HostController]:
        live = [path for path in paths if path.is_live and path in self._members]
        for state in (OPTIMIZED, NON_OPTIMIZED):
            found = [path.host for path in live if path.host is not None and self._state_on(path) == state]
            if found:
                return found[:1] if self._policy is PathPolicy.NUMA else found
        return []

    def _state_on(self, path: Path) -> int:
        assert path.host is not None
        return path.host.ana.state_of(self.nsid, self._members[path].data.anagrpid)

    def _why_gone(self, paths: list[Path]) -> str:
        """Why no path will take a command any more; empty while it is worth waiting."""
        reasons = []
        for path in paths:
            if path.is_live and path in self.strangers:
                reasons.append(self.strangers[path])
            elif path.is_live and path not in self._members:
                reasons.append(f"namespace {self.nsid} is gone")
            elif path.is_live and self._state_on(path) == PERSISTENT_LOSS:
                reasons.append(f"namespace {self.nsid} is lost for good on this path {ANA}")
            elif path.is_available:
                return ""
            else:
                reasons.append(path.failure or "the connection is closed")
        return next(iter(reasons), "there is no path")

    def _why_blocked(self, paths: list[Path]) -> str:
        live = [path for path in paths if path.is_live and path in self._members]
        if not live:
            return ""
        is_inaccessible = all(self._state_on(path) == INACCESSIBLE for path in live)
        what = "is inaccessible" if is_inaccessible else "changes its state"
        where = "on every path" if len(live) == len(paths) else "on every path that is up"
        return f"namespace {self.nsid} {what} {where} {ANA}"

    def _keep(self, command: HostCommand) -> None:
        if self._gone:
            fail(command, self._gone)
        elif len(self.waiting) >= self.waiting_max:
            fail(command, f"{len(self.waiting)} commands wait for a path already")
        else:
            self.waiting.append(command)


def fail(command: HostCommand, reason: str) -> None:
    """End a command with a path error; reason: one line for a person."""
    nowhere = HostQueue(0, 2)
    nowhere.apply(HostQueueEvent.LOST)
    nowhere.failure = reason
    for each in (command, command.partner):
        if each is not None:
            nowhere.submit(each, command.submitted_ns)


def _in_flight(host: HostController) -> int:
    return host.in_flight


ANA = "(ANA)"
"""In every reason that is an access state, which the target was given: it runs, and answers."""

SMALLEST_TRANSFER = 4096
NMIC_SHARED = 1 << 0
