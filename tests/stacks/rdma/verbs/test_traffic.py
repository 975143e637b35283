"""Messages between programs that speak pyverbs' vocabulary, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import stacks.rdma.verbs.libibverbs_enums as e
from stacks.rdma.verbs import (
    AH,
    CQ,
    MR,
    PD,
    QP,
    SGE,
    WC,
    AHAttr,
    CompChannel,
    Context,
    Host,
    PyverbsRDMAError,
    QPAttr,
    QPInitAttr,
    RecvWR,
    SendWR,
)
from tests.stacks.rdma.verbs.players import WAIT_NS, Player, completion, fresh_host, join, player, route


@pytest.fixture
def host() -> Iterator[Host]:
    host = fresh_host()
    yield host
    assert not host.is_open, "every context was closed"


@pytest.fixture(params=[("bm0", "bm1"), ("bm0", "bm0")], ids=["two devices", "one device"])
def pair(request: pytest.FixtureRequest, host: Host) -> Iterator[tuple[Player, Player]]:
    near, far = (player(host, name) for name in request.param)
    join(near, far)
    yield near, far
    near.context.close()
    far.context.close()


def test_a_message_arrives_and_both_sides_complete(pair: tuple[Player, Player]) -> None:
    near, far = pair
    far.post_recv(7)
    near.post_send("hello", 9)
    sent, received = near.completion(), far.completion()
    assert (sent.wr_id, sent.status, sent.opcode) == (9, e.IBV_WC_SUCCESS, e.IBV_WC_SEND)
    assert (received.wr_id, received.status, received.opcode) == (7, e.IBV_WC_SUCCESS, e.IBV_WC_RECV)
    assert received.byte_len == 5
    assert far.mr.read(5) == b"hello"


def test_a_write_lands_where_the_peer_said(pair: tuple[Player, Player]) -> None:
    near, far = pair
    near.mr.write("written", 7)
    wr = SendWR(1, e.IBV_WR_RDMA_WRITE, 1, sg=[near.sge(7)])
    wr.set_wr_rdma(far.mr.rkey, far.mr.buf + 100)
    near.qp.post_send(wr)
    assert near.completion().status == e.IBV_WC_SUCCESS
    assert far.mr.read(7, 100) == b"written"


def test_a_fetch_and_add_returns_what_was_there(pair: tuple[Player, Player]) -> None:
    near, far = pair
    far.mr.write((5).to_bytes(8, "little"), 8)
    wr = SendWR(1, e.IBV_WR_ATOMIC_FETCH_AND_ADD, 1, sg=[near.sge(8)])
    wr.set_wr_atomic(far.mr.rkey, far.mr.buf, 37, 0)
    near.qp.post_send(wr)
    assert near.completion().status == e.IBV_WC_SUCCESS
    assert (near.mr.read(8), far.mr.read(8)) == ((5).to_bytes(8, "little"), (42).to_bytes(8, "little"))


def test_immediate_data_arrive_as_they_were_given(pair: tuple[Player, Player]) -> None:
    near, far = pair
    far.post_recv()
    near.qp.post_send(SendWR(1, e.IBV_WR_SEND_WITH_IMM, 1, imm_data=0x12345678, sg=[near.sge(4)]))
    received = far.completion()
    assert received.wc_flags & e.IBV_WC_WITH_IMM
    assert received.imm_data == 0x12345678


def test_linked_requests_are_posted_together(pair: tuple[Player, Player]) -> None:
    near, far = pair
    for wr_id in (1, 2):
        far.post_recv(wr_id)
    near.qp.post_send(SendWR(1, sg=[near.sge(4)], next_wr=SendWR(2, sg=[near.sge(8)])))
    assert [far.completion().byte_len for _ in range(2)] == [4, 8]


def test_a_wrong_remote_key_ends_in_a_remote_access_error(pair: tuple[Player, Player]) -> None:
    near, far = pair
    wr = SendWR(1, e.IBV_WR_RDMA_WRITE, 1, sg=[near.sge(4)])
    wr.set_wr_rdma(far.mr.rkey ^ 1, far.mr.buf)
    near.qp.post_send(wr)
    assert near.completion().status == e.IBV_WC_REM_ACCESS_ERR
    assert near.qp.qp_state == e.IBV_QPS_ERR


def test_a_full_send_queue_is_enomem(pair: tuple[Player, Player]) -> None:
    near, _ = pair
    with pytest.raises(PyverbsRDMAError, match="Failed to post send") as caught:  # noqa: PT012  # which one is full is its affair
        for _ in range(17):
            near.qp.post_send(SendWR(1, e.IBV_WR_SEND, 1, sg=[near.sge(4)]))
    assert caught.value.error_code > 0


def test_a_channel_announces_the_queue_that_was_asked_to(host: Host) -> None:
    def with_channel(context: Context) -> CQ:
        return CQ(context, 64, None, CompChannel(context))

    near, far = player(host), player(host, "bm1", make_cq=with_channel)
    join(near, far)
    far.cq.req_notify()
    far.post_recv()
    near.post_send("wake")
    channel = far.cq.comp_channel
    assert channel is not None
    channel.get_cq_event(far.cq, timeout_ns=WAIT_NS)
    far.cq.ack_events(1)
    assert far.completion().byte_len == 4
    with pytest.raises(PyverbsRDMAError):
        far.cq.ack_events(1)
    near.context.close()
    far.context.close()


def test_a_peer_that_never_polls_is_served_by_its_progress_thread() -> None:
    ours, theirs = fresh_host(1), fresh_host(1)
    near, far = player(ours), player(theirs)
    join(near, far)
    theirs.start_progress()
    near.mr.write("alone", 5)
    wr = SendWR(1, e.IBV_WR_RDMA_WRITE, 1, sg=[near.sge(5)])
    wr.set_wr_rdma(far.mr.rkey, far.mr.buf)
    near.qp.post_send(wr)
    assert near.completion().status == e.IBV_WC_SUCCESS
    assert far.mr.read(5) == b"alone"
    near.context.close()
    far.context.close()


def test_a_datagram_comes_with_a_header_that_leads_back() -> None:
    host = fresh_host()
    sides = []
    for name in ("bm0", "bm1"):
        context = Context(name=name, host=host)
        pd, cq = PD(context), CQ(context, 8)
        qp = QP(pd, QPInitAttr(e.IBV_QPT_UD, scq=cq, rcq=cq), QPAttr(qkey=0x11))
        sides.append((context, pd, cq, MR(pd, 140, e.IBV_ACCESS_LOCAL_WRITE), qp))
    (near, near_pd, near_cq, near_mr, near_qp), (far, far_pd, far_cq, far_mr, far_qp) = sides

    def ask(text: str, ah: AH, *, source: tuple[MR, QP], target: tuple[MR, QP], cq: CQ) -> WC:
        target[1].post_recv(RecvWR(sg=[SGE(target[0].buf, 140, target[0].lkey)]))
        source[0].write(text, len(text))
        wr = SendWR(sg=[SGE(source[0].buf, len(text), source[0].lkey)])
        wr.set_wr_ud(ah, target[1].qp_num, 0x11)
        source[1].post_send(wr)
        return completion(host, cq)

    way = AH(near_pd, attr=route(far))
    wc = ask("ping", way, source=(near_mr, near_qp), target=(far_mr, far_qp), cq=far_cq)
    assert (wc.byte_len, wc.src_qp, far_mr.read(4, 40)) == (44, near_qp.qp_num, b"ping")
    back = AH(far_pd, wc=wc, grh=far_mr.buf, port_num=1)
    assert back.attr.gr.dgid.ip == near.address
    completion(host, near_cq)
    wc = ask("pong", back, source=(far_mr, far_qp), target=(near_mr, near_qp), cq=near_cq)
    assert (wc.byte_len, near_mr.read(4, 40)) == (44, b"pong")
    with pytest.raises(PyverbsRDMAError, match="Failed to create AH"):
        AH(near_pd, attr=AHAttr(is_global=0))
    near.close()
    far.close()


def test_an_address_handle_that_only_a_request_names_lives_as_long(pair: tuple[Player, Player]) -> None:
    near, far = pair
    send = SendWR(1)
    send.set_wr_ud(AH(near.pd, attr=route(far.context)), far.qp.qp_num, 0x1234)
    assert send.core.ah is not None
    assert send.core.ah.is_valid


def test_objects_that_the_collector_frees_in_any_order_close_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    host = fresh_host()
    near = player(host)
    near.cq.disown(near.qp)  # as the collector does, which clears what is weak before it calls anything
    near.cq.__del__()
    assert not near.cq.is_closed, "its queue pair is still there"
    near.qp.__del__()
    assert near.cq.is_closed
    near.context.close()
    assert capsys.readouterr().err == ""
