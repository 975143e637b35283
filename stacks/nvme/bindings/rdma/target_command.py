"""A command of a target's queue with what it takes to move its data and its answer over RDMA."""

from __future__ import annotations

from typing import Final

from stacks.nvme.target.command import Command
from stacks.rdma import SendWr, Sge, WrOpcode


class RdmaCommand(Command):
    """A command; its work requests are made once, and posted again for each capsule that it stands for.

    slot: the receive that it came in; address, key: the host's memory; kind: of its SGL.
    """

    __slots__ = ("address", "answer_view", "data_sge", "index", "key", "kind", "move", "send", "slot")

    def __init__(self, index: int, answer_view: memoryview, answer_sge: Sge, *, lkey: int) -> None:
        super().__init__()
        self.index = index
        self.slot = 0
        self.address = 0
        self.key = 0
        self.kind = 0
        self.answer_view = answer_view
        self.data_sge = Sge(0, 0, lkey)
        self.move = SendWr(0, WrOpcode.RDMA_WRITE, (self.data_sge,), 0)
        self.send = SendWr(index << 2 | SEND, WrOpcode.SEND, (answer_sge,))


RECV: Final = 0
SEND: Final = 1
READ: Final = 2
"""The low two bits of a wr_id; the rest is the slot or the command."""
