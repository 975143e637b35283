"""Queue disciplines of experiments: those of `transports.link.disciplines`, each with room for so many bytes."""

from __future__ import annotations

import random

from stacks.runtime.errors import LocalError
from transports.errors import TransportError
from transports.link import Queue
from transports.link.bounded import Limits
from transports.link.disciplines import make_queue, read_queue


def check_queue(value: object) -> object:
    """What is written for a queue, as it was; LocalError, in words that follow the key's name, for no discipline."""
    try:
        read_queue(value)
    except TransportError as error:
        raise LocalError(str(error).removeprefix("queue: ")) from error
    return value


def queue_for(value: object, limit_bytes: int, seed: int) -> Queue | None:
    """A queue with room for `limit_bytes`, unless it says itself; None for the plain one, which ports make themselves.

    seed: of what it draws.
    """
    if value == PLAIN:
        return None
    return make_queue(read_queue(value, room=Limits(size_bytes=limit_bytes)), random.Random(seed))


PLAIN: object = "droptail"
