"""Inline data: copied at the post, without a key (libibverbs IBV_SEND_INLINE)."""

from __future__ import annotations

import pytest

from stacks.rdma import QpCapacity, SendFlags, SendWr, Sge, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import FIRST_PSN, MTU, NAK, HandRig
from wire.roce import Opcode, Reth

INLINE = SendFlags.INLINE | SendFlags.SIGNALED
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def make(limit: int = 600, *, shortcuts: bool = True) -> HandRig:
    return HandRig(capacity=QpCapacity(max_inline_data=limit), shortcuts=shortcuts, timeout=0)


@each_way
def test_memory_is_free_again_when_the_post_returns_and_needs_no_key(shortcuts: bool) -> None:
    rig = make(shortcuts=shortcuts)
    rig.end.memory[:4] = b"copy"
    rig.end.qp.post_send(SendWr(1, WrOpcode.SEND, [Sge(rig.end.mr.address, 4, 12345)] * 2, INLINE))
    rig.end.memory[:4] = b"late"
    rig.end.host.wake()
    assert [packet.payload for packet in rig.received()] == [b"copycopy"]
    rig.acknowledge(FIRST_PSN, NAK)
    assert [packet.payload for packet in rig.received()] == [b"copycopy"]
    rig.acknowledge(FIRST_PSN)
    (wc,) = rig.end.cq.poll()
    assert (wc.wr_id, wc.status.name, wc.byte_len) == (1, "SUCCESS", 8)


@each_way
def test_bytes_may_be_given_as_they_are_over_several_packets_with_a_fence(shortcuts: bool) -> None:
    rig = make(shortcuts=shortcuts)
    rig.end.send(1, WrOpcode.RDMA_READ, 0, 4)
    data = bytes(range(200)) * 3
    wr = SendWr(2, WrOpcode.RDMA_WRITE, remote_address=64, rkey=7, flags=SendFlags.FENCE, inline_data=data)
    rig.end.qp.post_send(wr)
    (read,) = rig.received()
    assert read.bth.opcode == Opcode.RC_READ_REQUEST
    rig.end.mr.dereg()
    rig.acknowledge(FIRST_PSN, NAK)
    rig.received()
    rig = make(shortcuts=shortcuts)
    rig.end.qp.post_send(wr)
    rig.end.host.wake()
    packets = rig.received()
    assert [packet.bth.opcode for packet in packets] == [
        Opcode.RC_WRITE_FIRST, Opcode.RC_WRITE_MIDDLE, Opcode.RC_WRITE_LAST,
    ]  # fmt: skip
    assert packets[0].find(Reth) == Reth(va=64, rkey=7, length=600)
    assert b"".join(packet.payload for packet in packets) == data
    assert len(packets[0].payload) == MTU


def test_an_atomic_write_takes_its_8_bytes_inline_whatever_the_limit() -> None:
    rig = make(0)
    rig.end.qp.post_send(SendWr(1, WrOpcode.ATOMIC_WRITE, rkey=7, inline_data=b"12345678"))
    rig.end.host.wake()
    assert [packet.payload for packet in rig.received()] == [b"12345678"]


def test_what_cannot_be_inline_is_a_local_error() -> None:
    rig = make(8)
    mr = rig.end.mr
    for wr, what in (
        (SendWr(1, WrOpcode.SEND, [rig.end.sge(0, 9)], INLINE), "9 bytes inline, but max_inline_data of QP"),
        (SendWr(1, WrOpcode.SEND, inline_data=bytes(9)), "9 bytes inline"),
        (SendWr(1, WrOpcode.SEND, [rig.end.sge(0, 1)], inline_data=b"x"), "not both"),
        (SendWr(1, WrOpcode.RDMA_READ, [rig.end.sge(0, 4)], INLINE), "RDMA_READ sends no data"),
        (SendWr(1, WrOpcode.SEND, [Sge(mr.address + mr.length - 1, 4, mr.lkey)], INLINE), "is not there to be copied"),
    ):
        with pytest.raises(LocalError, match=what):
            rig.end.qp.post_send(wr)
    assert rig.received() == []
