"""Completion queues and channels, full and overflowing queues, and the flush (IBTA 10.4, 10.8.2, 11.4.2)."""

from __future__ import annotations

import pytest

from stacks.rdma import (
    AsyncEventType,
    CompChannel,
    Cq,
    QpAttributes,
    QpCapacity,
    QpState,
    RecvWr,
    SendFlags,
    SendWr,
    Wc,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, HandRig
from tests.stacks.rdma.rig import Rig
from tests.stacks.rdma.traffic import TRAFFIC
from wire.roce import Aeth, Opcode
from wire.seqnum import psn_add

HERE = FIRST_PSN


def completion(wr_id: int, status: WcStatus = WcStatus.SUCCESS, *, is_solicited: bool = False) -> Wc:
    return Wc(wr_id, status, WcOpcode.RECV, 0, 5, is_solicited=is_solicited)


def test_completions_are_taken_oldest_first_and_as_many_as_asked() -> None:
    cq = Cq(100)
    for number in range(20):
        cq.push(completion(number))
    assert len(cq) == 20
    assert [wc.wr_id for wc in cq.poll(3)] == [0, 1, 2]
    assert [wc.wr_id for wc in cq.poll()] == list(range(3, 19))
    assert [wc.wr_id for wc in cq.poll(1)] == [19]
    assert cq.poll() == []


def test_a_queue_without_depth_or_channel_says_so() -> None:
    with pytest.raises(LocalError, match="at least 1, not 0"):
        Cq(0)
    with pytest.raises(LocalError, match="no channel"):
        Cq(1).arm()


def test_an_armed_queue_announces_the_next_completion_once() -> None:
    heard: list[Cq] = []
    channel = CompChannel(heard.append)
    cq = Cq(10, channel=channel)
    cq.push(completion(1))
    cq.arm()
    assert heard == []
    cq.push(completion(2))
    cq.push(completion(3))
    assert heard == [cq]
    assert channel.poll_event() is cq
    assert channel.poll_event() is None
    cq.arm()
    cq.push(completion(4))
    assert channel.poll_event() is cq


def test_solicited_only_waits_for_a_solicited_completion_or_an_error() -> None:
    channel = CompChannel()
    cq = Cq(10, channel=channel)
    cq.arm(solicited_only=True)
    cq.push(completion(1))
    assert channel.poll_event() is None
    cq.push(completion(2, is_solicited=True))
    assert channel.poll_event() is cq
    cq.arm(solicited_only=True)
    cq.push(completion(3, WcStatus.WR_FLUSH_ERR))
    assert channel.poll_event() is cq


@pytest.mark.parametrize("size", [0, 4 * MTU])
@pytest.mark.parametrize("opcode", [WrOpcode.SEND, WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM])
def test_the_solicited_flag_travels_with_the_last_packet(opcode: WrOpcode, size: int) -> None:
    rig = Rig()
    left, right = rig.ends
    channel = CompChannel()
    right.cq = right.device.create_cq(10, channel=channel)
    right.qp = right.pd.create_qp(send_cq=right.cq, recv_cq=right.cq)
    left.qp = left.pd.create_qp(send_cq=left.cq, recv_cq=left.cq)
    rig.connect()
    for number, flags in enumerate((SendFlags.SIGNALED, SendFlags.SIGNALED | SendFlags.SOLICITED)):
        right.cq.arm(solicited_only=True)
        right.recv(number, 0, size)
        left.send(
            number, opcode, 0, size, flags=flags, imm_data=b"abcd", remote_address=right.mr.address, rkey=right.mr.rkey
        )
        rig.run()
        assert (channel.poll_event() is right.cq) == bool(number)
    assert [wc.is_solicited for wc in right.completions] == [False, True]


def test_one_completion_too_many_breaks_the_queue_and_every_queue_pair_on_it() -> None:
    rig = HandRig(cq_depth=2)
    device = rig.end.device
    second = rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=device.create_cq(1))
    apart = rig.end.pd.create_qp(send_cq=device.create_cq(1), recv_cq=device.create_cq(1))
    for qp in (second, apart):
        qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=0))
    for number in range(3):
        rig.end.recv(number)
        rig.request(Opcode.RC_SEND_ONLY)
    assert rig.end.cq.is_broken
    event = device.poll_async_event()
    assert event is not None
    assert (event.kind, event.cq, event.qp) == (AsyncEventType.CQ_ERR, rig.end.cq, None)
    fatal = [event for event in (device.poll_async_event(), device.poll_async_event()) if event is not None]
    assert [(event.kind, event.qp) for event in fatal] == [
        (AsyncEventType.QP_FATAL, rig.end.qp),
        (AsyncEventType.QP_FATAL, second),
    ]
    assert device.poll_async_event() is None
    assert (rig.end.qp.state, second.state, apart.state) == (QpState.ERR, QpState.ERR, QpState.INIT)
    assert rig.completed() == [(0, "SUCCESS"), (1, "SUCCESS")]
    rig.end.cq.push(completion(9))
    assert rig.completed() == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda rig: rig.acknowledge(psn_add(HERE, 3)),
        lambda rig: rig.acknowledge(psn_add(HERE, 2), RNR_NAK | 1),
        lambda rig: rig.acknowledge(psn_add(HERE, 2), NAK),
        lambda rig: rig.acknowledge(psn_add(HERE, 2), NAK | 1),
        lambda rig: rig.respond(Opcode.RC_READ_RESPONSE_ONLY, psn_add(HERE, 3), Aeth(syndrome=ACK), payload=b"abcd"),
    ],
    ids=["ACK", "RNR NAK", "sequence NAK", "fatal NAK", "READ response"],
)
def test_an_overflow_amid_a_response_ends_the_queue_pair_and_nothing_else(answer: object) -> None:
    rig = HandRig(cq_depth=1)
    for number in range(3):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    rig.end.send(3, WrOpcode.RDMA_READ, 0, 4)
    assert len(rig.received()) == 4
    answer(rig)  # type: ignore[operator]
    assert rig.end.qp.state is QpState.ERR
    assert rig.completed() == [(0, "SUCCESS")]
    rig.wait(10**10)
    assert rig.received() == []
    assert rig.end.device.poll_deadline() is None
    # The queue pair is as good as new after a reset.
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    rig.connect(15, {})
    rig.end.send(9, WrOpcode.SEND, 0, 4)
    assert len(rig.received()) == 1


