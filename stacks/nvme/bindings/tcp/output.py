"""What a connection has to send: views in order, and what is to be done when each part has gone out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from transports.datagram import Buffer

Item = TypeVar("Item")


class Output(Generic[Item]):
    """Bytes on their way to a connection.

    views: what is to be sent, in order; append to it through `add` and `lend` only.
    finished: called with each item of `mark` when everything before it is sent.
    has_rest: whether the connection did not take everything last time.
    added_bytes, sent_bytes: of all that was ever added, and sent.
    """

    def __init__(self, finished: Callable[[Item], None]) -> None:
        self.views: list[Buffer] = []
        self.has_rest = False
        self.added_bytes = 0
        self.sent_bytes = 0
        self._finished = finished
        self._lent: list[int] = []
        self._marks: deque[tuple[int, Item]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether everything is sent."""
        return not self.views

    @property
    def unsent_bytes(self) -> int:
        """How much waits."""
        return self.added_bytes - self.sent_bytes

    def add(self, view: Buffer) -> None:
        """Send bytes that stay as they are until they are sent."""
        self.views.append(view)
        self.added_bytes += len(view)

    def lend(self, view: Buffer) -> None:
        """Send bytes that stay as they are until the next attempt to send, and no longer: what is left is copied."""
        if self.has_rest:
            view = bytes(view)
        else:
            self._lent.append(len(self.views))
        self.views.append(view)
        self.added_bytes += len(view)

    def keep(self) -> None:
        """Copy everything that is not sent: whoever it belongs to has it back."""
        self._lent.clear()
        self.views[:] = [bytes(view) for view in self.views]

    def mark(self, item: Item) -> None:
        """Call `finished` with `item` when all that was added so far is sent."""
        self._marks.append((self.added_bytes, item))

    def sent(self, length: int) -> None:
        """The connection took the first `length` bytes; with 0 it refused all, and what is lent becomes ours."""
        self.sent_bytes += length
        if self.sent_bytes == self.added_bytes:
            self.views.clear()
            self._lent.clear()
            self.has_rest = False
        else:
            self._cut(length)
        marks, sent = self._marks, self.sent_bytes
        while marks and marks[0][0] <= sent:
            self._finished(marks.popleft()[1])

    def drop(self) -> None:
        """The connection is gone: finish everything."""
        self.views.clear()
        self._lent.clear()
        self.sent_bytes = self.added_bytes
        while self._marks:
            self._finished(self._marks.popleft()[1])

    def _cut(self, length: int) -> None:
        # Lent views must not outlive the attempt, so what is left of them becomes ours.
        views = self.views
        taken = 0
        while length >= len(views[taken]):
            length -= len(views[taken])
            taken += 1
        lent = {index - taken for index in self._lent if index >= taken}
        self._lent.clear()
        rest = views[taken:]
        if length:
            rest[0] = memoryview(rest[0])[length:]
        self.views[:] = [bytes(view) if index in lent else view for index, view in enumerate(rest)]
        self.has_rest = True
