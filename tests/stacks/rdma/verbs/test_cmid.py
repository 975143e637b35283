"""Identifiers in pyverbs' vocabulary, over real sockets."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator

import pytest

import stacks.rdma.verbs.libibverbs_enums as e
import stacks.rdma.verbs.librdmacm_enums as ce
from stacks.rdma.verbs import (
    CMID,
    AddrInfo,
    CMEvent,
    CMEventChannel,
    ConnParam,
    Host,
    PyverbsRDMAError,
    PyverbsUserError,
    QPCap,
    QPInitAttr,
)
from tests.stacks.rdma.verbs.players import fresh_host

PORT = "7471"
INIT = QPInitAttr(qp_type=e.IBV_QPT_RC, cap=QPCap(max_recv_wr=4))


@pytest.fixture
def host() -> Iterator[Host]:
    host = fresh_host()
    yield host
    assert not host.is_open, "every identifier gave its device back"


def addresses(host: Host) -> tuple[AddrInfo, AddrInfo]:
    """Of the passive side, on bm1, and of the active one, on bm0."""
    near, far = host.addresses["bm0"], host.addresses["bm1"]
    return AddrInfo(src=far, src_service=PORT, flags=ce.RAI_PASSIVE), AddrInfo(src=near, dst=far, dst_service=PORT)


def take(channel: CMEventChannel, kind: int) -> CMEvent:
    event = CMEvent(channel)
    assert event.event_type == kind, event.event_str()
    return event


def asynchronous(host: Host) -> tuple[CMID, CMID, CMID]:
    """A listener, a request that waits for its answer, and who asked."""
    passive, active = addresses(host)
    listener, asking = CMID(CMEventChannel(host)), CMID(CMEventChannel(host))
    listener.bind_addr(passive)
    listener.listen()
    asking.resolve_addr(active)
    take(asking.event_channel, ce.RDMA_CM_EVENT_ADDR_RESOLVED).ack_cm_event()
    asking.resolve_route()
    take(asking.event_channel, ce.RDMA_CM_EVENT_ROUTE_RESOLVED).ack_cm_event()
    asking.create_qp(INIT)
    asking.connect(ConnParam())
    event = take(listener.event_channel, ce.RDMA_CM_EVENT_CONNECT_REQUEST)
    request = CMID(event, listen_id=listener)
    event.ack_cm_event()
    return listener, request, asking


def close(*cmids: CMID) -> None:
    for cmid in cmids:
        context = cmid.context
        cmid.event_channel.close()
        context.close()


def test_a_connection_by_events_carries_a_message(host: Host) -> None:
    listener, request, asking = asynchronous(host)
    request.create_qp(INIT)
    request.accept(ConnParam())
    for cmid in (request, asking):
        take(cmid.event_channel, ce.RDMA_CM_EVENT_ESTABLISHED).ack_cm_event()
    received, sent = request.reg_msgs(64), asking.reg_msgs(5)
    request.post_recv(received)
    sent.write("hello", 5)
    asking.post_send(sent)
    assert asking.get_send_comp().status == e.IBV_WC_SUCCESS
    assert request.get_recv_comp().byte_len == 5
    assert received.read(5) == b"hello"
    asking.disconnect()
    for cmid in (request, asking):
        take(cmid.event_channel, ce.RDMA_CM_EVENT_DISCONNECTED).ack_cm_event()
    close(asking, listener)


def test_a_refusal_says_why(host: Host) -> None:
    listener, request, asking = asynchronous(host)
    request.reject(b"no room")
    event = take(asking.event_channel, ce.RDMA_CM_EVENT_REJECTED)
    assert event.private_data[:7] == b"no room"
    event.close()
    close(asking, listener)


def test_options_reach_the_queue_pair(host: Host) -> None:
    listener, request, asking = asynchronous(host)
    request.set_option(ce.RDMA_OPTION_ID, ce.RDMA_OPTION_ID_ACK_TIMEOUT, 21)
    request.create_qp(INIT)
    request.accept(ConnParam())
    assert request.query_qp(e.IBV_QP_TIMEOUT)[0].timeout == 21
    take(asking.event_channel, ce.RDMA_CM_EVENT_ESTABLISHED).ack_cm_event()
    with pytest.raises(PyverbsRDMAError) as caught:
        request.set_option(ce.RDMA_OPTION_IB, 1, 1)
    assert caught.value.error_code == errno.EOPNOTSUPP
    close(asking, listener)


def test_calls_that_sleep_until_they_are_done() -> None:
    ours, theirs = fresh_host(1), fresh_host(1)
    far = theirs.addresses["bm0"]
    listener = CMID(AddrInfo(src=far, src_service=PORT, flags=ce.RAI_PASSIVE), INIT, channel=CMEventChannel(theirs))
    listener.listen()
    seen: list[bytes] = []

    def serve() -> None:
        request = listener.get_request()
        memory = request.reg_write(16)
        request.post_recv(memory)
        request.accept()
        request.get_recv_comp()
        seen.append(memory.read(16))
        request.close()

    server = threading.Thread(target=serve)
    server.start()
    asking = CMID(AddrInfo(src=ours.addresses["bm0"], dst=far, dst_service=PORT), INIT, channel=CMEventChannel(ours))
    asking.connect()
    message = asking.reg_msgs(16)
    message.write("sixteen letters.", 16)
    asking.post_send(message)
    asking.get_send_comp()
    server.join(50)
    assert seen == [b"sixteen letters."]
    close(asking, listener)


def test_nobody_listening_is_a_refused_connection(host: Host) -> None:
    _, active = addresses(host)
    there = CMID(CMEventChannel(host))
    there.bind_addr(addresses(host)[0])
    asking = CMID(active, INIT, channel=CMEventChannel(host))
    with pytest.raises(PyverbsRDMAError, match="rejected") as caught:
        asking.connect()
    assert caught.value.error_code == errno.ECONNREFUSED
    close(asking, there)


def test_an_identifier_without_an_address_has_nothing(host: Host) -> None:
    cmid = CMID(CMEventChannel(host))
    with pytest.raises(PyverbsRDMAError, match="bind_addr or resolve_addr"):
        cmid.listen()
    with pytest.raises(PyverbsRDMAError, match="no device yet"):
        assert cmid.context
    assert cmid.qpn == 0
    with pytest.raises(PyverbsUserError):
        AddrInfo(src_service="http")
