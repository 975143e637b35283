"""What takes a namespace's commands: an association, or a choice of several."""

from __future__ import annotations

from typing import Protocol

from stacks.nvme.host.command import HostCommand


class Route(Protocol):
    """Where commands go. `HostController` is one, and `Head`, which has several."""

    @property
    def max_transfer_bytes(self) -> int:
        """The most data that one command may move."""

    def submit_io(self, command: HostCommand) -> None:
        """Send a command, or keep it; its `done` is called when it is over."""

    def submit_pair(self, first: HostCommand) -> None:
        """The same for a fused pair: `first` and its partner, next to each other on one queue."""
