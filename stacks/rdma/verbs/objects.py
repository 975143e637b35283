"""What every verbs object is: something that is closed once, after everything that was made from it.

In C the order is the program's affair, and closing a protection domain with regions in it fails. As in pyverbs, a
parent closes its children first, and an object that nobody holds any more closes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Self
from weakref import WeakSet

from stacks.rdma.verbs.errors import PyverbsRDMAError, failing_with
from stacks.rdma.verbs.host import Host


class VerbsObject:
    """A context manager with `close`. parents: what must stay open as long as this does."""

    CLOSING_RANK: ClassVar[int] = 0
    """Among the children of one parent, lower ones are closed first."""

    def __init__(self, host: Host, parents: Iterable[VerbsObject] = ()) -> None:
        self._host = host
        self._is_closed = False
        self._children: WeakSet[VerbsObject] = WeakSet()
        # Strong: a queue pair keeps its completion queues, however its program names them.
        self._parents = tuple(parents)
        for parent in self._parents:
            parent.adopt(self)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def adopt(self, child: VerbsObject) -> None:
        """Close `child` before this."""
        self._children.add(child)

    def disown(self, child: VerbsObject) -> None:
        """Leave `child` open."""
        self._children.discard(child)

    def _change_parent(self, old: VerbsObject, new: VerbsObject) -> None:
        old.disown(self)
        new.adopt(self)
        self._parents = tuple(new if parent is old else parent for parent in self._parents)

    def close(self) -> None:
        """Close what was made from this, then this. Idempotent.

        Raises PyverbsRDMAError when the device does not let go of it yet (a region with a window bound, say): it stays
        open then.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            for child in sorted(self._children, key=lambda child: child.CLOSING_RANK):
                child.close()
            with self._host.lock, failing_with(f"Failed to close {type(self).__name__}"):
                self._release()
        except PyverbsRDMAError:
            self._is_closed = False
            raise

    def _release(self) -> None:
        """Give back what this object alone holds; called once, under the host's lock."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # An object whose constructor failed has nothing to close.
        if not getattr(self, "_is_closed", True):
            self._host.postpone(self.close)