def test_full_queues_and_long_lists_are_refused_and_leave_the_rest_alone() -> None:
    rig = HandRig(capacity=QpCapacity(max_send_wr=2, max_recv_wr=3, max_send_sge=1, max_recv_sge=2))
    end = rig.end
    for number in range(2):
        end.send(number, WrOpcode.SEND, 0, 4)
    with pytest.raises(LocalError, match=r"send queue of QP \d+ is full \(max_send_wr is 2\)"):
        end.send(2, WrOpcode.SEND, 0, 4)
    for number in range(3):
        end.recv(10 + number, 0, 4)
    with pytest.raises(LocalError, match=r"receive queue of QP \d+ is full \(max_recv_wr is 3\)"):
        end.recv(13)
    with pytest.raises(LocalError, match="2 SGEs, but max_send_sge is 1"):
        end.qp.post_send(SendWr(3, WrOpcode.SEND, [end.sge(0, 1)] * 2))
    with pytest.raises(LocalError, match="3 SGEs, but max_recv_sge is 2"):
        end.qp.post_recv(RecvWr(3, [end.sge(0, 1)] * 3))
    rig.received()
    rig.acknowledge(HERE)
    end.send(2, WrOpcode.SEND, 0, 4)
    rig.acknowledge(HERE + 1)
    rig.acknowledge(psn_add(HERE, 2))
    assert [wr_id for wr_id, _ in rig.completed()] == [0, 1, 2]


def test_work_is_refused_before_its_state_and_flushed_in_err() -> None:
    rig = Rig(connect=False)
    left, right = rig.ends
    steps = (lambda: None, lambda: rig.to_init(left), lambda: rig.to_rtr(left, right))
    for step in steps:
        step()
        with pytest.raises(LocalError, match=f"is in {left.qp.state.name}: a send may be posted from RTS on"):
            left.send(1, WrOpcode.SEND, 0, 4)
        if left.qp.state is QpState.RESET:
            with pytest.raises(LocalError, match="is in RESET: a receive may be posted from INIT on"):
                left.recv(1)
        else:
            left.recv(10 + left.qp.state)
    left.qp.modify(QpAttributes(state=QpState.ERR))
    left.send(5, WrOpcode.RDMA_READ, 0, 4, flags=0)
    left.recv(6)
    rig.run()
    assert [(wc.wr_id, wc.status.name) for wc in left.completions] == [
        (number, "WR_FLUSH_ERR") for number in (11, 12, 5, 6)
    ]


def test_the_flush_keeps_the_order_of_each_queue_and_completes_unsignaled_work_too() -> None:
    rig = HandRig()
    for number in range(50):
        rig.end.send(number, TRAFFIC[number % len(TRAFFIC)], 0, 8, flags=0, imm_data=b"abcd")
        rig.end.recv(100 + number)
    rig.received()
    rig.request(Opcode.RC_SEND_FIRST, payload=b"")
    flushed = rig.completed()
    assert flushed[0] == (100, "REM_INV_REQ_ERR")
    assert [wr_id for wr_id, _ in flushed if wr_id < 100] == list(range(50))
    assert [wr_id for wr_id, _ in flushed if wr_id > 100] == list(range(101, 150))
    assert {status for _, status in flushed[1:]} == {"WR_FLUSH_ERR"}


def test_a_receive_in_use_is_flushed_first() -> None:
    rig = HandRig()
    for number in range(3):
        rig.end.recv(number, 0, 4 * MTU)
    rig.request(Opcode.RC_SEND_FIRST, payload=bytes(MTU))
    rig.end.qp.modify(QpAttributes(state=QpState.ERR))
    assert rig.completed() == [(0, "WR_FLUSH_ERR"), (1, "WR_FLUSH_ERR"), (2, "WR_FLUSH_ERR")]


def test_a_destroyed_queue_pair_is_forgotten_without_completions() -> None:
    rig = HandRig(timeout=8)
    for number in range(3):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    rig.end.qp.destroy()
    rig.end.qp.destroy()
    rig.wait(10**9)
    assert rig.received() == []
    assert rig.completed() == []
    rig.request(Opcode.RC_SEND_ONLY)
    assert rig.end.device.counters.rcvd_qpn_err == 1
    assert rig.end.device.poll_deadline() is None
