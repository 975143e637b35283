"""How an operation of several steps ends."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.nbd.backend import Done, Ended
from stacks.runtime import LocalError
from wire.nvme.status import StatusCode


class Outcome:
    """An `Ended` of our own. problem: in words; empty for success."""

    __slots__ = ("problem", "status")

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        self.problem = problem


class Gathering:
    """Several operations as one: `done` is called when `left` of them are over, with the first failure if there is one.

    done: called with an `Ended`.
    """

    __slots__ = ("_done", "_left", "_outcome")

    def __init__(self, left: int, done: Done) -> None:
        self._left = left
        self._done = done
        self._outcome: Ended = SUCCESS

    def ended(self, ended: Ended) -> None:
        """One of them is over."""
        if ended.status and not self._outcome.status:
            self._outcome = ended
        self._left -= 1
        if not self._left:
            self._done(self._outcome)


def attempt(start: Callable[..., object], *arguments: object, done: Done, **options: object) -> None:
    """Start an operation of a backend; when it does not come to that, `done` is told so."""
    try:
        start(*arguments, done=done, **options)
    except LocalError as error:
        done(refused(error))


def refused(error: LocalError) -> Outcome:
    """What an operation ends with that could not be started, as there is no connection any more."""
    return Outcome(REFUSED, str(error))


SUCCESS = Outcome(0, "")
REFUSED = StatusCode.HOST_PATH_ERROR.value
