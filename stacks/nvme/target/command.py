"""One command on its way through a target.

A binding makes `Command`s (or a subclass with its own fields), fills in what came with a capsule, and gets the same
object back for each thing that it has to do. A command is also the store request of its I/O, so that nothing is
allocated between a capsule and its completion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stacks.nvme.buffers import Buffer
from stacks.nvme.stores.contract import StoreRequest

if TYPE_CHECKING:
    from stacks.nvme.target.fused import Pair
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue


class Command(StoreRequest):
    """A command in flight.

    Set by the binding before `Queue.handle_capsule`:
    words: the submission entry as sixteen little-endian 32-bit words.
    data_bytes: length of the data that the command's SGL describes; 0 for none.
    capsule_data: data that came inside the capsule, borrowed until the completion; empty when there is none.

    Set by the core:
    queue, cid, opcode: where it came from, and its name there.
    buffer: staging memory, or None. A fetch fills `view` from the host; a completion sends `view[:send_bytes]` first.
    send_bytes: data for the host; 0 for none.
    dw0, dw1, status_word, sqhd: the completion entry.
    namespace: of an I/O command; it may be removed meanwhile.
    resume: what to do when the thing that was asked for has happened.
    verb: of the store request, while it waits for a store or is there; `NO_VERB` at all other times.
    pair: of one half of a fused pair, from when both are there.
    """

    __slots__ = (
        "buffer",
        "capsule_data",
        "cid",
        "data_bytes",
        "dw0",
        "dw1",
        "namespace",
        "offset",
        "opcode",
        "pair",
        "queue",
        "resume",
        "scratch",
        "send_bytes",
        "sqhd",
        "status_word",
        "words",
    )

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue | None = None
        self.words: Sequence[int] = ()
        self.data_bytes = 0
        self.capsule_data = NO_DATA
        self.cid = 0
        self.opcode = 0
        self.buffer: Buffer | None = None
        self.send_bytes = 0
        self.dw0 = 0
        self.dw1 = 0
        self.status_word = 0
        self.sqhd = 0
        self.offset = 0
        self.namespace: Namespace | None = None
        self.pair: Pair | None = None
        self.scratch: memoryview | None = None
        self.resume: Callable[[Command], None] = not_resumed

    def answer(self, value: int) -> None:
        """Put a 64-bit result into DW0 and DW1."""
        self.dw0, self.dw1 = value & 0xFFFFFFFF, value >> 32


def not_resumed(command: Command) -> None:
    """What `resume` is for a command that waits for nothing; also how an object that resumed one is let go."""
    raise AssertionError(f"command {command.cid} was resumed though it waits for nothing")


NO_DATA = memoryview(b"")
NO_VERB = 0
