"""Queue disciplines by name, as experiments call them, each made for so many bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stacks.runtime.errors import LocalError
from stacks.runtime.toml_table import suggestion
from transports.link import Queue


def check_queue(value: object) -> object:
    """What is written for a queue, as it was; LocalError, in words that follow the key's name, for no discipline."""
    if not isinstance(value, str):
        raise LocalError(f"is the name of a discipline in quotes, not {value!r}")
    if value != PLAIN and value not in QUEUES:
        raise LocalError(f"is not {value!r}; {suggestion(value, (str(PLAIN), *QUEUES), 'there are')}")
    return value


def make_queue(value: object, limit_bytes: int) -> Queue | None:
    """A queue discipline with room for `limit_bytes`; None for the plain one, which ports make themselves."""
    return None if value == PLAIN else QUEUES[str(value)](limit_bytes)


PLAIN: object = "droptail"
QUEUES: Mapping[str, Callable[[int], Queue]] = {}
