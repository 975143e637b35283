"""Requests that start or end inside blocks: right by themselves, and beside others."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.nbd.claims import Claims
from stacks.nvme.nbd.request import Request
from tests.stacks.nvme.nbd.disk import Disk, Operation
from tests.stacks.nvme.nbd.rig import NbdRig
from wire.nbd import CommandFlag, CommandKind, NbdError
from wire.nvme.status import StatusCode

RANGES = [(0, 1), (511, 1), (511, 2), (100, 300), (0, 513), (100, 412), (100, 924), (512, 1000), (1, 8190), (513, 4096)]
BLOCK = 512


def filled(seed: int = 7) -> Disk:
    disk = Disk(rng=random.Random(seed))
    disk.memory[:] = random.Random(seed).randbytes(len(disk.memory))
    return disk


@pytest.mark.parametrize(("offset", "length"), RANGES)
@pytest.mark.parametrize("is_structured", [True, False], ids=["structured", "simple"])
def test_reads_of_parts_of_blocks_return_what_was_asked_for(offset: int, length: int, is_structured: bool) -> None:
    rig = NbdRig(filled())
    client = rig.client(is_structured=is_structured)
    assert client.read(offset, length) == rig.disk.memory[offset : offset + length]
    assert client.read(512, 512) == rig.disk.memory[512:1024]


@pytest.mark.parametrize(("offset", "length"), RANGES)
@pytest.mark.parametrize("fill", ["write", "zeroes", "written zeroes"])
def test_changes_of_parts_of_blocks_leave_the_rest_as_it_was(offset: int, length: int, fill: str) -> None:
    rig = NbdRig(filled())
    expected = bytearray(rig.disk.memory)
    data = random.Random(1).randbytes(length) if fill == "write" else bytes(length)
    expected[offset : offset + length] = data
    client = rig.client()
    if fill == "write":
        assert client.write(offset, data).error == 0
    else:
        flags = CommandFlag.NO_HOLE if fill == "written zeroes" else 0
        assert client.do(CommandKind.WRITE_ZEROES, offset, length, flags=flags).error == 0
    assert rig.disk.memory == expected
    assert rig.server.counters.unaligned == 1


def test_fua_of_a_write_of_parts_is_on_its_write() -> None:
    rig = NbdRig()
    rig.client().write(100, b"x", flags=CommandFlag.FUA)
    assert rig.disk.operations == [Operation("read", 0, 1), Operation("write", 0, 1, is_fua=True)]


def test_a_trim_gives_back_the_whole_blocks_inside_and_no_more() -> None:
    rig = NbdRig(filled())
    client = rig.client()
    assert client.do(CommandKind.TRIM, 100, 2000).error == 0
    assert client.do(CommandKind.TRIM, 100, 412).error == 0
    assert client.do(CommandKind.TRIM, 100, 800, flags=CommandFlag.FUA).error == 0
    assert rig.disk.operations == [Operation("trim", 1, 3)]


@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize("kind", [CommandKind.WRITE, CommandKind.WRITE_ZEROES])
def test_a_change_of_parts_that_fails_says_so_and_lets_others_go_on(verb: str, kind: CommandKind) -> None:
    rig = NbdRig(filled())
    client = rig.client()
    rig.disk.status[verb] = StatusCode.UNRECOVERED_READ_ERROR
    data = bytes(1000) if kind == CommandKind.WRITE else b""
    assert client.do(kind, 100, 1000, data=data).error == NbdError.EIO
    rig.disk.status.clear()
    assert client.do(kind, 100, 1000, data=data).error == 0
    assert client.read(100, 1000) == bytes(1000)


@pytest.mark.parametrize("seed", range(8))
def test_many_clients_change_parts_of_one_block_and_nothing_is_lost(seed: int) -> None:
    rig = NbdRig(Disk(rng=random.Random(seed)), seed=seed)
    clients = [rig.client() for _ in range(4)]
    rig.disk.is_held = True
    cookies = []
    order = [(at, clients[at % 4]) for at in range(64)]
    random.Random(seed).shuffle(order)
    for at, client in order:
        cookies.append((client, client.core.say_write(at * 8, bytes([at + 1]) * 8)))
    for client in clients:
        client.say()
    rig.let_disk_go_on()
    for client, cookie in cookies:
        assert client.finish(cookie)[0].error == 0
    assert rig.disk.memory[:512] == b"".join(bytes([at + 1]) * 8 for at in range(64))


@pytest.mark.parametrize("seed", range(8))
def test_parts_and_whole_blocks_change_one_after_the_other(seed: int) -> None:
    rig = NbdRig(Disk(rng=random.Random(seed)), seed=seed)
    client = rig.client()
    whole = client.core.say_write(0, b"w" * 1024)
    part = client.core.say_write(500, b"p" * 24)
    zeroes = client.core.say_request(CommandKind.WRITE_ZEROES, 1024, 512)
    trim = client.core.say_request(CommandKind.TRIM, 0, 512)
    assert [reply.error for reply in client.finish(whole, part, zeroes, trim)] == [0] * 4
    blocks = rig.disk.memory[:512], rig.disk.memory[512:1024]
    # In whatever order: never part of one change with the block as it was before another that is done.
    assert blocks[0] in (b"w" * 512, b"w" * 500 + b"p" * 12, bytes(512), bytes(500) + b"p" * 12)
    assert blocks[1] in (b"w" * 512, b"p" * 12 + b"w" * 500)


def test_a_change_of_parts_waits_for_changes_of_its_blocks_and_others_for_it() -> None:
    rig = NbdRig(Disk())
    rig.disk.is_held = True
    client = rig.client()
    client.core.say_write(0, b"a" * 512)
    client.core.say_write(100, b"b")
    client.core.say_write(0, b"c" * 512)
    client.core.say_write(512, b"d" * 512)
    client.core.say_write(1000, b"e")
    client.core.say_request(CommandKind.READ, 0, 512)
    client.say()
    assert rig.disk.operations == [Operation("write", 0, 1), Operation("write", 1, 1), Operation("read", 0, 1)]
    rig.disk.end_one()
    assert rig.disk.operations[3:] == [Operation("read", 0, 1)]
    rig.disk.end_one()
    assert rig.disk.operations[4:] == [Operation("read", 1, 1)]
    rig.let_disk_go_on()
    rig.run_for()
    assert rig.disk.memory[:1024] == b"c" * 512 + b"d" * 488 + b"e" + b"d" * 23


class Script:
    """Claims, and in which order changes started."""

    def __init__(self) -> None:
        self.claims = Claims()
        self.started: list[Request] = []

    def request(self, first: int, last: int) -> Request:
        request = Request(None, memoryview(bytearray(32)), [], None)  # type: ignore[arg-type]
        request.first, request.last = first, last
        return request

    def enter(self, first: int, last: int, *, alone: bool = False) -> Request:
        request = self.request(first, last)
        self.claims.enter(request, self.started.append, is_exclusive=alone)
        return request


def test_changes_of_whole_blocks_share_and_one_of_parts_does_not() -> None:
    script = Script()
    one, two = script.enter(0, 10), script.enter(5, 15)
    part = script.enter(9, 10, alone=True)
    elsewhere = script.enter(20, 21, alone=True)
    assert script.started == [one, two, elsewhere]
    script.claims.leave(one)
    assert script.claims.waiting == 1
    script.claims.leave(two)
    assert script.started[3:] == [part]


def test_who_waits_is_not_overtaken_by_whom_he_waits_for_again() -> None:
    script = Script()
    first = script.enter(0, 10)
    part = script.enter(5, 6, alone=True)
    later, beside = script.enter(5, 6), script.enter(7, 8)
    assert script.started == [first, beside]
    script.claims.leave(first)
    assert script.started == [first, beside, part]
    script.claims.leave(part)
    assert script.started[3:] == [later]
    script.claims.leave(later)
    script.claims.leave(beside)
    assert script.claims.waiting == 0


def test_thousands_that_wait_for_one_another_and_end_at_once_are_no_recursion() -> None:
    claims, ended = Claims(), []
    script = Script()
    first = script.request(0, 1)
    claims.enter(first, lambda _: None, is_exclusive=True)

    def end(request: Request) -> None:
        ended.append(request)
        claims.leave(request)

    waiting = [script.request(0, 1) for _ in range(2000)]
    for request in waiting:
        claims.enter(request, end, is_exclusive=True)
    claims.leave(first)
    assert ended == waiting
