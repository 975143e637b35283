"""Requests of any range, in any number and order, against a plain array of bytes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stacks.nvme.nbd.disk import Disk
from tests.stacks.nvme.nbd.rig import NbdRig, RigClient
from wire.nbd import CommandFlag, CommandKind

SIZE = 16 << 10
READ, WRITE, TRIM, ZEROES = CommandKind.READ, CommandKind.WRITE, CommandKind.TRIM, CommandKind.WRITE_ZEROES
FLAGS = {
    READ: [0],
    WRITE: [0, CommandFlag.FUA],
    ZEROES: [0, CommandFlag.NO_HOLE, CommandFlag.FUA],
    TRIM: [0, CommandFlag.FUA],
    CommandKind.FLUSH: [0],
}

ends = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE))
ranges = ends.map(lambda pair: (min(pair), max(pair) - min(pair)))
requests = st.tuples(st.sampled_from(list(FLAGS)), ranges, st.integers(0, 255), st.integers(0, 2))


def say(client: RigClient, kind: int, offset: int, length: int, fill: int, flag: int) -> int:
    flags = FLAGS[CommandKind(kind)]
    if kind == CommandKind.FLUSH:
        offset = length = 0
    data = random.Random(fill).randbytes(length) if kind == WRITE else b""
    return client.core.say_request(kind, offset, length, flags=flags[flag % len(flags)], data=data)


def change(model: bytearray, kind: int, offset: int, length: int, fill: int, block: int) -> None:
    if kind == WRITE:
        model[offset : offset + length] = random.Random(fill).randbytes(length)
    elif kind == ZEROES:
        model[offset : offset + length] = bytes(length)
    elif kind == TRIM:
        first, last = -(-offset // block) * block, (offset + length) // block * block
        if first < last:
            model[first:last] = bytes(last - first)


@pytest.mark.parametrize("block", [512, 4096])
@settings(max_examples=25)
@given(said=st.lists(requests, max_size=30), seed=st.integers(0, 1 << 16), is_structured=st.booleans())
def test_one_after_the_other(
    block: int, said: list[tuple[int, tuple[int, int], int, int]], seed: int, is_structured: bool
) -> None:
    rig = NbdRig(Disk(block, SIZE // block, rng=random.Random(seed)), seed=seed)
    client, model = rig.client(is_structured=is_structured), bytearray(SIZE)
    for kind, (offset, length), fill, flag in said:
        (reply,) = client.finish(say(client, kind, offset, length, fill, flag))
        assert reply.error == 0
        if kind == READ:
            assert reply.data == model[offset : offset + length]
        change(model, kind, offset, length, fill, block)
    assert rig.disk.memory == model


@settings(max_examples=25)
@given(
    cuts=st.lists(st.integers(0, SIZE), min_size=1, max_size=30, unique=True).map(sorted),
    kinds=st.lists(st.tuples(st.sampled_from([READ, WRITE, ZEROES]), st.integers(0, 255)), min_size=30, max_size=30),
    seed=st.integers(0, 1 << 16),
)
def test_all_at_once_from_three_clients_each_his_own_bytes(
    cuts: list[int], kinds: list[tuple[int, int]], seed: int
) -> None:
    block = 512
    rig = NbdRig(Disk(block, SIZE // block, rng=random.Random(seed)), seed=seed)
    rig.disk.memory[:] = random.Random(seed).randbytes(SIZE)
    model = bytearray(rig.disk.memory)
    clients = [rig.client() for _ in range(3)]
    asked = []
    for at, (start, end, (kind, fill)) in enumerate(zip(cuts, cuts[1:], kinds, strict=False)):
        client = clients[at % 3]
        before = bytes(model[start:end])
        asked.append((client, say(client, kind, start, end - start, fill, fill), kind, before))
        change(model, kind, start, end - start, fill, block)
    for client in clients:
        client.wake()
    for client, cookie, kind, before in asked:
        (reply,) = client.finish(cookie)
        assert reply.error == 0
        if kind == READ:
            assert reply.data == before
    assert rig.disk.memory == model
