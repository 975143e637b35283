"""The two sides of a queue pair, as the queue pair sees them whatever its transport, and what has a timer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from stacks.rdma.work import SendWr


class Timed(Hashable, Protocol):
    """What may be a key of the device's timers."""

    def handle_timeout(self, now: int) -> None:
        """The timer expired."""


class SendSide(Protocol):
    """What every requester is to its queue pair."""

    next_psn: int

    @property
    def queued(self) -> int:
        """Entries that have not completed."""

    @property
    def is_drained(self) -> bool:
        """Whether nothing is outstanding but what is held back."""

    def hold(self) -> None:
        """Hold back what was not begun; the rest goes on (IBTA 10.3.1.5)."""

    def release(self) -> None:
        """What was held back may go."""

    def post(self, wr: SendWr, flags: int) -> None:
        """Queue a request that the queue pair has checked; LocalError when the queue is full."""

    def watch(self, on_post: Callable[[], None] | None) -> None:
        """Call `on_post` before every post from now on, which may raise LocalError; None ends that."""

    def flush(self) -> None:
        """Complete everything with WR_FLUSH_ERR, in order."""

    def discard(self) -> None:
        """Forget everything without completions."""

    def resume(self) -> None:
        """Memory that was not there may be there now."""


class ReceiveSide(Protocol):
    """What every responder is to its queue pair."""

    expected_psn: int

    def flush(self) -> None:
        """Complete every receive of this queue pair with WR_FLUSH_ERR, in order."""

    def discard(self) -> None:
        """Forget everything without completions."""
