"""Every operation between two devices: data byte for byte, completions field by field, on each kind of memory."""

from __future__ import annotations

import random
import sys
from itertools import pairwise

import pytest

from stacks.dma import FaultingDma, FlatDma, ScatteredDma
from stacks.dma.contract import Direction, Dma, Fault
from stacks.rdma import DeviceConfig, QpCapacity, RecvWr, SendFlags, SendWr, Sge, WcFlags, WcOpcode, WrOpcode
from tests.stacks.rdma.rig import HOSTS, HOSTS_V6, End, Rig
from tests.stacks.rdma.traffic import TRAFFIC
from transports.simulation import Impairments

MTU = 1024
SIZES = (0, 1, 2, 3, 4, 255, 256, 257, MTU - 1, MTU, MTU + 1, 2 * MTU, 3 * MTU + 2, 70_001)


def memory_of(end: End, offset: int, length: int, dma: Dma | None = None) -> bytes:
    """What the device reads there."""
    if dma is None:
        return bytes(end.memory[offset : offset + length])
    mapping = dma.map(end.mr.address + offset, length, Direction.READ_MEMORY)
    assert not isinstance(mapping, Fault)
    return b"".join(mapping.views)


def fill(end: End, seed: int, dma: Dma | None = None) -> bytes:
    """Random bytes all over a side's memory."""
    content = random.Random(seed).randbytes(len(end.memory))
    end.memory[:] = content
    if dma is not None:
        mapping = dma.map(end.mr.address, len(content), Direction.WRITE_MEMORY)
        assert not isinstance(mapping, Fault)
        done = 0
        for view in mapping.views:
            view[:] = content[done : done + len(view)]
            done += len(view)
    return content


MEMORIES = {
    "flat": FlatDma,
    "scattered": ScatteredDma,
    "faulting": lambda: FaultingDma(ScatteredDma(), is_resident=True),
}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
@pytest.mark.parametrize("opcode", [WrOpcode.RDMA_WRITE, WrOpcode.RDMA_READ, WrOpcode.SEND], ids=lambda one: one.name)
def test_data_of_every_size_arrives_as_it_was(opcode: WrOpcode, shortcuts: bool, memory: str) -> None:
    dmas = MEMORIES[memory](), MEMORIES[memory]()
    rig = Rig(dmas=dmas, shortcuts=shortcuts, memory_bytes=1 << 17)
    left, right = rig.ends
    here, there = fill(left, 1, dmas[0]), fill(right, 2, dmas[1])
    for number, size in enumerate(SIZES):
        at, to = 17 + number, 33 + 3 * number
        if opcode is WrOpcode.SEND:
            right.recv(number, to, size)
        left.send(number, opcode, at, size, remote_address=right.mr.address + to, rkey=right.mr.rkey)
        rig.run()
        if opcode is WrOpcode.RDMA_READ:
            here = here[:at] + there[to : to + size] + here[at + size :]
        else:
            there = there[:to] + here[at : at + size] + there[to + size :]
        assert memory_of(left, 0, len(here), dmas[0]) == here
        assert memory_of(right, 0, len(there), dmas[1]) == there
    assert [(wc.wr_id, wc.status.name, wc.byte_len) for wc in left.completions] == [
        (number, "SUCCESS", size) for number, size in enumerate(SIZES)
    ]
    if opcode is WrOpcode.SEND:
        assert [(wc.wr_id, wc.status.name, wc.byte_len) for wc in right.completions] == [
            (number, "SUCCESS", size) for number, size in enumerate(SIZES)
        ]


