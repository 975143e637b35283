"""A request of a client, from when it is read until its reply is sent, and the memory for its data.

    memory:  | room for the head of a reply | data, in whole blocks |

Data is received there and written from there, or read into there and sent from there, its reply's head before it, so
that head and data are one view. Requests are used again: what a read and its reply need is then there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.host import Region
from wire.nbd import NbdDataChunk, NbdSimpleReply

if TYPE_CHECKING:
    from stacks.nvme.nbd.answers import Answers
    from stacks.nvme.nbd.backend import Ended, Register


class Request:
    """A request.

    owner: who answers it; shelf: where it lies when it is free.
    cookie, flags, offset, length: what the client said. lead: how far into a block it starts.
    first, last: the blocks that a change touches, `last` behind them.
    data: room for `length` bytes of data, once it is shaped; blocks: the whole blocks around them. shaped: for how much
    data there is room that starts with a block; -1 when it starts inside one. region: of the memory, if registered.
    acknowledgement, reply, structured_reply: memory of a reply without data, with it, and of a structured one.
    """

    __slots__ = (
        "acknowledgement",
        "blocks",
        "cookie",
        "data",
        "first",
        "flags",
        "last",
        "lead",
        "length",
        "memory",
        "offset",
        "owner",
        "region",
        "reply",
        "shaped",
        "shelf",
        "structured_reply",
    )

    def __init__(
        self, owner: Answers, memory: memoryview, shelf: list[Request], region: Region | None
    ) -> None:
        self.owner = owner
        self.memory = memory
        self.shelf = shelf
        self.region = region
        self.cookie = self.flags = self.offset = self.length = 0
        self.first = self.last = self.lead = 0
        self.acknowledgement = memory[HEAD_BYTES - NbdSimpleReply.SIZE : HEAD_BYTES]
        self.shape(0)

    def shape(self, length: int, *, lead: int = 0, block_bytes: int = 1) -> None:
        """Lay out memory for `length` bytes that start `lead` bytes into a block."""
        at, memory = HEAD_BYTES + lead, self.memory
        self.lead = lead
        self.shaped = -1 if lead else length
        self.data = memory[at : at + length]
        end = HEAD_BYTES + -(-(lead + length) // block_bytes) * block_bytes
        self.blocks = memory[HEAD_BYTES:end] if lead or end != at + length else self.data
        self.reply = memory[at - NbdSimpleReply.SIZE : at + length]
        self.structured_reply = memory[at - NbdDataChunk.SIZE : at + length]

    def read_ended(self, ended: Ended) -> None:
        """A read, whole or in parts, is over."""
        self.owner.read_ended(self, ended)

    def change_ended(self, ended: Ended) -> None:
        """A change that others had to know of is over."""
        self.owner.change_ended(self, ended)

    def flush_ended(self, ended: Ended) -> None:
        """A flush is over."""
        self.owner.ended(self, ended)


class Requests:
    """The requests of one client, made as they are needed and kept for the next.

    owner: who answers them. register: registers their memory, None for no need; block_bytes: of the export.
    limit_bytes: memory for all together; it must do for the largest.
    Sizes are powers of two, so that few fit for all.
    """

    def __init__(self, owner: Answers, register: Register | None, *, block_bytes: int, limit_bytes: int) -> None:
        self.shelves: list[list[Request]] = [[] for _ in range(SHELVES)]
        self._owner = owner
        self._register = register
        self._block_bytes = block_bytes
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._is_closed = False

    @property
    def used_bytes(self) -> int:
        """Memory of all requests, those in use and those that lie ready."""
        return self._used_bytes

    def take(self, length: int) -> Request | None:
        """A request with memory for `length` bytes of data; None when that would be too much now."""
        shelf = shelf_of(length)
        free = self.shelves[shelf]
        return free.pop() if free else self.make(shelf)

    def make(self, shelf: int) -> Request | None:
        """A new request, for which requests of other sizes that lie ready may have to go; None as of `take`."""
        size = self._size(shelf)
        if self._used_bytes + size > self._limit_bytes and not self._reclaim(size):
            return None
        self._used_bytes += size
        memory = bytearray(size)
        region = None if self._register is None else self._register.register(memory)
        return Request(self._owner, memoryview(memory), self.shelves[shelf], region)

    def close(self) -> None:
        """Let go of everything, at once or as it comes back."""
        self._is_closed = True
        self._reclaim(self._limit_bytes)

    def give_back(self, request: Request) -> None:
        """Take a request back."""
        request.shelf.append(request)
        if self._is_closed:
            self._reclaim(self._limit_bytes)

    def _reclaim(self, size: int) -> bool:
        for shelf in range(SHELVES - 1, -1, -1):
            free = self.shelves[shelf]
            while free:
                if self._used_bytes + size <= self._limit_bytes:
                    return True
                self._drop(free.pop())
        return self._used_bytes + size <= self._limit_bytes

    def _drop(self, request: Request) -> None:
        self._used_bytes -= len(request.memory)
        if self._register is not None and request.region is not None:
            self._register.deregister(request.region)

    def _size(self, shelf: int) -> int:
        # Data that starts inside a block lies in one block more.
        block = self._block_bytes
        return HEAD_BYTES + -(-(SMALLEST_BYTES << shelf) // block) * block + block


def shelf_of(length: int) -> int:
    """Which size of request is for so many bytes."""
    return (length - 1).bit_length() - SMALLEST_BITS if length > SMALLEST_BYTES else 0


HEAD_BYTES = 32
"""Room for the head of any reply with data."""
SMALLEST_BITS = 12
SMALLEST_BYTES = 1 << SMALLEST_BITS
SHELVES = 14
"""From 4 KiB to 32 MiB."""
