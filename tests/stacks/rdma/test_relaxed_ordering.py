"""Relaxed ordering: permuted where the flag allows it, never past what a program can see."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import Access, DeviceConfig, MemoryConfig, SendWr, WrOpcode
from tests.stacks.rdma.hand import MTU, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, Traffic
from transports.simulation import Impairments
from wire.roce import AtomicEth, Feth, ImmDt, Opcode, Reth

RELAXED = FULL_ACCESS | Access.RELAXED_ORDERING


def orders(access: int, seeds: range) -> set[tuple[int, ...]]:
    """Which packets of an unfinished WRITE a program that polls memory finds, for each seed."""
    seen = set()
    for seed in seeds:
        rig = HandRig(config=DeviceConfig(memory=MemoryConfig(relaxed_seed=seed)), timeout=0)
        mr = rig.end.pd.reg_mr(memory := bytearray(80 * MTU), access)
        header = Reth(va=mr.address, rkey=mr.rkey, length=80 * MTU)
        rig.request(Opcode.RC_WRITE_FIRST, header, payload=b"x" * MTU, ack=False)
        for _ in range(69):
            rig.request(Opcode.RC_WRITE_MIDDLE, payload=b"x" * MTU, ack=False)
        seen.add(tuple(at for at in range(80) if memory[at * MTU]))
    return seen


def test_without_the_flag_packets_reach_memory_in_their_order() -> None:
    assert orders(FULL_ACCESS, range(3)) == {tuple(range(70))}


def test_with_the_flag_a_seed_chooses_which_are_late() -> None:
    seen = orders(RELAXED, range(5))
    assert len(seen) == 5
    assert {len(there) for there in seen} == {70 - 16}
    assert seen == orders(RELAXED, range(5))


def test_overlapping_writes_of_one_message_queue_leave_either() -> None:
    """ibv_reg_mr: back-to-back writes to the same memory leave it in an unknown state."""
    left = set()
    for seed in range(20):
        rig = HandRig(config=DeviceConfig(memory=MemoryConfig(relaxed_seed=seed)), timeout=0)
        mr = rig.end.pd.reg_mr(memory := bytearray(8), RELAXED)
        for payload in (b"first...", b"second.."):
            header = Reth(va=mr.address, rkey=mr.rkey, length=8)
            rig.request(Opcode.RC_WRITE_ONLY, header, payload=payload, ack=False)
        assert memory == bytes(8)
        rig.end.recv(1)
        rig.request(Opcode.RC_SEND_ONLY)
        assert rig.completed() == [(1, "SUCCESS")]
        left.add(bytes(memory))
    assert left == {b"first...", b"second.."}


BARRIERS = ("SEND", "WRITE with immediate", "ACK", "READ", "atomic", "ATOMIC WRITE", "FLUSH", "dereg")


@pytest.mark.parametrize("barrier", BARRIERS)
def test_nothing_is_late_that_something_visible_follows(barrier: str) -> None:
    flags = RELAXED | Access.FLUSH_GLOBAL
    rig = HandRig(config=DeviceConfig(memory=MemoryConfig(relaxed_seed=1)), timeout=0, access=flags)
    mr = rig.end.pd.reg_mr(memory := bytearray(4096), flags)
    whole = Reth(va=mr.address, rkey=mr.rkey, length=2 * MTU)
    rig.end.recv(1)
    rig.request(Opcode.RC_WRITE_FIRST, whole, payload=b"x" * MTU, ack=False)
    rig.request(Opcode.RC_WRITE_LAST, payload=b"y" * MTU, ack=barrier == "ACK")
    cell = Reth(va=mr.address + 2 * MTU, rkey=mr.rkey, length=8)
    if barrier != "ACK":
        assert memory[: 2 * MTU] == bytes(2 * MTU)
    _see(rig, barrier, cell)
    if barrier == "dereg":
        mr.dereg()
    assert memory[: 2 * MTU] == b"x" * MTU + b"y" * MTU


def _see(rig: HandRig, barrier: str, cell: Reth) -> None:
    """Have something happen that a program can see."""
    if barrier == "SEND":
        rig.request(Opcode.RC_SEND_ONLY)
    elif barrier == "WRITE with immediate":
        rig.request(Opcode.RC_WRITE_ONLY_IMM, Reth(), ImmDt(imm=b"1234"), ack=False)
    elif barrier == "READ":
        rig.request(Opcode.RC_READ_REQUEST, cell)
    elif barrier == "atomic":
        rig.request(Opcode.RC_FETCH_ADD, AtomicEth(va=cell.va, rkey=cell.rkey))
    elif barrier == "ATOMIC WRITE":
        rig.request(Opcode.RC_ATOMIC_WRITE, cell, payload=bytes(8))
    elif barrier == "FLUSH":
        rig.request(Opcode.RC_FLUSH, Feth(placement=1), cell)


def test_a_read_into_relaxed_memory_is_there_when_it_completes() -> None:
    rig = Rig(config=DeviceConfig(memory=MemoryConfig(relaxed_seed=3)))
    left, right = rig.ends
    right.memory[:50_000] = content = random.Random(1).randbytes(50_000)
    mr = left.pd.reg_mr(memory := bytearray(50_000), RELAXED)
    wr = SendWr(1, WrOpcode.RDMA_READ, [mr.sge()], remote_address=right.mr.address, rkey=right.mr.rkey)
    left.qp.post_send(wr)
    left.host.wake()
    rig.run_until_completed(left, 1)
    assert memory == content


def test_mixed_traffic_in_relaxed_memory_is_right_at_every_completion() -> None:
    bad = Impairments(loss=0.02, duplication=0.02, reordering=0.05, jitter_ns=20_000)
    rig = Rig(
        config=DeviceConfig(memory=MemoryConfig(relaxed_seed=5)), impairments=bad, memory_bytes=MEMORY_BYTES,
        timeout=7, min_rnr_timer=8,
    )  # fmt: skip
    for end in rig.ends:
        end.mr.rereg(access=RELAXED)
    traffic = Traffic(rig, 9)
    for number in range(60):
        for side in traffic.sides:
            # One WRITE at a time: those that overlap have no order.
            if not number % 3:
                side.post(WrOpcode.RDMA_WRITE_WITH_IMM, 3000)
            side.post(WrOpcode.SEND, 2000)
            side.post(WrOpcode.RDMA_READ, 4000)
            side.post(WrOpcode.ATOMIC_FETCH_AND_ADD, 8)
            side.post_receive()
            side.post_receive()
        traffic.run(400_000)
    traffic.finish()