@pytest.mark.parametrize("tells_identification", [True, False])
@pytest.mark.parametrize("hosts", [HOSTS, HOSTS_V6], ids=["IPv4", "IPv6"])
def test_both_families_with_the_identification_known_and_hidden(
    hosts: tuple[str, str], tells_identification: bool
) -> None:
    rig = Rig(hosts=hosts, tells_identification=tells_identification)
    content = fill(rig.left, 3)
    rig.left.send(1, WrOpcode.RDMA_WRITE, 0, 200_000, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.run()
    assert rig.right.memory[:200_000] == content[:200_000]
    assert rig.right.device.counters.rcvd_icrc_err == 0


@pytest.mark.parametrize("path_mtu", [256, 512, 1024, 2048, 4096])
def test_every_path_mtu_and_a_segment_limit_of_one(path_mtu: int) -> None:
    rig = Rig(path_mtu=path_mtu, config=DeviceConfig(segment_limit=1))
    content = fill(rig.left, 4)
    rig.left.send(1, WrOpcode.RDMA_WRITE, 0, 50_001, remote_address=rig.right.mr.address + 5, rkey=rig.right.mr.rkey)
    rig.left.send(
        2, WrOpcode.RDMA_READ, 100_000, 9_999, remote_address=rig.right.mr.address + 5, rkey=rig.right.mr.rkey
    )
    rig.run()
    assert rig.right.memory[5:50_006] == content[:50_001]
    assert rig.left.memory[100_000:109_999] == content[:9_999]


@pytest.mark.parametrize("size", [0, 3, 2 * MTU + 5])
@pytest.mark.parametrize("opcode", TRAFFIC, ids=lambda one: one.name)
def test_completions_say_what_happened(opcode: WrOpcode, size: int) -> None:
    """IBTA 11.6.2: SUCCESS, and what a completion says with it."""
    rig = Rig()
    left, right = rig.ends
    is_atomic = opcode in (WrOpcode.ATOMIC_CMP_AND_SWP, WrOpcode.ATOMIC_FETCH_AND_ADD)
    size = 8 if is_atomic else size
    right.recv(77, 0, 4 * MTU)
    key = right.lend_key()
    left.send(
        5, opcode, 0, size, remote_address=right.mr.address + 64, rkey=right.mr.rkey, imm_data=b"imm!",
        invalidate_rkey=key,
    )  # fmt: skip
    rig.run()
    (sent,) = left.completions
    expected = {
        WrOpcode.RDMA_WRITE: WcOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM: WcOpcode.RDMA_WRITE,
        WrOpcode.RDMA_READ: WcOpcode.RDMA_READ, WrOpcode.ATOMIC_CMP_AND_SWP: WcOpcode.COMP_SWAP,
        WrOpcode.ATOMIC_FETCH_AND_ADD: WcOpcode.FETCH_ADD,
    }  # fmt: skip
    assert (sent.wr_id, sent.status.name, sent.opcode) == (5, "SUCCESS", expected.get(opcode, WcOpcode.SEND))
    assert (sent.byte_len, sent.qp_num) == (size, left.qp.number)
    takes_receive = opcode.name.startswith("SEND") or opcode is WrOpcode.RDMA_WRITE_WITH_IMM
    assert len(right.completions) == takes_receive
    for received in right.completions:
        has_imm, has_inv = opcode.name.endswith("IMM"), opcode.name.endswith("INV")
        assert (received.wr_id, received.byte_len, received.qp_num) == (77, size, right.qp.number)
        assert received.flags == (WcFlags.WITH_IMM if has_imm else WcFlags.WITH_INV if has_inv else 0)
        assert received.imm_data == (b"imm!" if has_imm else b"")
        assert received.invalidated_rkey == (key if has_inv else 0)
        is_write = opcode is WrOpcode.RDMA_WRITE_WITH_IMM
        assert received.opcode is (WcOpcode.RECV_RDMA_WITH_IMM if is_write else WcOpcode.RECV)
        assert f"Wc(77, SUCCESS, {received.opcode.name}" in repr(received)
        assert ("imm_data=696d6d21" in repr(received)) == has_imm


def test_messages_are_gathered_and_scattered_over_any_lists() -> None:
    rng = random.Random(5)
    rig = Rig(capacity=QpCapacity(max_send_sge=16, max_recv_sge=16))
    left, right = rig.ends
    for turn in range(24):
        content, before = fill(left, turn), fill(right, 1000 + turn)
        sizes = [int(rng.random() * 3 * MTU) if rng.random() < 0.8 else 0 for _ in range(1 + int(rng.random() * 8))]
        pieces = [(10_000 * index + int(rng.random() * 99), size) for index, size in enumerate(sizes)]
        total = sum(sizes)
        cuts = sorted([0, total, *(int(rng.random() * (total + 1)) for _ in range(5))])
        targets = [(20_000 * index + 7, end - start) for index, (start, end) in enumerate(pairwise(cuts))]
        right.qp.post_recv(RecvWr(turn, [right.sge(*target) for target in targets]))
        left.qp.post_send(SendWr(turn, WrOpcode.SEND, [left.sge(*piece) for piece in pieces]))
        left.host.wake()
        rig.run()
        message = b"".join(content[at : at + size] for at, size in pieces)
        expected = bytearray(before)
        for (at, size), start in zip(targets, cuts, strict=False):
            expected[at : at + size] = message[start : start + size]
        assert right.memory == expected
    assert [wc.status.name for wc in left.completions + right.completions] == ["SUCCESS"] * 48


def test_atomics_change_eight_bytes_and_return_what_was_there() -> None:
    rig = Rig()
    left, right = rig.ends

    def value(end: End, offset: int) -> int:
        return int.from_bytes(end.memory[offset : offset + 8], sys.byteorder)

    def atomic(wr_id: int, opcode: WrOpcode, **fields: int) -> int:
        left.send(wr_id, opcode, 0, 8, remote_address=right.mr.address + 8, rkey=right.mr.rkey, **fields)
        rig.run()
        return value(left, 0)

    huge = (1 << 64) - 3
    assert atomic(1, WrOpcode.ATOMIC_FETCH_AND_ADD, compare_add=huge) == 0
    assert atomic(2, WrOpcode.ATOMIC_FETCH_AND_ADD, compare_add=5) == huge
    assert value(right, 8) == 2
    assert atomic(3, WrOpcode.ATOMIC_CMP_AND_SWP, compare_add=1, swap=9) == 2
    assert value(right, 8) == 2
    assert atomic(4, WrOpcode.ATOMIC_CMP_AND_SWP, compare_add=2, swap=huge) == 2
    assert value(right, 8) == huge
    assert value(right, 0) == value(right, 16) == 0


def test_sends_in_both_directions_at_once_do_not_disturb_each_other() -> None:
    rig = Rig(impairments=Impairments(delay_ns=50_000, jitter_ns=5_000))
    for number in range(100):
        for end in rig.ends:
            end.recv(1000 + number, 500_000 + 700 * number, 700)
        for end in rig.ends:
            end.memory[0:700] = bytes([number]) * 700
            end.send(number, WrOpcode.SEND, 700 * number, 700)
    rig.run()
    for end in rig.ends:
        ids = [wc.wr_id for wc in end.completions]
        assert [one for one in ids if one < 1000] == list(range(100))
        assert [one for one in ids if one >= 1000] == list(range(1000, 1100))


def test_two_queue_pairs_of_one_device_do_not_mix() -> None:
    rig = Rig()
    left, right = rig.ends
    second = [end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq) for end in rig.ends]
    first = [end.qp for end in rig.ends]
    for end, qp in zip(rig.ends, second, strict=True):
        end.qp = qp
    rig.connect()
    for number in range(30):
        for qp, end in ((second[1], right), (first[1], right)):
            qp.post_recv(RecvWr(number, [end.sge(0, 64)]))
    for number in range(30):
        for qp in (first[0], second[0]):
            qp.post_send(SendWr(number, WrOpcode.SEND, [left.sge(0, number)]))
    left.host.wake()
    rig.run()
    for qp in second + first:
        mine = [(wc.wr_id, wc.byte_len) for end in rig.ends for wc in end.completions if wc.qp_num == qp.number]
        assert mine == [(number, number) for number in range(30)]


