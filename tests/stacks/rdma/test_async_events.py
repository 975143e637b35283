"""Asynchronous events that nobody takes."""

from __future__ import annotations

from stacks.rdma import AsyncEventType, QpState
from tests.stacks.rdma.hand import HandRig
from wire.roce import Opcode


def test_events_that_nobody_takes_are_bounded_and_counted() -> None:
    rig = HandRig()
    device, qp = rig.end.device, rig.end.qp
    for _ in range(1500):
        qp.raise_event(AsyncEventType.QP_REQ_ERR)
    qp.raise_event(AsyncEventType.QP_ACCESS_ERR)
    kept = []
    while (event := device.poll_async_event()) is not None:
        kept.append(event.kind)
    assert kept == [AsyncEventType.QP_REQ_ERR] * 1024
    assert device.counters.dropped_async_events == 477


def test_a_destroyed_queue_pair_takes_its_events_along() -> None:
    rig = HandRig()
    rig.request(Opcode.RC_SEND_MIDDLE)
    assert rig.end.qp.state is QpState.ERR
    other = rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=rig.end.cq)
    other.raise_event(AsyncEventType.QP_REQ_ERR)
    rig.end.qp.destroy()
    event = rig.end.device.poll_async_event()
    assert event is not None
    assert event.qp is other
    assert rig.end.device.poll_async_event() is None
