"""trio beside a loop of our own: the loop does the work, and tasks (control socket, signals) have their turn between.

A data path that waits in trio pays for it with each wake-up. As a guest (trio's guest mode) it runs in the loop's
thread and only when there is something for it to do; another thread waits for its sockets and wakes the loop.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from outcome import Outcome


class TrioGuest:
    """`main` under trio, from now on. Turn it until it `is_over`.

    fileno: readable when `turn` has something to do.
    """

    def __init__(self, main: Callable[[], Awaitable[None]]) -> None:
        self._due: deque[Callable[[], object]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._outcome: Outcome[None] | None = None
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None

        async def run() -> None:
            self._token = trio.lowlevel.current_trio_token()
            with self._scope:
                await main()

        trio.lowlevel.start_guest_run(run, run_sync_soon_threadsafe=self._soon, done_callback=self._done)

    @property
    def is_over(self) -> bool:
        """Whether `main` has ended."""
        return self._outcome is not None

    def fileno(self) -> int:
        """A file that is readable when `turn` has something to do."""
        return self._bell

    def turn(self) -> None:
        """Give tasks their turn, if one is due."""
        if not self._due:
            return
        os.eventfd_read(self._bell)
        for _ in range(len(self._due)):
            self._due.popleft()()

    def cancel(self) -> None:
        """Have `main` end; turn it until it has."""
        if self._token is None:
            self._scope.cancel()
        elif not self.is_over:
            self._token.run_sync_soon(self._scope.cancel)

    def result(self) -> None:
        """Raise what `main` raised, once it is over."""
        os.close(self._bell)
        assert self._outcome is not None
        self._outcome.unwrap()

    def _soon(self, call: Callable[[], object]) -> None:
        # Called from either thread. The bell rings after there is something, so that none is missed.
        self._due.append(call)
        os.eventfd_write(self._bell, 1)

    def _done(self, result: Outcome[None]) -> None:
        self._outcome = result
