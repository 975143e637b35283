"""Clients that say nonsense: nothing raises, nothing hangs, memory stays bounded, and others are served."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.nbd import Export, NbdServer
from stacks.nvme.nbd.connection import NbdConnection
from tests.stacks.nvme.nbd.client import Client, named
from tests.stacks.nvme.nbd.disk import Disk
from wire.nbd import CommandKind, Info, NbdRequest, Option

REDUCED, FULL = 150, 20_000


def session(rng: random.Random) -> bytearray:
    """What a client may say from its beginning to its end."""
    client = Client()
    client.say_flags()
    for option in rng.sample([*Option, 99], 4):
        if option not in (Option.EXPORT_NAME, Option.GO, Option.ABORT):
            client.say_option(option, named("disk", [Info.BLOCK_SIZE]) if rng.random() < 0.7 else b"")
    if rng.random() < 0.3:
        client.say_option(Option.EXPORT_NAME, b"disk")
    else:
        client.say_go("disk", Info.BLOCK_SIZE)
    for _ in range(12):
        kind = rng.choice(list(CommandKind))
        if kind != CommandKind.DISC:
            offset, length = rng.randrange(1 << 20), rng.choice([0, 1, 512, 4096, 50_000])
            client.say_request(kind, offset, length, data=rng.randbytes(length) if kind == CommandKind.WRITE else b"")
    client.say_request(CommandKind.DISC)
    return client.outgoing


def mutate(said: bytearray, rng: random.Random) -> bytearray:
    """The same with some of it wrong: bits, whole words at the ends of headers, pieces doubled or left out."""
    for _ in range(rng.randrange(4)):
        if not said:
            break
        at = rng.randrange(len(said))
        way = rng.randrange(5)
        if way == 0:
            said[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            said[at : at + 4] = rng.choice([bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\1\0\0"])
        elif way == 2:
            del said[at : at + rng.randrange(64)]
        elif way == 3:
            said[at:at] = said[at : at + rng.randrange(64)]
        else:
            said[at:at] = NbdRequest(kind=rng.randrange(9), length=rng.randrange(1 << 32)).encode()
    return said


def give(client: NbdConnection, said: bytearray, rng: random.Random, server: NbdServer, disk: Disk) -> None:
    """Have a connection hear bytes in pieces, read most of what it answers, and let the disk work."""
    at = stuck = 0
    while at < len(said) and not client.is_over and stuck < 50:
        views = client.receive_views()
        piece = said[at : at + rng.choice([1, 7, 100, 5000])]
        taken = 0
        for view in views:
            part = piece[taken : taken + len(view)]
            view[: len(part)] = part
            taken += len(part)
        at += taken
        stuck = 0 if taken else stuck + 1
        if taken:
            client.handle_received(taken, 0)
        disk.pump(0)
        for core in server.poll_active(0):
            if views := core.poll_output():
                core.sent(rng.randrange(1, sum(map(len, views)) + 1))
    if not client.is_over:
        client.handle_ended(rng.choice(["", "reset"]), 0)


def drive(seed: int) -> None:
    rng = random.Random(seed)
    disk = Disk(rng=rng)
    server = NbdServer(disk, Export(name="disk", block_bytes=512, size_bytes=1 << 20))
    for way in range(3):
        client = server.handle_accepted(("", 0), ("", 0), 0)
        assert isinstance(client, NbdConnection)
        said = session(rng)
        give(client, mutate(said, rng) if way < 2 else bytearray(rng.randbytes(2000)), rng, server, disk)
    for _ in range(1000):
        disk.pump(0)
        # All of them, as a pump finds room again where there was none.
        for core in [*server.poll_active(0), *server.clients]:
            while views := core.poll_output():
                core.sent(sum(map(len, views)))
    assert disk.pending == 0
    assert server.is_drained, f"seed {seed}"
    check_that_others_are_served(server, disk)


def check_that_others_are_served(server: NbdServer, disk: Disk) -> None:
    """A client that keeps to the rules is served from its first word to its last."""
    client, core = Client(), server.handle_accepted(("", 0), ("", 0), 0)
    assert isinstance(core, NbdConnection)
    client.say_flags()
    client.say_option(Option.STRUCTURED_REPLY)
    client.say_go("disk")
    cookies = [client.say_write(1000, b"good"), client.say_request(CommandKind.READ, 1000, 4)]
    client.say_request(CommandKind.DISC)
    (view,) = core.receive_views()
    view[: len(client.outgoing)] = client.outgoing
    core.handle_received(len(client.outgoing), 0)
    while not core.is_over:
        disk.pump(0)
        for each in server.poll_active(0):
            while views := each.poll_output():
                client.hear(b"".join(views))
                each.sent(sum(map(len, views)))
    assert [client.replies[cookie].error for cookie in cookies] == [0, 0]


@pytest.mark.slow
def test_nonsense_of_every_kind_is_survived() -> None:
    for seed in range(REDUCED):
        drive(seed)


@pytest.mark.long
def test_nonsense_of_every_kind_is_survived_for_long() -> None:
    for seed in range(REDUCED, FULL):
        drive(seed)
