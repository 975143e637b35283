"""Controller busy time: how long a subsystem has been at work on I/O commands, sampled, so that commands pay nothing.

The target looks when it is told the time, before it is given anything, and a millisecond apart at least. When commands
are under way then, all of the time since the last look counts; when some only came and went in between, a millisecond.

Follows NVM Express Base 2.0 figure 207.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacks.nvme.target.subsystem import Subsystem


class BusyTime:
    """The busy time of one subsystem; total_ns: so far."""

    def __init__(self) -> None:
        self.total_ns = 0
        self._commands = 0
        self._elsewhere_ns = 0

    def add_elsewhere(self, busy_ns: int) -> None:
        """Another process was busy for so long with the subsystem, since the last look."""
        self._elsewhere_ns = max(self._elsewhere_ns, busy_ns)

    def sample(self, subsystem: Subsystem, elapsed_ns: int) -> None:
        """Look again, `elapsed_ns` after the last time."""
        commands = sum(each.reads + each.writes for each in subsystem.namespaces.values())
        queues = (queue for controller in subsystem.controllers.values() for queue in controller.io_queues.values())
        if any(queue.in_flight for queue in queues):
            self.total_ns += elapsed_ns
        elif commands != self._commands:
            self.total_ns += min(elapsed_ns, max(SAMPLE_NS, self._elsewhere_ns))
        self._commands, self._elsewhere_ns = commands, 0


SAMPLE_NS = 1_000_000
"""The least time between two looks."""
