"""The workload: commands of one size at blocks of a seeded order, so many at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stacks.lab.experiment.values import StorageConfig
from stacks.nvme.host import HostController, HostNamespace, Transfer
from stacks.runtime import LocalError
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class EndedCommand:
    """A command that ended just now. sent_ns: when it was submitted."""

    sent_ns: int


class Commands:
    """The host's program.

    unsubmitted_bytes: data for which commands are still to be submitted. moved_bytes: of those that ended.
    on_ended: called with each of them.
    """

    def __init__(self, timeline: Timeline, config: StorageConfig, *, seed: int) -> None:
        self.unsubmitted_bytes = 0
        self.moved_bytes = 0
        self.on_ended: Callable[[EndedCommand], object] | None = None
        self.is_stopped = False
        self._timeline = timeline
        self._config = config
        self._rng = random.Random(seed)
        self._namespace: HostNamespace | None = None
        self._buffers = [memoryview(bytearray(config.block_bytes)) for _ in range(config.depth)]
        self._free = list(range(config.depth))
        self._is_filling = False

    def look(self, host: HostController) -> None:
        """Begin when the association is live; submit what there is room for. LocalError where it is over."""
        if host.is_closed and not self.is_stopped:
            raise LocalError(f"the storage flow has no connection (any more): {host.failure}")
        if self._namespace is None and host.is_live:
            self._namespace = host.namespace()
        if self._namespace is not None:
            self._fill(self._namespace)

    def _fill(self, namespace: HostNamespace) -> None:
        if self._is_filling:
            return
        self._is_filling = True
        blocks = self._config.block_bytes // namespace.block_bytes
        places = namespace.block_count // blocks
        while self._free and self.unsubmitted_bytes > 0 and not self.is_stopped:
            self.unsubmitted_bytes -= self._config.block_bytes
            number = self._free.pop()
            block = int(self._rng.random() * places) * blocks
            is_write = self._rng.random() * 100 < self._config.writes
            start_ns = self._timeline.now
            act = namespace.write if is_write else namespace.read
            act(block, self._buffers[number], done=partial(self._done, number, start_ns))
        self._is_filling = False

    def _done(self, number: int, sent_ns: int, transfer: Transfer) -> None:
        if transfer.status:
            return  # the connection is over: `look` says so
        self.moved_bytes += self._config.block_bytes
        self._free.append(number)
        if self._namespace is not None:
            self._fill(self._namespace)
        if self.on_ended is not None:
            self.on_ended(EndedCommand(sent_ns))
