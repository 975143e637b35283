"""Shared receive queues: taking in turn, limit, resizing, and what happens at their end (IBTA 10.2.9, 11.2.3)."""

from __future__ import annotations

import errno

import pytest

from stacks.rdma import AsyncEventType, QpAttributes, QpCapacity, QpState, RecvWr, Srq, SrqAttributes, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import End, Rig

both_ways = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


class SharedRig(Rig):
    """Two pairs of queue pairs; the right ones share a receive queue."""

    def __init__(self, *, shortcuts: bool = True, max_wr: int = 16, limit: int = 0) -> None:
        super().__init__(shortcuts=shortcuts, connect=False)
        self.srq: Srq = self.right.pd.create_srq(max_wr=max_wr, max_sge=2, limit=limit)
        self.pairs = [self._pair() for _ in range(2)]

    def _pair(self) -> tuple[End, End]:
        left, right = self.left, self.right
        left.qp = left.pd.create_qp(send_cq=left.cq, recv_cq=left.cq)
        right.qp = right.pd.create_qp(send_cq=right.cq, recv_cq=right.cq, srq=self.srq)
        self.connect()
        return (
            End(left.device, left.pd, left.cq, left.qp, left.memory, left.mr, left.host),
            End(right.device, right.pd, right.cq, right.qp, right.memory, right.mr, right.host),
        )

    def post(self, *wr_ids: int, length: int = 64) -> None:
        """Post receives of `length` bytes each to the shared queue."""
        for wr_id in wr_ids:
            self.srq.post_recv(RecvWr(wr_id, [self.right.sge(wr_id * length, length)]))

    def events(self) -> list[tuple[AsyncEventType, object]]:
        """Events of the right device, with the SRQ or QP that they concern."""
        events = []
        while (event := self.right.device.poll_async_event()) is not None:
            events.append((event.kind, event.srq or event.qp))
        return events


@both_ways
@pytest.mark.parametrize("size", [64, 3000], ids=["one packet", "three packets"])
def test_queue_pairs_take_from_one_queue_in_the_order_of_arrival(size: int, shortcuts: bool) -> None:
    rig = SharedRig(shortcuts=shortcuts)
    rig.post(*range(6), length=size)
    for number in range(6):
        rig.left.memory[:size] = bytes([number + 1]) * size
        rig.pairs[number % 2][0].send(number, WrOpcode.SEND, 0, size)
        rig.run(1_000_000)
    taken = [(wc.wr_id, wc.status.name, wc.qp_num) for wc in rig.right.completions]
    assert taken == [(number, "SUCCESS", rig.pairs[number % 2][1].qp.number) for number in range(6)]
    assert all(rig.right.memory[n * size : (n + 1) * size] == bytes([n + 1]) * size for n in range(6))
    assert rig.events() == []


@both_ways
def test_an_empty_shared_queue_answers_rnr_until_a_receive_is_posted(shortcuts: bool) -> None:
    rig = SharedRig(shortcuts=shortcuts)
    rig.pairs[0][0].send(1, WrOpcode.SEND, 0, 8)
    rig.run(1_000_000)
    assert rig.right.device.counters.send_rnr_err > 0
    rig.post(7)
    rig.run()
    assert [wc.wr_id for wc in rig.right.completions] == [7]


@both_ways
def test_the_limit_event_comes_once_when_fewer_are_left_and_again_after_arming(shortcuts: bool) -> None:
    rig = SharedRig(shortcuts=shortcuts, limit=2)
    rig.post(*range(4))

    def receive(count: int) -> None:
        for number in range(count):
            rig.pairs[0][0].send(number, WrOpcode.SEND, 0, 8)
        rig.run(1_000_000)

    receive(2)
    assert rig.events() == []
    assert rig.srq.query() == SrqAttributes(max_wr=16, max_sge=2, limit=2)
    receive(2)
    assert rig.events() == [(AsyncEventType.SRQ_LIMIT_REACHED, rig.srq)]
    assert rig.srq.query().limit == 0
    rig.post(4, 5, 6)
    receive(2)
    assert rig.events() == []
    rig.srq.modify(limit=1)
    receive(1)
    assert rig.events() == [(AsyncEventType.SRQ_LIMIT_REACHED, rig.srq)]


def test_a_queue_pair_that_ends_leaves_the_receives_and_says_that_it_took_the_last() -> None:
    """IBTA 11.6.3.5: only what the queue pair had taken is flushed."""
    rig = SharedRig()
    rig.post(0, 1)
    first, second = (right.qp for _, right in rig.pairs)
    first.modify(QpAttributes(state=QpState.ERR))
    assert rig.events() == [(AsyncEventType.QP_LAST_WQE_REACHED, first)]
    assert rig.right.cq.poll() == []
    second.modify(QpAttributes(state=QpState.RESET))
    assert rig.events() == []
    assert [wr.wr_id for wr in rig.srq.entries] == [0, 1]


