"""The store contract: what holds a namespace's blocks, and the requests that reach it.

A store has small synchronous verbs and knows nothing of NVMe, queues or time; a class of thirty lines can be one:

    class Zeros(Store):
        block_bytes, block_count = 4096, 1 << 20

        def read(self, block, into):
            into[:] = bytes(len(into))

        def write(self, block, data):
            raise OSError(errno.EROFS, "nothing can be written here")

What every store must do, as a suite of tests to run on one's own: tests/stacks/nvme/store_contract.py.

A core never calls a verb: it fills a `StoreRequest`, hands out a batch of them, and takes them back when an executor
has run them (`executor`), inline or in a worker thread. The request object is the token of its completion.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from stacks.runtime import LocalError
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.stores.sharing import BlockLock, Share


class Store(Protocol):
    """A linear array of blocks. Subclass it for the defaults, or have all of this.

    Verbs raise OSError for what the medium says; `run` turns the errno into a status, and any other exception into
    Internal Error. Ranges are within `block_count` and views are whole blocks: the core has checked both.
    """

    block_bytes: int
    """Size of a block in bytes, 512 or 4096."""

    block_count: int
    """Number of blocks; only `resize` changes it."""

    is_read_only: bool = False
    """Whether every change is refused; the namespace then says that it is write protected."""

    is_zero_after_deallocate: bool = True
    """Whether a deallocated block reads as zeroes; if not, what it reads is not reported."""

    slow_verbs: frozenset[int] = frozenset()
    """Verbs that may block for long. An executor with threads runs them there, one thread at a time for a store,
    while reads and writes go on in the other: only name verbs for which the store is ready for that."""

    lock: BlockLock | None = None
    """What `run` takes around verbs that read or change blocks, while other processes have the store too; not around
    slow ones, which reads and writes go beside in any case."""

    has_delays: bool = False
    """Whether executors are to ask `delay_ns` of every request; never changes."""

    def read(self, block: int, into: memoryview) -> None:
        """Fill `into`, a whole number of blocks owned by the caller, from `block` on. The view may not be kept."""

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write the concatenation of `data`, a whole number of blocks, at `block`. The views may not be kept.

        Whatever was written is seen by every later read; it may be lost at a power cut until `flush` returns.
        """

    def view(self, block: int, blocks: int) -> memoryview | None:  # noqa: ARG002 (the default has none)
        """The blocks without a copy, read only, valid until the next change of the store; None to have `read` called.

        It shows what `read` would give, without an executor: None where a read is to fail, or to be late. For blocks
        that nothing changes from another thread.
        """
        return None

    def flush(self) -> None:
        """Return when everything written before is on the medium."""
        return

    def deallocate(self, block: int, blocks: int) -> None:  # noqa: ARG002 (the default takes no hint)
        """Give back the space of `blocks` blocks; a hint that may be ignored."""
        return

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Make `blocks` blocks read as zeroes."""
        chunk = memoryview(bytes(min(blocks, ZERO_CHUNK_BYTES // self.block_bytes) * self.block_bytes))
        while blocks:
            count = min(blocks, len(chunk) // self.block_bytes)
            self.write(block, [chunk[: count * self.block_bytes]])
            block, blocks = block + count, blocks - count

    def delay_ns(self, request: StoreRequest) -> int:  # noqa: ARG002 (the default is never late)
        """How long after it came `request` completes at the earliest; asked once, before the verb is called.

        A store has no clock: the executor holds the completion back. Must not raise.
        """
        return 0

    def resize(self, size_bytes: int, *, may_shrink: bool = False) -> None:  # noqa: ARG002 (the default never can)
        """Have another size, which is durable on return; new blocks read as zeroes, and those cut off are gone.

        LocalError, with everything as it was, where that cannot be done, for a size that is no whole number of
        blocks, and for a smaller one unless `may_shrink`. Whoever checks ranges must know of a smaller size first.
        """
        raise LocalError(f"{type(self).__name__} cannot be resized to {size_bytes} bytes", errno=errno.EOPNOTSUPP)

    def share(self) -> Share | None:
        """What other processes get at the blocks with, beside this one; None where they cannot (`sharing`).

        From then on `lock` is the share's, and `view` gives nothing, until the store recalls it.
        """
        return None

    def recall(self) -> None:
        """Return when no other process has what was shared; `resize` and `close` do that, too.

        To be called where `share` is, in the thread of the event loop, before `close` is called in another.
        """
        return

    def close(self) -> None:
        """Release what the store holds; nothing is called afterwards."""
        return


READ: Final = 1
WRITE: Final = 2
FLUSH: Final = 3
DEALLOCATE: Final = 4
WRITE_ZEROES: Final = 5
NOTHING: Final = 6
"""Verbs of a `StoreRequest`; plain integers, since one is set on every I/O. With NOTHING no method of the store is
called: the request only takes its turn among the others."""


class StoreRequest:
    """One call of a verb, on its way to an executor and back.

    verb: READ, WRITE, FLUSH, DEALLOCATE, WRITE_ZEROES or NOTHING.
    store: whose verb.
    block: first block.
    blocks: how many; for READ and WRITE the views decide.
    view: READ: where to; WRITE: the data. Borrowed until the request comes back.
    ranges: DEALLOCATE: (block, blocks) pairs.
    is_fua: flush after the verb, before the completion.
    status: a `StatusCode`, valid once the request comes back; 0 is success.
    failure: what a verb raised, for a person: an OSError in the words of the operating system, as `no space left on
    device`, anything else as type and message, for whoever mends the store.
    trace: the traceback of what is no OSError, as text, else empty.
    """

    __slots__ = ("block", "blocks", "failure", "is_fua", "ranges", "status", "store", "trace", "verb", "view")

    def __init__(self) -> None:
        self.verb = 0
        self.store: Store | None = None
        self.block = 0
        self.blocks = 0
        self.view: memoryview | None = None
        self.ranges: Sequence[tuple[int, int]] = ()
        self.is_fua = False
        self.status = 0
        self.failure = ""
        self.trace = ""


def run(request: StoreRequest) -> None:
    """Call the verb of `request` and set its status; whatever the store raises becomes the status it stands for."""
    store, verb = request.store, request.verb
    assert store is not None
    lock = store.lock
    try:
        if lock is None or verb == FLUSH or verb in store.slow_verbs:
            _call(store, request)
        else:
            lock.take(verb)
            try:
                _call(store, request)
            finally:
                lock.release()
        if verb == FLUSH or request.is_fua:
            store.flush()
        request.status = 0
    except Exception as error:  # noqa: BLE001 (a store is anybody's code, and one command is all that it may end)
        fail(request, error)


def _call(store: Store, request: StoreRequest) -> None:
    verb, view = request.verb, request.view
    if verb == READ:
        assert view is not None
        store.read(request.block, view)
    elif verb == WRITE:
        assert view is not None
        store.write(request.block, (view,))
    elif verb == WRITE_ZEROES:
        store.write_zeroes(request.block, request.blocks)
    elif verb == DEALLOCATE:
        for block, blocks in request.ranges:
            store.deallocate(block, blocks)


def fail(request: StoreRequest, error: Exception) -> None:
    """Give a request the status that an exception of its store stands for."""
    if isinstance(error, OSError):
        request.status = status_of(error, request.verb)
        request.failure = (error.strerror or str(error) or type(error).__name__).lower()
        request.trace = ""
    else:
        request.status = StatusCode.INTERNAL_ERROR.value
        request.failure = f"{type(error).__name__}: {error}"
        # As text: the exception itself would hold the frames, and with them the caller's views.
        request.trace = "".join(traceback.format_exception(error))


def status_of(error: OSError, verb: int) -> int:
    """The status code that an OSError of a store's verb stands for."""
    number = error.errno or 0
    if number in _STATUS_BY_ERRNO:
        return _STATUS_BY_ERRNO[number]
    return StatusCode.UNRECOVERED_READ_ERROR.value if verb == READ else StatusCode.WRITE_FAULT.value


_STATUS_BY_ERRNO = {
    errno.ENOSPC: StatusCode.CAPACITY_EXCEEDED.value,
    errno.EDQUOT: StatusCode.CAPACITY_EXCEEDED.value,
    errno.EROFS: StatusCode.NAMESPACE_WRITE_PROTECTED.value,
    errno.EAGAIN: StatusCode.NAMESPACE_NOT_READY.value,
}

ZERO_CHUNK_BYTES = 1 << 20
"""How much is written at once where zeroes have to be written out."""
