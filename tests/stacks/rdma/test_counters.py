"""Counters that rxe has as well: messages sent and received, and those that stay 0."""

from __future__ import annotations

import pytest

from stacks.rdma import SendFlags, WrOpcode
from tests.stacks.rdma.hand import FIRST_PSN, MTU, NAK, HandRig, reth
from wire.roce import ImmDt, Opcode
from wire.seqnum import psn_add

SENDS: dict[WrOpcode, dict[str, object]] = {
    WrOpcode.SEND: {},
    WrOpcode.SEND_WITH_IMM: {"imm_data": b"1234"},
    WrOpcode.SEND_WITH_INV: {"invalidate_rkey": 7},
}
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


@each_way
@pytest.mark.parametrize("flags", [SendFlags.SIGNALED, 0], ids=["signaled", "unsignaled"])
def test_sends_of_every_kind_count_once_they_are_acknowledged(flags: int, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    counters = rig.end.device.counters
    for number, (opcode, fields) in enumerate(SENDS.items()):
        rig.end.send(number, opcode, 0, 2 * MTU, flags=flags, **fields)
    assert len(rig.received()) == 6
    assert counters.rdma_sends == 0
    for packet, count in ((0, 0), (1, 1), (3, 2), (5, 3), (5, 3)):
        rig.acknowledge(psn_add(FIRST_PSN, packet))
        assert counters.rdma_sends == count


def test_writes_reads_and_atomics_are_no_sends() -> None:
    rig = HandRig(timeout=0)
    rig.end.send(1, WrOpcode.RDMA_WRITE, 0, 4)
    rig.end.send(2, WrOpcode.RDMA_WRITE_WITH_IMM, 0, 4, imm_data=b"1234")
    rig.received()
    rig.acknowledge(FIRST_PSN + 1)
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]
    assert rig.end.device.counters.rdma_sends == 0


@pytest.mark.parametrize("opcode", [WrOpcode.SEND, WrOpcode.RDMA_WRITE])
def test_a_send_that_fails_counts_and_those_that_are_flushed_do_not(opcode: WrOpcode) -> None:
    """rxe_comp.c counts in do_complete, which failures pass and flushes do not."""
    rig = HandRig(timeout=0)
    for number in range(4):
        rig.end.send(number, opcode, 0, 4)
    rig.received()
    rig.acknowledge(FIRST_PSN + 1, NAK | 1)
    assert rig.end.device.counters.rdma_sends == (2 if opcode is WrOpcode.SEND else 0)


def test_a_sequence_nak_counts_when_it_acknowledges_something_and_going_back_always() -> None:
    """rxe_comp.c, check_ack and COMPST_ERROR_RETRY."""
    rig = HandRig(timeout=8)
    for number in range(3):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    rig.received()
    counters = rig.end.device.counters
    rig.acknowledge(FIRST_PSN, NAK)
    assert (counters.rcvd_seq_err, counters.completer_retry_err) == (0, 1)
    rig.acknowledge(FIRST_PSN + 1, NAK)
    assert (counters.rcvd_seq_err, counters.completer_retry_err) == (1, 2)
    rig.wait(2_000_000)
    assert (counters.rcvd_seq_err, counters.completer_retry_err) == (1, 3)


@pytest.mark.parametrize("syndrome", [NAK | 1, NAK | 3])
def test_sends_that_were_flushed_do_not_count(syndrome: int) -> None:
    rig = HandRig(timeout=0)
    for number in range(4):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    rig.received()
    rig.acknowledge(FIRST_PSN + 1, syndrome)
    assert [status for _, status in rig.completed()][2:] == ["WR_FLUSH_ERR"] * 2
    assert rig.end.device.counters.rdma_sends < 3


def test_sends_that_are_sent_again_count_once() -> None:
    rig = HandRig(timeout=0)
    for number in range(2):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    rig.acknowledge(FIRST_PSN, NAK)
    rig.acknowledge(FIRST_PSN + 1)
    assert rig.end.device.counters.rdma_sends == 2


@each_way
def test_messages_that_took_a_receive_count_as_received(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    for number in range(3):
        rig.end.recv(number, 0, 2 * MTU)
    counters = rig.end.device.counters
    rig.request(Opcode.RC_SEND_ONLY, payload=b"x")
    rig.request(Opcode.RC_SEND_FIRST, payload=bytes(MTU))
    assert counters.rdma_recvs == 1
    rig.request(Opcode.RC_SEND_LAST, payload=b"x")
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    assert counters.rdma_recvs == 2
    rig.request(Opcode.RC_WRITE_ONLY_IMM, reth(rig, 0, 4), ImmDt(imm=b"1234"), payload=b"abcd")
    assert counters.rdma_recvs == 3


def test_a_core_counts_neither_lost_links_nor_failed_sends() -> None:
    rig = HandRig(timeout=8, retry_cnt=0)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.wait(10**9)
    assert rig.completed() == [(1, "RETRY_EXC_ERR")]
    counters = rig.end.device.counters
    assert (counters.send_err, counters.link_downed, counters.retry_exceeded_err) == (0, 0, 1)


def test_the_first_fifteen_are_those_of_rxe_in_its_order() -> None:
    """rxe_hw_counters.c; a snapshot has them all."""
    counters = HandRig().end.device.counters
    assert counters.names()[:15] == RXE
    assert counters.snapshot()["link_downed"] == 0


RXE = (
    "sent_pkts", "rcvd_pkts", "duplicate_request", "out_of_seq_request", "rcvd_rnr_err", "send_rnr_err",
    "rcvd_seq_err", "ack_deferred", "retry_exceeded_err", "retry_rnr_exceeded_err", "completer_retry_err", "send_err",
    "link_downed", "rdma_sends", "rdma_recvs",
)  # fmt: skip
