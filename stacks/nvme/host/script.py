"""Sequences of commands, written as generators: each step is yielded, and the generator goes on when it is over.

    def enable(host):
        yield property_set(PropertyOffset.CC, 1)
        answer = yield property_get(PropertyOffset.CSTS)

A step is a command, a queue to open, or a pause in nanoseconds. A step that fails raises inside the generator, as
CommandFailed or ConnectionFailed; what the generator does not catch ends the script.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.queue import HostQueue
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError

Step = HostCommand | HostQueue | int
Steps = Generator[Step, HostCommand | None, None]


class Script:
    """A running generator.

    start_step: starts one step, and sees to it that `advance` or `abandon` is called when it is over.
    finished: called once, with None or the error that ended the script.
    """

    def __init__(
        self,
        steps: Steps,
        start_step: Callable[[Script, Step], None],
        finished: Callable[[StackError | None], None],
    ) -> None:
        self._steps = steps
        self._start_step = start_step
        self._finished = finished
        self._is_over = False

    def advance(self, answer: HostCommand | None = None) -> None:
        """The step is done: go on to the next."""
        self._go(lambda: self._steps.send(answer))

    def abandon(self, error: StackError) -> None:
        """The step failed: raise the error where the generator stands."""
        self._go(lambda: self._steps.throw(error))

    def _go(self, resume: Callable[[], Step]) -> None:
        if self._is_over:
            return
        try:
            step = resume()
        except StopIteration:
            self._end(None)
        except StackError as error:
            self._end(error)
        else:
            if isinstance(step, HostCommand) and not step.fits():
                self.abandon(LocalError(f"a field of the command {step.opcode:#x} is out of range"))
            else:
                self._start_step(self, step)

    def _end(self, error: StackError | None) -> None:
        self._is_over = True
        self._finished(error)
