"""Where a responder takes receives from: a queue of its own, or one that several queue pairs share (IBTA 10.2.9).

`entries` is a plain deque in the first case, so that the shortcuts of the data path take from it without a call of
ours; a shared queue (`stacks.rdma.srq`) brings a deque that also watches its limit. It is one object for good.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Protocol

from stacks.rdma.work import RecvWr
from stacks.runtime import LocalError


class ReceiveQueue(Protocol):
    """Receives that are posted and not yet taken; `entries` oldest first, never replaced."""

    entries: deque[RecvWr]

    def post(self, wr: RecvWr) -> None:
        """Queue a receive; LocalError when the queue is full."""

    def watch(self, on_post: Callable[[], None] | None) -> None:
        """Call `on_post` before every post from now on, which may raise LocalError; None ends that."""

    def withdraw(self) -> list[RecvWr]:
        """Take away what belongs to one queue pair alone, because that one ends or starts anew; oldest first."""


class OwnReceives:
    """The receive queue of one queue pair.

    capacity: receives that fit. name: of the queue pair, for errors.
    """

    def __init__(self, capacity: int, name: str) -> None:
        self.entries: deque[RecvWr] = deque()
        self._size = self._capacity = capacity
        """Receives that fit, and from how many on `post` looks closer: 0 while somebody watches."""
        self._name = name
        self._on_post: Callable[[], None] | None = None

    def post(self, wr: RecvWr) -> None:
        """Queue a receive; LocalError (ENOMEM) when the queue is full."""
        if len(self.entries) >= self._capacity:
            self._look_closer()
        self.entries.append(wr)

    def watch(self, on_post: Callable[[], None] | None) -> None:
        """Call `on_post` before every post from now on, which may raise LocalError; None ends that."""
        self._on_post = on_post
        self._capacity = self._size if on_post is None else 0

    def withdraw(self) -> list[RecvWr]:
        """Everything, oldest first."""
        withdrawn = list(self.entries)
        self.entries.clear()
        return withdrawn

    def _look_closer(self) -> None:
        if self._on_post is not None:
            self._on_post()
        if len(self.entries) >= self._size:
            raise LocalError(
                f"the receive queue of {self._name} is full (max_recv_wr is {self._size})", errno=errno.ENOMEM
            )
