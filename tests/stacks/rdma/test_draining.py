"""SQD and what queue pairs tell of themselves: what was begun goes on, the rest waits (IBTA 10.3.1.5, 11.2.5.3)."""

from __future__ import annotations

import errno

import pytest

from stacks.rdma import (
    AddressVector,
    AsyncEventType,
    PathMigrationState,
    QpAttributes,
    QpCapacity,
    QpState,
    QpType,
    SendFlags,
    SendWr,
    WrOpcode,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import FIRST_PSN, MTU, NAK, HandRig, posted, psns, reth
from tests.stacks.rdma.rig import End, Rig
from transports.simulation import Impairments
from wire.roce import Aeth, Opcode
from wire.seqnum import psn_add

SQD = QpAttributes(state=QpState.SQD, en_sqd_async_notify=True)
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def kinds(rig: HandRig) -> list[AsyncEventType]:
    """The events so far."""
    events = []
    while (event := rig.end.device.poll_async_event()) is not None:
        events.append(event.kind)
    return events


def to_uc_rts(rig: Rig, end: End, peer: End) -> None:
    """RESET to RTS of an unreliable connection."""
    rig.to_init(end)
    av = AddressVector(destination=peer.device.address[0])
    end.qp.modify(QpAttributes(state=QpState.RTR, av=av, path_mtu=1024, dest_qpn=peer.qp.number, rq_psn=7))
    end.qp.modify(QpAttributes(state=QpState.RTS, sq_psn=7))


@each_way
def test_what_was_begun_is_sent_again_while_the_queue_drains_and_the_rest_waits(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=8)
    assert psns(posted(rig, 2)) == [0, 1]
    rig.end.qp.modify(SQD)
    posted(rig, 3)
    assert rig.end.qp.sq_draining
    rig.acknowledge(FIRST_PSN, NAK)
    assert psns(rig.received()) == [0, 1]
    rig.wait(2_000_000)
    assert set(psns(rig.received())) == {0, 1}
    assert kinds(rig) == []
    rig.acknowledge(psn_add(FIRST_PSN, 1))
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]
    assert kinds(rig) == [AsyncEventType.SQ_DRAINED]
    assert not rig.end.qp.sq_draining
    assert rig.received() == []
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    assert psns(rig.received()) == [2, 3, 4]
    rig.acknowledge(psn_add(FIRST_PSN, 4))
    assert rig.completed() == [(number, "SUCCESS") for number in (1, 2, 3)]
    assert kinds(rig) == []


@each_way
def test_a_message_that_was_begun_is_sent_to_its_end(shortcuts: bool) -> None:
    """IBTA 10.3.1.5: at most the message in transmission goes on."""
    config_window = 4 * MTU
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    window = rig.end.qp.requester.window  # type: ignore[attr-defined]
    window.packets = config_window // MTU
    rig.end.send(1, WrOpcode.SEND, 0, 6 * MTU)
    rig.end.send(2, WrOpcode.SEND, 0, 4)
    assert psns(rig.received()) == [0, 1, 2, 3]
    rig.end.qp.modify(SQD)
    rig.acknowledge(psn_add(FIRST_PSN, 3))
    assert psns(rig.received()) == [4, 5]
    rig.acknowledge(psn_add(FIRST_PSN, 5))
    assert rig.completed() == [(1, "SUCCESS")]
    assert kinds(rig) == [AsyncEventType.SQ_DRAINED]
    assert rig.received() == []


def test_a_read_that_was_begun_is_answered_and_completes() -> None:
    rig = HandRig(timeout=0)
    rig.end.send(1, WrOpcode.RDMA_READ, 0, 4)
    rig.received()
    rig.end.qp.modify(SQD)
    rig.end.send(2, WrOpcode.RDMA_READ, 0, 4)
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, FIRST_PSN, Aeth(syndrome=0x1F), payload=b"abcd")
    assert rig.completed() == [(1, "SUCCESS")]
    assert kinds(rig) == [AsyncEventType.SQ_DRAINED]


def test_an_empty_queue_is_drained_at_once_and_only_who_asks_is_told() -> None:
    rig = HandRig()
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    assert kinds(rig) == []
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    rig.end.qp.modify(SQD)
    assert kinds(rig) == [AsyncEventType.SQ_DRAINED]
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))


def test_going_back_to_rts_before_the_end_takes_the_wish_to_be_told_back() -> None:
    rig = HandRig()
    posted(rig, 1)
    rig.end.qp.modify(SQD)
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    rig.acknowledge(FIRST_PSN)
    assert rig.completed() == [(1, "SUCCESS")]
    assert kinds(rig) == []


def test_the_path_changes_only_once_the_queue_is_drained() -> None:
    rig = HandRig(timeout=0)
    posted(rig, 1)
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    with pytest.raises(LocalError, match="still drains: wait for SQ_DRAINED") as caught:
        rig.end.qp.modify(QpAttributes(timeout=9))
    assert caught.value.errno == errno.EBUSY
    rig.acknowledge(FIRST_PSN)
    rig.end.qp.modify(QpAttributes(timeout=9))
    assert rig.end.qp.query().timeout == 9


