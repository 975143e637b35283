"""Objects that a second context of the same process imports: by the file of a context, and the handles of its objects.

With libibverbs the file descriptor of a context may go to another process. Here a device belongs to one process, so a
file is only a name, and an imported object is the same one, which its importer does not close.
"""

from __future__ import annotations

import errno
import itertools
import os
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from stacks.rdma.verbs.errors import PyverbsRDMAError
from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.device import Context

ObjectT = TypeVar("ObjectT", bound=VerbsObject)


class Handles:
    """The objects of a context, by number. cmd_fd: a file that names the context; closed with it."""

    def __init__(self, context: Context) -> None:
        self.cmd_fd = os.memfd_create(f"verbs-{context.name}", os.MFD_CLOEXEC)
        self._file = _identity(self.cmd_fd)
        self._numbers = itertools.count(1)
        self._objects: WeakValueDictionary[int, VerbsObject] = WeakValueDictionary()
        _CONTEXTS[self._file] = context

    def add(self, added: VerbsObject) -> int:
        """The handle of an object that was just made."""
        handle = next(self._numbers)
        self._objects[handle] = added
        return handle

    def find(self, handle: int, kind: type[ObjectT]) -> ObjectT:
        """The object with a handle; PyverbsRDMAError (ENOENT) where there is none of that kind."""
        found = self._objects.get(handle)
        if not isinstance(found, kind) or found.is_closed:
            raise PyverbsRDMAError(f"Failed to import {kind.__name__} with handle {handle}", errno.ENOENT)
        return found

    def close(self) -> None:
        """The context is closed: whoever imported it keeps a device, and no objects."""
        _CONTEXTS.pop(self._file, None)
        os.close(self.cmd_fd)


def context_of(cmd_fd: int) -> Context:
    """The context that a file, or a duplicate of it, names; PyverbsRDMAError where it names none that is open."""
    try:
        found = _CONTEXTS.get(_identity(cmd_fd))
    except OSError as error:
        raise PyverbsRDMAError(f"Failed to import device from file {cmd_fd}", error.errno or errno.EBADF) from error
    if found is None:
        raise PyverbsRDMAError(f"Failed to import device: file {cmd_fd} names no context", errno.EINVAL)
    return found


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


_CONTEXTS: WeakValueDictionary[tuple[int, int], Context] = WeakValueDictionary()
"""Files are the process's."""
