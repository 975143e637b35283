"""Flushing every store of a subsystem on the controller's own account: before a shutdown is complete, and when a host
turns the volatile write cache off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import FLUSH
from stacks.nvme.target.command import Command

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller


class Flush:
    """A flush of all of a controller's namespaces; `done` is called with it once it is over.

    status: 0, or the `StatusCode` of the first store that failed.
    """

    def __init__(self, controller: Controller, done: Callable[[Flush], None]) -> None:
        self.status = 0
        self._controller = controller
        self._done = done
        self._left = 0

    def start(self) -> None:
        """Hand the flushes out; over at once when there is no store."""
        stores = {id(each.store): each.store for each in self._controller.subsystem.namespaces.values()}
        self._left = len(stores)
        for store in stores.values():
            command = Command()
            command.verb = FLUSH
            command.store = store
            command.resume = self._store_done
            self._controller.port.target.store_requests.append(command)
        if not stores:
            self._done(self)

    def _store_done(self, command: Command) -> None:
        self.status = self.status or command.status
        self._left -= 1
        if not self._left:
            self._done(self)
