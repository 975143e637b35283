"""Unreliable connections end to end: what is whole arrives, what is not never was (IBTA 9.8)."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import (
    FaultPlan,
    FaultRule,
    QpAttributes,
    QpState,
    QpType,
    SendFlags,
    SendWr,
    WcFlags,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from stacks.rdma.faults import FaultAction
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import HOSTS, HOSTS_V6, End, Rig
from transports.simulation import Impairments
from wire.roce import Opcode, parse_packet

each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
SIZES = (0, 1, 63, 64, 255, 256, 257, 1000, 4096, 9001, 60_000)


def uc_rig(**options: object) -> Rig:
    """Two connected UC queue pairs."""
    return Rig(qp_type=QpType.UC, **options)  # type: ignore[arg-type]


def fill(end: End, seed: int = 1) -> None:
    """Random bytes in the first half of the memory."""
    half = len(end.memory) // 2
    end.memory[:half] = random.Random(seed).randbytes(half)


@each_way
@pytest.mark.parametrize("path_mtu", [256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("hosts", [HOSTS, HOSTS_V6], ids=["IPv4", "IPv6"])
def test_messages_of_every_size_and_kind_arrive_whole(shortcuts: bool, path_mtu: int, hosts: tuple[str, str]) -> None:
    rig = uc_rig(shortcuts=shortcuts, path_mtu=path_mtu, hosts=hosts)
    left, right = rig.ends
    half = len(left.memory) // 2
    fill(left)
    for number, size in enumerate(SIZES):
        right.recv(number, half, size)
        left.send(number, WrOpcode.SEND_WITH_IMM, 0, size, imm_data=number.to_bytes(4, "big"))
        rig.run(1_000_000)
        wc = right.completions[-1]
        assert (wc.opcode, wc.byte_len, wc.imm_data) == (WcOpcode.RECV, size, number.to_bytes(4, "big"))
        assert right.memory[half : half + size] == left.memory[:size]
        right.memory[half : half + size] = bytes(size)
        right.recv(number)
        remote = {"remote_address": right.mr.address + half, "rkey": right.mr.rkey}
        left.send(number, WrOpcode.RDMA_WRITE, 0, size, **remote)
        left.send(number, WrOpcode.RDMA_WRITE_WITH_IMM, 0, size, imm_data=b"done", **remote)
        rig.run(1_000_000)
        wc = right.completions[-1]
        assert (wc.opcode, wc.byte_len, wc.imm_data) == (WcOpcode.RECV_RDMA_WITH_IMM, size, b"done")
        assert wc.flags & WcFlags.WITH_IMM
        assert right.memory[half : half + size] == left.memory[:size]
    assert [wc.status for wc in left.completions] == [WcStatus.SUCCESS] * 3 * len(SIZES)
    assert left.device.counters.rdma_sends == right.device.counters.rdma_recvs - len(SIZES) == len(SIZES)


@each_way
def test_nothing_is_ever_answered(shortcuts: bool) -> None:
    rig = uc_rig(shortcuts=shortcuts)
    left, right = rig.ends
    right.recv(1, 0, 100)
    for _ in range(3):
        left.send(1, WrOpcode.SEND, 0, 100)
    left.send(2, WrOpcode.RDMA_WRITE, 0, 5000, remote_address=right.mr.address, rkey=right.mr.rkey ^ 1)
    rig.run()
    assert right.device.counters.sent_pkts == 0
    assert right.device.counters.rcvd_dropped_messages == 3
    assert left.device.poll_deadline() is None
    assert right.qp.state is QpState.RTS


@each_way
def test_a_burst_of_messages_leaves_in_few_sends_and_arrives_in_order(shortcuts: bool) -> None:
    rig = uc_rig(shortcuts=shortcuts)
    left, right = rig.ends
    fill(left)
    for number in range(100):
        right.recv(number, 1 << 19 | number * 64, 64)
    for number in range(100):
        left.qp.post_send(SendWr(number, WrOpcode.SEND, [left.sge(number * 64, 64)]))
    left.host.wake()
    rig.run()
    assert [wc.wr_id for wc in left.completions] == [wc.wr_id for wc in right.completions] == list(range(100))
    assert right.memory[1 << 19 : (1 << 19) + 6400] == left.memory[:6400]


def test_a_send_completes_when_the_transport_has_taken_it_and_not_before() -> None:
    rig = uc_rig()
    left = rig.left
    left.host.transport.is_full = True
    left.send(1, WrOpcode.SEND, 0, 3000)
    left.send(2, WrOpcode.SEND, 0, 100)
    rig.run(1_000_000)
    assert left.completions == []
    left.host.transport.is_full = False
    left.host.wake()
    rig.run(1_000_000)
    assert [wc.wr_id for wc in left.completions] == [1, 2]


def test_what_leaves_after_a_reset_completes_nothing_of_the_next_connection() -> None:
    rig = uc_rig()
    left = rig.left
    left.host.transport.is_full = True
    left.send(1, WrOpcode.SEND, 0, 100)
    rig.run(1_000_000)
    left.qp.modify(QpAttributes(state=QpState.RESET))
    rig.to_init(left)
    rig.to_rtr(left, rig.right)
    rig.to_rts(left)
    left.send(2, WrOpcode.SEND, 0, 3000)
    left.host.transport.is_full = False
    left.host.wake()
    rig.run(1_000_000)
    assert [wc.wr_id for wc in left.completions] == [2]


def test_unsignaled_sends_complete_silently_and_solicited_ones_say_so() -> None:
    rig = uc_rig()
    for number in range(2):
        rig.right.recv(number, 0, 16)
    rig.left.send(1, WrOpcode.SEND, 0, 16, flags=0)
    rig.left.send(2, WrOpcode.SEND, 0, 16, flags=SendFlags.SIGNALED | SendFlags.SOLICITED)
    rig.run()
    assert [wc.wr_id for wc in rig.left.completions] == [2]
    assert [wc.is_solicited for wc in rig.right.completions] == [False, True]


@pytest.mark.parametrize(
    "opcode",
    [WrOpcode.RDMA_READ, WrOpcode.ATOMIC_CMP_AND_SWP, WrOpcode.ATOMIC_FETCH_AND_ADD, WrOpcode.SEND_WITH_INV],
)
def test_operations_that_need_an_answer_are_refused_at_once(opcode: WrOpcode) -> None:
    """IBTA 9.8.1: neither READ nor atomics, nor an invalidate that might be lost."""
    rig = uc_rig()
    with pytest.raises(LocalError, match="UC"):
        rig.left.send(1, opcode, 0, 8, rkey=1)


@each_way
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["loss", "reorder", "duplicate", "corrupt", "all"])
def test_whatever_the_network_does_a_message_is_whole_or_absent(shortcuts: bool, seed: int, kind: str) -> None:
    rates = {
        "loss": {"loss": 0.05},
        "reorder": {"reordering": 0.1, "reorder_ns": 50_000},
        "duplicate": {"duplication": 0.1},
        "corrupt": {"corruption": 0.05},
    }
    chosen = {name: value for each, group in rates.items() if kind in (each, "all") for name, value in group.items()}
    rig = uc_rig(
        shortcuts=shortcuts, seed=seed, impairments=Impairments(**chosen), tells_identification=True, path_mtu=256
    )
    left, right = rig.ends
    rng = random.Random(seed)
    fill(left, seed)
    count, slot, base = 60, 4096, 1 << 19
    for number in range(count):
        right.recv(number, base + number * slot, slot)
    sent = [int(rng.random() * 3000) for _ in range(count)]
    for number, size in enumerate(sent):
        left.send(number, WrOpcode.SEND_WITH_IMM, number * slot, size, imm_data=number.to_bytes(4, "big"))
        rig.run(20_000)
    rig.run()
    received = [wc for wc in right.completions if wc.opcode is WcOpcode.RECV]
    assert len([wc for wc in left.completions if wc.status is WcStatus.SUCCESS]) == count
    assert len(received) > 0
    for slot_number, wc in enumerate(received):
        number = int.from_bytes(wc.imm_data, "big")
        at = base + slot_number * slot
        assert wc.byte_len == sent[number]
        assert right.memory[at : at + wc.byte_len] == left.memory[number * slot : number * slot + wc.byte_len]
    numbers = [int.from_bytes(wc.imm_data, "big") for wc in received]
    if kind in ("loss", "corrupt"):
        assert numbers == sorted(set(numbers))
        assert len(numbers) < count
    assert right.qp.state is QpState.RTS


def test_packets_carry_the_opcodes_of_uc_and_ask_for_no_acknowledgement() -> None:
    rig = uc_rig()
    seen: list[tuple[int, int]] = []
    rig.network.trace = lambda _time, what, packet: (
        seen.append(((roce := parse_packet(packet.payload)).bth.opcode, roce.bth.ack_req)) if what == "sent" else None
    )
    rig.left.send(1, WrOpcode.SEND, 0, 3000)
    rig.left.send(2, WrOpcode.SEND, 0, 10)
    rig.run()
    assert seen == [
        (Opcode.UC_SEND_FIRST, 0),
        (Opcode.UC_SEND_MIDDLE, 0),
        (Opcode.UC_SEND_LAST, 0),
        (Opcode.UC_SEND_ONLY, 0),
    ]


def test_a_send_that_a_fault_plan_drops_completes_and_is_not_received() -> None:
    rig = uc_rig()
    left, right = rig.ends
    left.device.attach(FaultPlan((FaultRule(action=FaultAction.DROP, opcode=("UC_SEND_ONLY",), nth=(2, 2)),)))
    for number in range(3):
        right.recv(number, 0, 16)
        left.send(number, WrOpcode.SEND, number, 1)
    left.memory[:3] = b"abc"
    rig.run()
    assert [wc.wr_id for wc in left.completions] == [0, 1, 2]
    assert len(right.completions) == 2