def test_a_receive_that_a_message_was_filling_is_flushed_by_its_queue_pair() -> None:
    rig = SharedRig()
    rig.post(0, 1, length=3000)
    rig.pairs[0][0].send(1, WrOpcode.SEND, 0, 3000)
    rig.simulation.run_until(lambda: len(rig.srq.entries) == 1)
    rig.pairs[0][1].qp.modify(QpAttributes(state=QpState.ERR))
    flushed = [(wc.wr_id, wc.status.name) for wc in rig.right.cq.poll()]
    assert flushed in ([(0, "WR_FLUSH_ERR")], [(0, "SUCCESS")])
    assert [wr.wr_id for wr in rig.srq.entries] == [1]


def test_a_full_queue_refuses_and_takes_more_after_growing() -> None:
    rig = SharedRig(max_wr=2)
    rig.post(0, 1)
    with pytest.raises(LocalError, match=r"SRQ \d+ is full \(max_wr is 2\)") as caught:
        rig.post(2)
    assert caught.value.errno == errno.ENOMEM
    rig.srq.modify(max_wr=3)
    rig.post(2)
    with pytest.raises(LocalError, match="3 receives are posted: they do not fit into 2"):
        rig.srq.modify(max_wr=2)
    assert rig.srq.query().max_wr == 3
    with pytest.raises(LocalError, match="3 SGEs, but max_sge is 2"):
        rig.srq.post_recv(RecvWr(9, [rig.right.sge(0, 1)] * 3))


@pytest.mark.parametrize(("sizes", "message"), [((0, 0), "at least 1"), ((4, 5), "not 5"), ((4, -1), "not -1")])
def test_sizes_that_make_no_sense_are_refused(sizes: tuple[int, int], message: str) -> None:
    rig = SharedRig(max_wr=8)
    max_wr, limit = sizes
    with pytest.raises(LocalError, match=message):
        rig.right.pd.create_srq(max_wr=max_wr, limit=limit)
    with pytest.raises(LocalError, match=message):
        rig.srq.modify(max_wr=max_wr, limit=limit)
    assert rig.srq.query() == SrqAttributes(max_wr=8, max_sge=2, limit=0)


def test_a_queue_pair_with_a_shared_queue_takes_no_receives_of_its_own() -> None:
    rig = SharedRig()
    with pytest.raises(LocalError, match=r"takes receives from SRQ \d+: post them there"):
        rig.pairs[0][1].recv(1)


def test_destroying_waits_for_the_queue_pairs() -> None:
    rig = SharedRig()
    rig.post(0)
    rig.pairs[0][1].qp.destroy()
    with pytest.raises(LocalError, match=r"1 queue pairs use SRQ \d+: destroy them first") as caught:
        rig.srq.destroy()
    assert caught.value.errno == errno.EBUSY
    rig.pairs[1][1].qp.destroy()
    rig.srq.destroy()
    assert rig.right.device.srqs == {}


def test_a_queue_that_fails_takes_its_queue_pairs_along() -> None:
    """IBTA 10.2.9.4, 11.6.3.2: SRQ_ERR, and every queue pair on it goes to ERR."""
    rig = SharedRig()
    rig.srq.fail()
    rig.srq.fail()
    qps = sorted((right.qp for _, right in rig.pairs), key=lambda qp: qp.number)
    assert rig.events() == [
        (AsyncEventType.SRQ_ERR, rig.srq),
        *((AsyncEventType.QP_LAST_WQE_REACHED, qp) for qp in qps),
    ]
    assert [qp.state for qp in qps] == [QpState.ERR] * 2
    for refused in (
        lambda: rig.post(1),
        lambda: rig.right.pd.create_qp(send_cq=rig.right.cq, recv_cq=rig.right.cq, srq=rig.srq),
    ):
        with pytest.raises(LocalError, match="has failed") as caught:
            refused()
        assert caught.value.errno == errno.EIO


def test_a_queue_of_another_domain_or_of_an_xrc_domain_is_not_shared() -> None:
    rig = SharedRig()
    end = rig.right
    with pytest.raises(LocalError, match="different protection domains"):
        end.device.alloc_pd().create_qp(send_cq=end.cq, recv_cq=end.cq, srq=rig.srq)
    xrcd = end.device.open_xrcd()
    xrc = end.pd.create_srq(max_wr=4, xrcd=xrcd, cq=end.cq)
    assert end.device.srqs[xrc.number] is xrc
    with pytest.raises(LocalError, match="is for XRC"):
        end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq, srq=xrc, capacity=QpCapacity())
    with pytest.raises(LocalError, match="takes a domain and a CQ"):
        end.pd.create_srq(max_wr=4, xrcd=xrcd)
    with pytest.raises(LocalError, match="1 SRQs and 0 queue pairs are in this XRC domain") as caught:
        xrcd.close()
    assert caught.value.errno == errno.EBUSY
    xrc.destroy()
    xrcd.close()
    assert xrcd.is_closed
