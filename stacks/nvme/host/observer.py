"""What an association tells the policy above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stacks.nvme.host.command import HostCommand
    from stacks.nvme.host.controller import HostController


class HostObserver(Protocol):
    """A policy above a `HostController`. It is called in the middle of things: it takes note, and acts later."""

    def host_live(self, host: HostController) -> None:
        """I/O goes."""

    def host_closed(self, host: HostController) -> None:
        """It is over; commands that were under way are still ending."""

    def host_changed(self, host: HostController) -> None:
        """Namespaces, or their ANA states, were read again."""

    def event_came(self, host: HostController, event: int) -> None:
        """An asynchronous event; event: DW0 of its completion."""

    def recover(self, host: HostController, command: HostCommand) -> bool:
        """An I/O command failed; True when it is sent again, and its owner need not know."""


class Nobody:
    """The observer of an association without a policy: what fails has failed."""

    def host_live(self, host: HostController) -> None:
        """Nothing."""

    def host_closed(self, host: HostController) -> None:
        """Nothing."""

    def host_changed(self, host: HostController) -> None:
        """Nothing."""

    def event_came(self, host: HostController, event: int) -> None:
        """Nothing."""

    def recover(self, host: HostController, command: HostCommand) -> bool:  # noqa: ARG002
        """Nothing is sent again."""
        return False