def test_unsignaled_sends_complete_silently_unless_the_queue_pair_signals_all() -> None:
    rig = Rig()
    left, right = rig.ends
    for number in range(4):
        right.recv(number)
        left.send(number, WrOpcode.SEND, 0, 0, flags=SendFlags.SIGNALED if number == 3 else 0)
    rig.run()
    assert [wc.wr_id for wc in left.completions] == [3]
    for end in rig.ends:
        end.qp = end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq, sq_sig_all=True)
    rig.connect()
    right.recv(9)
    left.send(9, WrOpcode.SEND, 0, 0, flags=0)
    rig.run()
    assert [wc.wr_id for wc in left.completions] == [3, 9]


def test_a_work_request_may_be_changed_once_it_is_posted() -> None:
    rig = Rig()
    left, right = rig.ends
    wr = SendWr(1, WrOpcode.RDMA_WRITE, [left.sge(0, 4)], remote_address=right.mr.address, rkey=right.mr.rkey)
    left.memory[:8] = b"abcdefgh"
    left.qp.post_send(wr)
    wr.wr_id, wr.sges, wr.remote_address = 2, [Sge(left.mr.address + 4, 4, left.mr.lkey)], right.mr.address + 100
    left.qp.post_send(wr)
    left.host.wake()
    rig.run()
    assert (right.memory[:4], right.memory[100:104]) == (b"abcd", b"efgh")
    assert [wc.wr_id for wc in left.completions] == [1, 2]
