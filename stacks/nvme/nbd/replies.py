"""Replies on their way to a client."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.nbd.request import Request
from transports.datagram import Buffer


class Replies:
    """What is to be sent, in order.

    views: the bytes. They stay as they are until they are sent, with the requests that they belong to.
    """

    __slots__ = ("_owners", "_unsent", "views")

    def __init__(self) -> None:
        self.views: list[Buffer] = []
        self._owners: list[Request | None] = []
        self._unsent = 0

    @property
    def unsent_bytes(self) -> int:
        """How much waits."""
        return self._unsent

    def add(self, view: Buffer, owner: Request | None = None) -> None:
        """Send `view`. owner: the request that is over when it is sent."""
        self.views.append(view)
        self._owners.append(owner)
        self._unsent += len(view)

    def sent(self, length: int) -> Sequence[Request | None]:
        """The first `length` bytes are taken; the owners of what is thereby sent whole."""
        owners, views = self._owners, self.views
        if length == self._unsent:
            self._unsent = 0
            self._owners = []
            views.clear()
            return owners
        self._unsent -= length
        whole = 0
        while length >= len(views[whole]):
            length -= len(views[whole])
            whole += 1
        del views[:whole]
        if length:
            views[0] = memoryview(views[0])[length:]
        over, self._owners = owners[:whole], owners[whole:]
        return over

    def drop(self) -> Sequence[Request | None]:
        """Nobody is there to read: forget everything; the owners of all."""
        return self.sent(self._unsent)
