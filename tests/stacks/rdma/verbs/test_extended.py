"""Extended queues, memory windows and inline data in pyverbs' vocabulary, over real sockets."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import stacks.rdma.verbs.libibverbs_enums as e
from stacks.rdma.verbs import (
    CQ,
    CQEX,
    MR,
    MW,
    PD,
    QP,
    SGE,
    SRQ,
    XRCD,
    Context,
    CqInitAttrEx,
    DataBuffer,
    Host,
    MWBind,
    MWBindInfo,
    PollCqAttr,
    PyverbsRDMAError,
    QPAttr,
    QPCap,
    QPEx,
    QPInitAttrEx,
    RecvWR,
    SendWR,
    SrqInitAttrEx,
    inc_rkey,
)
from stacks.rdma.verbs import mem_alloc as mem
from tests.stacks.rdma.verbs.players import ANY, WAIT_NS, fresh_host, route

BIND = ANY | e.IBV_ACCESS_MW_BIND


@dataclass
class Side:
    """A program with an extended queue pair and an extended CQ."""

    context: Context
    pd: PD
    cq: CQEX
    mr: MR
    qp: QPEx

    def sge(self, length: int) -> SGE:
        """The start of its region."""
        return SGE(self.mr.buf, length, self.mr.lkey)

    def wait(self) -> int:
        """Go to the next completion; its status."""
        self.context.host.wait_until(lambda: len(self.cq.core) > 0, timeout_ns=WAIT_NS)
        assert self.cq.start_poll(PollCqAttr()) == 0
        return self.cq.status


def side(host: Host, name: str) -> Side:
    context = Context(name=name, host=host)
    pd = PD(context)
    cq = CQEX(context, CqInitAttrEx(cqe=64, wc_flags=e.IBV_WC_STANDARD_FLAGS | e.IBV_WC_EX_WITH_COMPLETION_TIMESTAMP))
    init = QPInitAttrEx(e.IBV_QPT_RC, scq=cq, rcq=cq, pd=pd, cap=QPCap(16, 16, 4, 4, 64), comp_mask=1)
    return Side(context, pd, cq, MR(pd, 4096, BIND), QPEx(context, init, QPAttr(qp_access_flags=ANY)))


@pytest.fixture
def pair() -> Iterator[tuple[Side, Side]]:
    host = fresh_host()
    near, far = side(host, "bm0"), side(host, "bm1")
    for one, other in ((near, far), (far, near)):
        one.qp.to_rts(QPAttr(dest_qp_num=other.qp.qp_num, ah_attr=route(other.context), timeout=14, retry_cnt=7))
    yield near, far
    near.context.close()
    far.context.close()


def test_a_batch_leaves_when_it_is_complete(pair: tuple[Side, Side]) -> None:
    near, far = pair
    far.qp.post_recv(RecvWR(5, 1, [far.sge(100)]))
    near.mr.write("batch", 5)
    near.qp.wr_start()
    near.qp.wr_id, near.qp.wr_flags = 1, 0
    near.qp.wr_rdma_write(far.mr.rkey, far.mr.buf + 1000)
    near.qp.wr_set_sge(near.sge(5))
    near.qp.wr_id, near.qp.wr_flags = 2, e.IBV_SEND_SIGNALED
    near.qp.wr_send_imm(77)
    near.qp.wr_set_sge(near.sge(5))
    assert near.cq.start_poll(PollCqAttr()) == errno.ENOENT
    near.qp.wr_complete()
    assert (near.wait(), near.cq.wr_id, near.cq.read_opcode()) == (0, 2, e.IBV_WC_SEND)
    assert (far.wait(), far.cq.wr_id, far.cq.read_byte_len()) == (0, 5, 5)
    assert far.cq.read_imm_data().to_bytes(4, "little") == (77).to_bytes(4, "big")
    assert far.cq.read_timestamp() > 0
    far.cq.end_poll()
    assert far.mr.read(5, 1000) == b"batch"


def test_an_aborted_batch_is_forgotten(pair: tuple[Side, Side]) -> None:
    near, _ = pair
    near.qp.wr_start()
    near.qp.wr_send()
    near.qp.wr_abort()
    near.qp.wr_start()
    near.qp.wr_complete()
    assert near.cq.start_poll(PollCqAttr()) == errno.ENOENT


def test_inline_data_need_no_region(pair: tuple[Side, Side]) -> None:
    near, far = pair
    address = mem.malloc(16)
    mem.write(address, "unregistered", 12)
    for _ in range(2):
        far.qp.post_recv(RecvWR(5, 1, [far.sge(100)]))
    near.qp.wr_start()
    near.qp.wr_flags = e.IBV_SEND_SIGNALED
    near.qp.wr_send()
    near.qp.wr_set_inline_data_list([DataBuffer(address, 2), DataBuffer(address + 2, 10)])
    near.qp.wr_complete()
    assert (near.wait(), far.wait(), far.mr.read(12)) == (0, 0, b"unregistered")
    near.qp.post_send(SendWR(sg=[SGE(address + 2, 10, 0)], send_flags=e.IBV_SEND_SIGNALED | e.IBV_SEND_INLINE))
    assert (near.wait(), far.wait(), far.mr.read(10)) == (0, 0, b"registered")


def test_atomic_write_and_flush(pair: tuple[Side, Side]) -> None:
    near, far = pair
    near.qp.wr_start()
    near.qp.wr_flags = e.IBV_SEND_SIGNALED
    near.qp.wr_atomic_write(far.mr.rkey, far.mr.buf, b"8 bytes!")
    near.qp.wr_complete()
    assert (near.wait(), near.cq.read_opcode()) == (0, e.IBV_WC_ATOMIC_WRITE)
    assert far.mr.read(8) == b"8 bytes!"


def write_through(near: Side, far: Side, rkey: int) -> int:
    wr = SendWR(opcode=e.IBV_WR_RDMA_WRITE, sg=[near.sge(4)])
    wr.set_wr_rdma(rkey, far.mr.buf)
    near.qp.post_send(wr)
    return near.wait()


def test_a_window_of_type_1_is_bound_by_a_call(pair: tuple[Side, Side]) -> None:
    near, far = pair
    window = MW(far.pd, e.IBV_MW_TYPE_1)
    info = MWBindInfo(far.mr, far.mr.buf, 100, e.IBV_ACCESS_REMOTE_WRITE)
    far.qp.bind_mw(window, MWBind(info, e.IBV_SEND_SIGNALED, 3))
    assert (far.wait(), far.cq.wr_id, far.cq.read_opcode()) == (0, 3, e.IBV_WC_BIND_MW)
    assert write_through(near, far, window.rkey) == e.IBV_WC_SUCCESS
    with pytest.raises(PyverbsRDMAError, match="Failed to close MR"):
        far.mr.close()
    assert not far.mr.is_closed
    window.close()
    assert write_through(near, far, window.rkey) == e.IBV_WC_REM_ACCESS_ERR


def test_a_window_of_type_2_is_bound_and_invalidated_by_requests(pair: tuple[Side, Side]) -> None:
    near, far = pair
    window = MW(far.pd, e.IBV_MW_TYPE_2)
    wr = SendWR(opcode=e.IBV_WR_BIND_MW)
    wr.set_bind_wr(window, MWBindInfo(far.mr, far.mr.buf, 100, e.IBV_ACCESS_REMOTE_WRITE))
    assert wr.rkey == inc_rkey(window.rkey)
    far.qp.post_send(wr)
    assert (far.wait(), window.rkey) == (0, wr.rkey)
    assert write_through(near, far, wr.rkey) == e.IBV_WC_SUCCESS
    far.qp.wr_start()
    far.qp.wr_flags = e.IBV_SEND_SIGNALED
    far.qp.wr_local_inv(wr.rkey)
    far.qp.wr_complete()
    assert (far.wait(), far.cq.read_opcode()) == (0, e.IBV_WC_LOCAL_INV)
    assert write_through(near, far, wr.rkey) == e.IBV_WC_REM_ACCESS_ERR


def test_a_region_is_registered_again_under_its_keys(pair: tuple[Side, Side]) -> None:
    near, far = pair
    address = mem.malloc(64)
    keys = (far.mr.lkey, far.mr.rkey)
    far.mr.rereg(e.IBV_REREG_MR_CHANGE_TRANSLATION, addr=address, length=64)
    assert (far.mr.buf, far.mr.length, far.mr.lkey, far.mr.rkey) == (address, 64, *keys)
    near.mr.write("moved", 5)
    wr = SendWR(opcode=e.IBV_WR_RDMA_WRITE, sg=[near.sge(5)])
    wr.set_wr_rdma(far.mr.rkey, address)
    near.qp.post_send(wr)
    assert (near.wait(), mem.read(address, 5)) == (0, b"moved")
    far.mr.rereg(e.IBV_REREG_MR_CHANGE_ACCESS, access=e.IBV_ACCESS_LOCAL_WRITE)
    near.qp.post_send(wr)
    assert near.wait() == e.IBV_WC_REM_ACCESS_ERR


def test_a_queue_pair_that_is_reset_leaves_no_completions_behind(pair: tuple[Side, Side]) -> None:
    near, _ = pair
    near.qp.post_recv(RecvWR(1, 1, [near.sge(4)]))
    near.qp.modify(QPAttr(qp_state=e.IBV_QPS_ERR), e.IBV_QP_STATE)
    assert len(near.cq.core) == 1
    near.qp.modify(QPAttr(qp_state=e.IBV_QPS_RESET), e.IBV_QP_STATE)
    assert near.cq.start_poll(PollCqAttr()) == errno.ENOENT


def test_a_queue_that_ignores_overruns_is_not_supported(pair: tuple[Side, Side]) -> None:
    near, _ = pair
    with pytest.raises(PyverbsRDMAError) as caught:
        CQEX(near.context, CqInitAttrEx(flags=e.IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN, comp_mask=1))
    assert caught.value.error_code == errno.EOPNOTSUPP


def test_xrc_sends_go_to_a_shared_receive_queue() -> None:
    host = fresh_host()
    near, far = (Context(name=name, host=host) for name in ("bm0", "bm1"))
    near_pd, far_pd = PD(near), PD(far)
    near_cq, far_cq = CQ(near, 8), CQ(far, 8)
    domain = XRCD(far)
    shared = SrqInitAttrEx(max_wr=4)
    shared.srq_type, shared.pd, shared.xrcd, shared.cq = e.IBV_SRQT_XRC, far_pd, domain, far_cq
    srq = SRQ(far, shared)
    target = QP(far, QPInitAttrEx(e.IBV_QPT_XRC_RECV, xrcd=domain, comp_mask=2), QPAttr())
    initiator = QP(near, QPInitAttrEx(e.IBV_QPT_XRC_SEND, pd=near_pd, scq=near_cq, comp_mask=1), QPAttr())
    for qp, peer, there in ((target, initiator, near), (initiator, target, far)):
        qp.to_rts(QPAttr(dest_qp_num=peer.qp_num, ah_attr=route(there), timeout=14, retry_cnt=7, rnr_retry=7))
    source, sink = MR(near_pd, 8, e.IBV_ACCESS_LOCAL_WRITE), MR(far_pd, 8, e.IBV_ACCESS_LOCAL_WRITE)
    srq.post_recv(RecvWR(sg=[SGE(sink.buf, 8, sink.lkey)]))
    source.write("shared!!", 8)
    wr = SendWR(sg=[SGE(source.buf, 8, source.lkey)])
    wr.set_qp_type_xrc(srq.get_srq_num())
    initiator.post_send(wr)
    assert host.wait_until(lambda: len(far_cq.core) > 0, timeout_ns=WAIT_NS)
    assert (far_cq.poll()[1][0].byte_len, sink.read(8)) == (8, b"shared!!")
    near.close()
    far.close()


def test_an_event_says_what_happened() -> None:
    with Context(name="bm0", host=fresh_host(1)) as context:
        context.device.set_port_state(active=False)
        event = context.get_async_event(timeout_ns=WAIT_NS)
        assert (event.event_type, event.qp_num) == (e.IBV_EVENT_PORT_ERR, 0)
        event.ack()
        with pytest.raises(TimeoutError):
            context.get_async_event(timeout_ns=1)
