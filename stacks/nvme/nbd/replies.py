"""Replies on their way to a client."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.nbd.request import Request
from transports.datagram import Buffer


class Replies:
    """What is to be sent, in order; both lists stay the same for ever.

    views: the bytes. They stay as they are until they are sent, with the requests that they belong to.
    owners: of each view, the request that is over when it is sent, or None.
    """

    __slots__ = ("owners", "views")

    def __init__(self) -> None:
        self.views: list[Buffer] = []
        self.owners: list[Request | None] = []

    @property
    def unsent_bytes(self) -> int:
        """How much waits."""
        return sum(map(len, self.views))

    def add(self, view: Buffer, owner: Request | None = None) -> None:
        """Send `view`. owner: the request that is over when it is sent."""
        self.views.append(view)
        self.owners.append(owner)

    def sent(self, length: int) -> Sequence[Request | None]:
        """The first `length` bytes are taken; the owners of what is thereby sent whole."""
        views = self.views
        whole = 0
        for view in views:
            size = len(view)
            if size > length:
                break
            length -= size
            whole += 1
        over = self.owners[:whole]
        del views[:whole], self.owners[:whole]
        if length:
            views[0] = memoryview(views[0])[length:]
        return over

    def drop(self) -> Sequence[Request | None]:
        """Nobody is there to read: forget everything; the owners of all."""
        return self.sent(self.unsent_bytes)
