"""Queue disciplines by name, as experiments call them, each made for so many bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from transports.link import DropTail, Queue


def make_queue(name: str, limit_bytes: int) -> Queue:
    """A queue discipline with room for `limit_bytes`."""
    return QUEUES[name](limit_bytes)


def _droptail(limit_bytes: int) -> Queue:
    return DropTail(limit_bytes=limit_bytes)


QUEUES: Mapping[str, Callable[[int], Queue]] = {"droptail": _droptail}
