"""Waiting for completions by kind, against a device of ours in the same thread."""

from __future__ import annotations

import pytest

from interop.peers.inbox import Inbox
from interop.peers.link import Link
from interop.peers.terms import PeerError
from stacks.rdma import QpAttributes, QpState, SendWr, WcOpcode, WrOpcode
from stacks.rdma.sync import open_device


def test_completions_of_other_kinds_are_kept_and_data_is_that_of_the_message() -> None:
    with open_device("127.0.71.1") as near, open_device("127.0.71.2", beside=near) as far:
        listener, near_qp, far_qp = far.listen(7000), near.create_qp(), far.create_qp()
        inbox = Inbox(far, slots=2, size=8)
        inbox.prepare(far_qp)
        connection = near.start_connect("127.0.71.2", 7000, qp=near_qp)
        far.accept(far.next_request(listener), qp=far_qp)
        near.wait_until(lambda: connection.is_established)
        mr = near.pd.reg_mr(bytearray(b"one three"))
        link = Link(near, near_qp)
        for offset, length in ((0, 3), (4, 5)):
            link.send(SendWr(offset, WrOpcode.SEND, [mr.sge(offset, length)]))
            link.wait(WcOpcode.SEND)
        there = Link(far, far_qp)
        assert [inbox.take(there), inbox.take(there)] == [b"one", b"three"]


def test_a_request_that_fails_is_an_error_unless_it_is_the_last() -> None:
    with open_device("127.0.71.3") as near:
        qp = near.create_qp()
        qp.modify(QpAttributes(state=QpState.ERR))
        mr = near.pd.reg_mr(bytearray(4))
        link = Link(near, qp)
        link.send(SendWr(1, WrOpcode.SEND, [mr.sge()]))
        with pytest.raises(PeerError, match="request 1 ended with WR_FLUSH_ERR"):
            link.wait(WcOpcode.SEND)
        link.send(SendWr(2, WrOpcode.SEND, [mr.sge()]))
        link.wait_last(WcOpcode.SEND)
