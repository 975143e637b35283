"""Fused commands: finding the two halves of a pair, which come right behind each other on one queue.

    first half     waits for what comes next on its queue
    second half    makes a pair of both (`fused`)
    else           the first half ends with Missing Fused Command, and so does a second one without a first

A queue looks at the flags of each capsule and no further; what has unusual ones comes here, and so does whatever
follows a first half. Follows NVM Express Base 2.0 3.4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.fused import Pair
from wire.nvme.opcodes import FLAGS_SGL, Fuse
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def take_unusual(queue: Queue, command: Command) -> None:
    """A capsule with flags other than those of a plain command, or one that comes after the first half of a pair."""
    flags = command.words[0] >> 8 & 0xFF
    was_expected, first = queue.end_first_half()
    if was_expected and flags == SECOND and not queue.is_stopped:
        _second_came(queue, first, command)
        return
    if first is not None:
        queue.fail(first, StatusCode.ABORTED_MISSING_FUSED.value)
    if flags == PLAIN or queue.is_stopped:
        queue.dispatch(command)
    elif flags == FIRST and queue.qid:
        command.resume = _begin
        queue.expect_second(command)
    elif flags == SECOND and queue.qid:
        queue.fail(command, StatusCode.ABORTED_MISSING_FUSED.value)
    else:
        # PRPs, reserved bits, and fused commands of an admin queue.
        queue.fail(command, StatusCode.INVALID_FIELD.value, location=1)


def refuse_half(queue: Queue, command: Command) -> None:
    """A command is about to be failed for what the binding saw in it: that ends a first half that waits, and when it
    is a first half itself, its second has only this to expect.
    """
    _, first = queue.end_first_half()
    if first is not None:
        queue.fail(first, StatusCode.ABORTED_MISSING_FUSED.value)
    if command.words[0] >> 8 & 0xFF == FIRST and queue.qid:
        queue.expect_second(None)


def _second_came(queue: Queue, first: Command | None, second: Command) -> None:
    if first is None:
        # It has failed meanwhile.
        queue.fail(second, StatusCode.ABORTED_FAILED_FUSED.value)
        return
    first.pair = second.pair = Pair(queue, first, second)
    first.resume(first)


def _begin(first: Command) -> None:
    assert first.pair is not None
    first.pair.begin()


PLAIN = FLAGS_SGL
FIRST, SECOND = FLAGS_SGL | Fuse.FIRST, FLAGS_SGL | Fuse.SECOND
