"""Whatever a host sends, a target answers each command once, raises nothing, and keeps its buffers."""

from __future__ import annotations

import random

import pytest

from tests.stacks.nvme.core_rig import NQN, SQE_WORDS, Command, CoreHost, connected, make_port
from wire.nvme.commands_codec import SubmissionEntry

ROUNDS = 3000


def random_entry(rng: random.Random, cid: int) -> SubmissionEntry:
    def number(bits: int) -> int:
        # Small, huge and anything in between, so that ranges are hit and missed.
        if rng.random() < 0.4:
            return int(rng.random() * 8)
        if rng.random() < 0.1:
            return (1 << bits) - 1
        return int(rng.random() * (1 << bits))

    return SubmissionEntry(
        opcode=number(8),
        flags=0x40 if rng.random() < 0.9 else number(8),
        cid=cid,
        nsid=number(32),
        cdw2=number(32),
        cdw3=number(32),
        mptr=number(64),
        cdw10=number(32),
        cdw11=number(32),
        cdw12=number(32),
        cdw13=number(32),
        cdw14=number(32),
        cdw15=number(32),
    )


def answer_all(host: CoreHost, sent: set[int]) -> None:
    host.pump()
    assert set(host.answers) <= sent


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("state", ["fresh", "admin", "io"])
def test_random_submission_entries_never_raise_and_each_gets_one_answer(seed: int, state: str) -> None:
    rng = random.Random(seed)
    port = make_port()
    free = port.pool.free_buffers
    if state == "fresh":
        host = CoreHost(port)
    else:
        admin, io = connected(port)
        host = admin if state == "admin" else io
    answered = 0
    sent: set[int] = set()
    for cid in range(1, ROUNDS):
        command = Command()
        command.words = SQE_WORDS(random_entry(rng, cid).encode(), 0)
        length = (0, 4, 16, 512, 1024, 4096, 8192)[int(rng.random() * 7)]
        command.data_bytes = length
        if rng.random() < 0.3 and length:
            command.capsule_data = memoryview(bytes(int(rng.random() * 256) for _ in range(16)).ljust(length, b"\0"))
        host.host_data[cid] = bytes(length)
        sent.add(cid)
        host.queue.handle_capsule(command)
        answer_all(host, sent)
        answered += len(host.answers)
        host.answers.clear()
        if host.queue.controller is not None and not host.queue.controller.is_ready and state != "fresh":
            break
    waiting = host.queue.in_flight
    assert answered + waiting == len(sent)
    assert waiting <= 4
    assert port.pool.free_buffers == free


def test_a_fuzzed_queue_leaves_others_alone() -> None:
    port = make_port()
    _, victim = connected(port)
    data = bytes(range(256)) * 16
    victim.io(1, 200, 1, data=data)
    attacker = CoreHost(port)
    rng = random.Random(3)
    for cid in range(500):
        command = Command()
        command.words = SQE_WORDS(random_entry(rng, cid).encode(), 0)
        attacker.host_data[cid] = b""
        attacker.queue.handle_capsule(command)
        attacker.pump()
    assert victim.io(2, 200, 1, expect=4096).data == data
    assert NQN in port.target.subsystems
