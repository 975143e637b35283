"""Reading something again whenever it may have changed, one reading at a time."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.host.script import Steps
from stacks.runtime.errors import StackError

RunScript = Callable[[Steps, Callable[[StackError | None], None]], None]


class Refresher:
    """Runs a script. What changes while it runs is read in one more round, however often it does.

    run: starts a script; steps: makes it; done: called after each round that succeeded. A round that fails ends the
    reading until the next `refresh`; a lost connection is reported elsewhere.
    """

    def __init__(self, run: RunScript, steps: Callable[[], Steps], done: Callable[[], None]) -> None:
        self._run = run
        self._steps = steps
        self._done = done
        self._is_running = False
        self._must_run_again = False

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
        if error is not None:
            return
        if self._must_run_again:
            self.refresh()
        else:
            self._done()
