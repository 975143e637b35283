"""Reading something again whenever it may have changed, one reading at a time."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.host.errors import CommandFailed
from stacks.nvme.host.script import Steps
from stacks.runtime.errors import StackError

RunScript = Callable[[Steps, Callable[[StackError | None], None]], None]


class Refresher:
    """Runs a script. What changes while it runs is read in one more round, however often it does.

    run: starts a script; steps: makes it; done: called after each round that succeeded. A round that the controller
    refuses is made again after a pause, which doubles from round to round; a lost connection is reported elsewhere.
    """

    def __init__(self, run: RunScript, steps: Callable[[], Steps], done: Callable[[], None]) -> None:
        self._run = run
        self._steps = steps
        self._done = done
        self._is_running = False
        self._must_run_again = False
        self._pause_ns = PAUSE_MIN_NS

    def refresh(self) -> None:
        """Read, or see to it that it is read once more."""
        if self._is_running:
            self._must_run_again = True
            return
        self._is_running = True
        self._must_run_again = False
        self._run(self._steps(), self._finished)

    def _finished(self, error: StackError | None) -> None:
        self._is_running = False
        if isinstance(error, CommandFailed):
            self._is_running = True
            self._run(self._later(), self._finished)
            return
        if error is not None:
            return
        self._pause_ns = PAUSE_MIN_NS
        if self._must_run_again:
            self.refresh()
        else:
            self._done()

    def _later(self) -> Steps:
        pause_ns, self._pause_ns = self._pause_ns, min(2 * self._pause_ns, PAUSE_MAX_NS)
        yield pause_ns
        self._must_run_again = False
        yield from self._steps()


PAUSE_MIN_NS, PAUSE_MAX_NS = 1_000_000_000, 60_000_000_000
