"""Where data lies on its way: writes are received where they are written from, reads sent from where they were read."""

from __future__ import annotations

import random

from stacks.nvme.nbd import Export, NbdServer
from stacks.nvme.nbd.connection import NbdConnection
from tests.stacks.nvme.nbd.client import Client
from tests.stacks.nvme.nbd.disk import Disk
from wire.nbd import CommandKind, NbdRequest, Option

MIB = 1 << 20


class Talk:
    """A client and a server's end of its connection, without anything between."""

    def __init__(self) -> None:
        self.disk = Disk(4096, 1024)
        self.server = NbdServer(self.disk, Export(block_bytes=4096, size_bytes=4 * MIB))
        core = self.server.handle_accepted(("", 0), ("", 0), 0)
        assert isinstance(core, NbdConnection)
        self.core = core
        self.client = Client()
        self.client.say_flags()
        self.client.say_option(Option.STRUCTURED_REPLY)
        self.client.say_go("")
        self.send()
        self.answer()

    def send(self) -> list[int]:
        """What the client has to say arrives, as much at a time as is offered; how much was offered each time."""
        offered = []
        said = self.client.outgoing
        while said:
            views = self.core.receive_views()
            offered.append(sum(map(len, views)))
            taken = 0
            for view in views:
                piece = said[taken : taken + len(view)]
                view[: len(piece)] = piece
                taken += len(piece)
            del said[:taken]
            self.core.handle_received(taken, 0)
        return offered

    def answer(self) -> list[memoryview]:
        """The disk does its work, and the client hears what is sent; the views that were sent."""
        self.disk.pump(0)
        sent = []
        for core in self.server.poll_active(0):
            views = list(core.poll_output())
            sent += [memoryview(view) for view in views]
            self.client.hear(b"".join(views))
            core.sent(sum(map(len, views)))
        return sent


def test_data_of_large_writes_goes_to_where_it_is_written_from() -> None:
    talk = Talk()
    data = random.Random(1).randbytes(MIB)
    offered = []
    for at in range(4):
        talk.client.say_write(at * MIB, data)
        offered.append(talk.send())
        talk.answer()
    buffered = offered[0][0] - NbdRequest.SIZE
    assert offered[0][1] > MIB - buffered, "the rest goes to the request's memory, and what follows to the buffer"
    assert [sizes[0] for sizes in offered[1:]] == [4096] * 3, "and the next write's data nearly all"
    assert talk.disk.memory == data * 4
    assert [reply.error for reply in talk.client.replies.values()] == [0] * 4


def test_small_requests_after_large_ones_come_many_at_a_time_again() -> None:
    talk = Talk()
    talk.client.say_write(0, bytes(MIB))
    talk.send()
    for _ in range(200):
        talk.client.say_request(CommandKind.READ, 0, 4096)
    assert len(talk.send()) <= 3
    talk.answer()
    talk.answer()
    assert len(talk.client.replies) == 201


def test_a_read_and_its_head_are_one_view_of_the_memory_it_was_read_into() -> None:
    talk = Talk()
    talk.disk.memory[:] = random.Random(2).randbytes(4 * MIB)
    for _ in range(2):
        for at in range(8):
            talk.client.say_request(CommandKind.READ, at * 4096, 4096)
        talk.send()
        sent = talk.answer()
        assert [len(view) for view in sent] == [28 + 4096] * 8
    assert talk.client.replies