def test_what_is_held_back_counts_against_the_capacity_and_is_flushed_in_order() -> None:
    rig = HandRig(capacity=QpCapacity(max_send_wr=3), timeout=0)
    posted(rig, 1)
    rig.end.qp.modify(SQD)
    for number in (2, 3):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    with pytest.raises(LocalError, match="send queue of QP \\d+ is full"):
        rig.end.send(4, WrOpcode.SEND, 0, 4)
    rig.end.qp.modify(QpAttributes(state=QpState.ERR))
    assert rig.completed() == [(number, "WR_FLUSH_ERR") for number in (1, 2, 3)]
    assert kinds(rig) == []
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    rig.connect(15, {})
    assert psns(posted(rig, 3)) == [0, 1, 2]


@each_way
def test_draining_again_and_again_under_loss_changes_nothing_for_the_receiver(shortcuts: bool) -> None:
    rig = Rig(seed=5, shortcuts=shortcuts, impairments=Impairments(loss=0.05))
    left, right = rig.ends
    for number in range(60):
        right.recv(number, number * 3000, 3000)
        left.memory[:3000] = bytes([number]) * 3000
        left.qp.post_send(SendWr(number, WrOpcode.SEND, [left.sge(number * 3000, 3000)], SendFlags.SIGNALED))
    for number in range(20):
        left.host.wake()
        rig.simulation.run_for(20_000)
        left.qp.modify(QpAttributes(state=QpState.RTS if number % 2 else QpState.SQD))
    rig.run(10_000_000_000)
    for end in rig.ends:
        assert [(wc.wr_id, wc.status.name) for wc in end.completions] == [(n, "SUCCESS") for n in range(60)]


def test_the_first_packet_in_rtr_raises_comm_est_once() -> None:
    """IBTA 11.6.3.1."""
    rig = Rig(connect=False)
    left, right = rig.ends
    for end, peer in ((left, right), (right, left)):
        rig.to_init(end)
        rig.to_rtr(end, peer)
    rig.to_rts(left)
    for number in range(2):
        left.send(number, WrOpcode.RDMA_WRITE, 0, 0)
        rig.run(1_000_000)
    event = right.device.poll_async_event()
    assert event is not None
    assert (event.kind, event.qp) == (AsyncEventType.COMM_EST, right.qp)
    assert right.device.poll_async_event() is None


def test_a_query_tells_state_attributes_and_what_the_queue_pair_was_made_of() -> None:
    rig = HandRig(timeout=0, capacity=QpCapacity(max_send_wr=7))
    posted(rig, 2)
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    qp = rig.end.qp
    found = qp.query()
    assert (found.state, found.cur_state, found.sq_draining) == (QpState.RTS, QpState.RTS, False)
    assert (found.path_mtu, found.timeout, found.access, found.pkey_index, found.port) == (MTU, 0, 15, 0, 1)
    assert (found.sq_psn, found.rq_psn) == (psn_add(FIRST_PSN, 2), psn_add(FIRST_PSN, 1))
    assert (found.path_mig_state, found.cap) == (PathMigrationState.MIGRATED, QpCapacity(max_send_wr=7))
    assert found.av == AddressVector(destination="192.0.2.1")
    init = qp.init_attributes
    assert (init.qp_type, init.send_cq, init.recv_cq, init.srq) == (QpType.RC, rig.end.cq, rig.end.cq, None)
    assert (init.capacity, init.sq_sig_all) == (found.cap, False)
    qp.modify(QpAttributes(state=QpState.SQD))
    assert qp.query().sq_draining
    qp.modify(QpAttributes(state=QpState.RESET))
    empty = qp.query()
    assert (empty.state, empty.path_mtu, empty.sq_psn, empty.path_mig_state) == (QpState.RESET, None, None, None)


@each_way
def test_an_unreliable_connection_drains_too(shortcuts: bool) -> None:
    """IBTA 10.3.1.5: what waits when SQD comes was not begun, and leaves with RTS."""
    rig = Rig(shortcuts=shortcuts, connect=False)
    for end in rig.ends:
        end.qp = end.pd.create_qp(QpType.UC, send_cq=end.cq, recv_cq=end.cq)
    for end, peer in (rig.ends, rig.ends[::-1]):
        to_uc_rts(rig, end, peer)
    left, right = rig.ends
    for number in range(4):
        right.recv(number, 0, 8)
    left.send(0, WrOpcode.SEND, 0, 8)
    rig.run(1_000_000)
    left.qp.post_send(SendWr(1, WrOpcode.SEND, [left.sge(0, 8)]))
    left.qp.modify(SQD)
    left.send(2, WrOpcode.SEND, 0, 8)
    rig.run(1_000_000)
    assert [wc.wr_id for wc in left.completions] == [0]
    event = left.device.poll_async_event()
    assert event is not None
    assert (event.kind, event.qp) == (AsyncEventType.SQ_DRAINED, left.qp)
    left.qp.modify(QpAttributes(state=QpState.RTS))
    left.host.wake()
    rig.run(1_000_000)
    assert [wc.wr_id for wc in left.completions] == [0, 1, 2]
    assert [wc.wr_id for wc in right.completions] == [0, 1, 2]
