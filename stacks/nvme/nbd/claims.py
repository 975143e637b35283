"""Which blocks are being changed, so that a change of part of a block can have its blocks to itself.

A write that starts or ends inside a block is a read, a change in memory, and a write of whole blocks. Another change of
the same blocks in between would be undone by it. So every change claims its blocks; those of whole blocks share, one of
parts excludes all others. Who has to wait is started, in order, as soon as nobody is in his way. Reads claim nothing:
each block is as it was before a change or as it is afterwards.

It holds for the clients of one server. Another host of the same namespace is not kept out.
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.nbd.request import Request


class Claims:
    """The claims of all clients of an export."""

    def __init__(self) -> None:
        self._sharing: dict[Request, None] = {}
        self._excluding: dict[Request, None] = {}
        self._waiting: dict[Request, tuple[Callable[[Request], None], bool]] = {}
        self._left: list[Request] = []

    @property
    def waiting(self) -> int:
        """How many changes wait."""
        return len(self._waiting)

    def enter(self, request: Request, start: Callable[[Request], None], *, is_exclusive: bool = False) -> None:
        """Call `start` with `request` when it may change blocks `first` to `last`: at once if it can be."""
        if (is_exclusive or self._excluding or self._waiting) and self._is_blocked(request, is_exclusive=is_exclusive):
            self._waiting[request] = start, is_exclusive
            return
        (self._excluding if is_exclusive else self._sharing)[request] = None
        start(request)

    def leave(self, request: Request) -> None:
        """The change is over."""
        if request in self._sharing:
            del self._sharing[request]
        else:
            del self._excluding[request]
        if self._waiting:
            # Who starts may be over at once, and come here again: what follows is then done here and not in there.
            self._left.append(request)
            if len(self._left) == 1:
                self._start_waiting()

    def _start_waiting(self) -> None:
        at = 0
        while at < len(self._left):
            left, at = self._left[at], at + 1
            for request in [request for request in self._waiting if _overlap(request, left)]:
                start, is_exclusive = self._waiting[request]
                if not self._is_blocked(request, is_exclusive=is_exclusive):
                    del self._waiting[request]
                    (self._excluding if is_exclusive else self._sharing)[request] = None
                    start(request)
        self._left.clear()

    def _is_blocked(self, request: Request, *, is_exclusive: bool) -> bool:
        """Whether somebody who is active, or has waited for longer, is in the way."""
        for other in self._excluding:
            if _overlap(request, other):
                return True
        if is_exclusive:
            for other in self._sharing:
                if _overlap(request, other):
                    return True
        for other, (_, excludes) in self._waiting.items():
            if other is request:
                return False
            if (is_exclusive or excludes) and _overlap(request, other):
                return True
        return False


def _overlap(one: Request, other: Request) -> bool:
    return one.first < other.last and other.first < one.last
