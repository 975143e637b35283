"""Devices of one process on real loopback sockets, without an event loop."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.rdma import (
    Access,
    Cq,
    DeviceConfig,
    Mr,
    Qp,
    QpState,
    RecvWr,
    SendWr,
    Sge,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from stacks.rdma.cm import CmConfig, ConnectionParameters
from stacks.rdma.cm.ids import CmId
from stacks.rdma.sync import ConnectionFailed, Endpoint, fitting_path_mtu, largest_path_mtu, open_beside, open_device
from stacks.runtime import LocalError
from tests.stacks.rdma.faces.addresses import fresh_address
from wire.ibcm import RejectReason

PORT = 7000
SECOND_NS = 10**9
IMPATIENT = DeviceConfig(cm=CmConfig(first_retry_ns=2_000_000, longest_retry_ns=2_000_000, max_retries=2))
ANY = Access.LOCAL_WRITE | Access.REMOTE_ANY


@pytest.fixture
def near() -> Iterator[Endpoint]:
    with open_device(fresh_address(), config=IMPATIENT, rng=random.Random(1)) as endpoint:
        yield endpoint


@pytest.fixture
def far(near: Endpoint) -> Iterator[Endpoint]:
    with open_device(fresh_address(), beside=near, rng=random.Random(2)) as endpoint:
        yield endpoint


def whole(mr: Mr) -> list[Sge]:
    return [Sge(mr.address, mr.length, mr.lkey)]


def connect(near: Endpoint, far: Endpoint, *, near_qp: Qp | None = None) -> tuple[Qp, Qp, CmId]:
    near_qp, far_qp = near_qp or near.create_qp(), far.create_qp()
    listener = far.listen(PORT)
    cm_id = near.start_connect(far.address, PORT, qp=near_qp)
    far.accept(far.next_request(listener), qp=far_qp)
    assert near.wait_until(lambda: cm_id.is_settled, timeout_ns=55 * SECOND_NS)
    return near_qp, far_qp, cm_id


def one(endpoint: Endpoint, cq: Cq, opcode: WcOpcode) -> int:
    """Wait for one completion, which must be a success of `opcode`; its length."""
    (wc,) = endpoint.wait_cq(cq, 1, timeout_ns=55 * SECOND_NS)
    assert (wc.status, wc.opcode) == (WcStatus.SUCCESS, opcode)
    return wc.byte_len


def test_a_ping_is_sent_and_its_pong(near: Endpoint, far: Endpoint) -> None:
    ping, pong = near.pd.reg_mr(bytearray(b"ping")), far.pd.reg_mr(answer := bytearray(4))
    near_qp = near.create_qp(recv_cq=near.create_cq(4))
    far_qp = far.create_qp(recv_cq=far.create_cq(4))
    near_qp.post_recv(RecvWr(1, whole(ping)))
    far_qp.post_recv(RecvWr(1, whole(pong)))
    listener = far.listen(PORT)
    asked = near.start_connect(far.address, PORT, qp=near_qp, private_data=b"hello")
    request = far.next_request(listener)
    assert request.private_data.startswith(b"hello")
    assert request.remote_address == near.address
    far.accept(request, qp=far_qp, private_data=b"welcome")
    assert asked.is_established
    assert asked.private_data.startswith(b"welcome")
    near_qp.post_send(SendWr(2, WrOpcode.SEND, whole(ping)))
    assert one(far, far_qp.recv_cq, WcOpcode.RECV) == 4
    assert answer == b"ping"
    far_qp.post_send(SendWr(2, WrOpcode.SEND, whole(pong)))
    assert one(near, near_qp.recv_cq, WcOpcode.RECV) == 4


def test_a_write_is_read_back_by_a_server_in_another_thread() -> None:
    size = 1 << 20
    address, remote = fresh_address(), bytearray(size)
    ready, is_done = threading.Event(), threading.Event()
    where: list[Mr] = []

    def serve() -> None:
        with open_device(address) as server:
            listener = server.listen(PORT)
            where.append(server.pd.reg_mr(remote, access=ANY))
            ready.set()
            client = server.accept(server.next_request(listener), qp=server.create_qp())
            server.wait_until(lambda: client.failure is not None, timeout_ns=55 * SECOND_NS)
        is_done.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(55)
    with open_device(fresh_address()) as client:
        qp = client.create_qp()
        data = random.Random(3).randbytes(size)
        source, sink = client.pd.reg_mr(bytearray(data)), client.pd.reg_mr(result := bytearray(size))
        client.connect(address, PORT, qp=qp)
        there = {"remote_address": where[0].address, "rkey": where[0].rkey}
        qp.post_send(SendWr(1, WrOpcode.RDMA_WRITE, whole(source), **there))
        qp.post_send(SendWr(2, WrOpcode.RDMA_READ, whole(sink), **there))
        one(client, qp.send_cq, WcOpcode.RDMA_WRITE)
        one(client, qp.send_cq, WcOpcode.RDMA_READ)
        assert data == remote == result
    assert is_done.wait(55)
    thread.join(55)


def test_busy_polling_takes_what_completed(near: Endpoint, far: Endpoint) -> None:
    near_qp, far_qp, _ = connect(near, far)
    mr = near.pd.reg_mr(bytearray(8))
    far_qp.post_recv(RecvWr(7))
    near_qp.post_send(SendWr(1, WrOpcode.SEND, [Sge(mr.address, 0, mr.lkey)]))
    completions = []
    while not completions:
        completions = far.poll_cq(far_qp.recv_cq)
    assert [wc.wr_id for wc in completions] == [7]


def test_posts_before_one_call_leave_in_one_send(near: Endpoint, far: Endpoint) -> None:
    near_qp, far_qp, _ = connect(near, far)
    mr = near.pd.reg_mr(bytearray(64))
    for number in range(16):
        far_qp.post_recv(RecvWr(number))
    for number in range(16):
        near_qp.post_send(SendWr(number, WrOpcode.SEND, [Sge(mr.address, 0, mr.lkey)]))
    before = far.transport.statistics.received_bursts  # type: ignore[attr-defined]
    found = 0
    while found < 16:
        found += len(far.wait_cq(far_qp.recv_cq, timeout_ns=55 * SECOND_NS))
    assert far.transport.statistics.received_bursts - before <= 2  # type: ignore[attr-defined]


def test_waiting_for_completions_ends_in_time(near: Endpoint) -> None:
    assert near.wait_cq(near.create_cq(4), timeout_ns=1_000_000) == []


def test_an_overflowed_completion_queue_keeps_nobody_waiting(near: Endpoint, far: Endpoint) -> None:
    small = near.create_cq(1)
    near_qp, far_qp, _ = connect(near, far, near_qp=near.create_qp(send_cq=small, recv_cq=small))
    for number in range(2):
        far_qp.post_recv(RecvWr(number))
        near_qp.post_send(SendWr(number, WrOpcode.SEND))
    assert near.wait_until(lambda: small.is_broken, timeout_ns=55 * SECOND_NS)
    small.poll()
    with pytest.raises(LocalError, match="overflowed"):
        near.wait_cq(small)


def test_a_port_where_nobody_listens_is_named(near: Endpoint, far: Endpoint) -> None:
    with pytest.raises(ConnectionFailed, match=f"nobody listens on port 7001 of the device at {far.address}") as caught:
        near.connect(far.address, 7001, qp=near.create_qp())
    assert caught.value.reason == RejectReason.INVALID_SERVICE_ID


def test_a_silent_address_is_named(near: Endpoint) -> None:
    silent = fresh_address()
    with pytest.raises(ConnectionFailed, match=f"no device answers at {silent}") as caught:
        near.connect(silent, PORT, qp=near.create_qp())
    assert caught.value.reason == RejectReason.TIMEOUT


def test_a_refusal_carries_its_reason_and_data(near: Endpoint, far: Endpoint) -> None:
    listener = far.listen(PORT)
    asked = near.start_connect(far.address, PORT, qp=near.create_qp())
    far.reject(far.next_request(listener), private_data=b"too busy")
    assert near.wait_until(lambda: asked.is_settled, timeout_ns=55 * SECOND_NS)
    with pytest.raises(ConnectionFailed, match=r"refused port 7000: consumer \(reject reason 28\)") as caught:
        asked.check()
    assert caught.value.private_data.startswith(b"too busy")


def test_a_listener_that_leaves_refuses_who_waits(near: Endpoint, far: Endpoint) -> None:
    listener = far.listen(PORT)
    asked = near.start_connect(far.address, PORT, qp=near.create_qp())
    far.wait_until(lambda: bool(listener.requests), timeout_ns=55 * SECOND_NS)
    far.stop_listening(listener)
    far.stop_listening(listener)
    assert not listener.requests
    assert near.wait_until(lambda: asked.is_settled, timeout_ns=55 * SECOND_NS)
    assert not asked.is_established
    far.listen(PORT)


def test_nobody_asks_in_time(near: Endpoint) -> None:
    with pytest.raises(TimeoutError, match="nobody asked for port 7000"):
        near.next_request(near.listen(PORT), timeout_ns=1_000_000)


def test_a_request_that_was_withdrawn_is_not_accepted(near: Endpoint, far: Endpoint) -> None:
    listener = far.listen(PORT)
    asked = near.start_connect(far.address, PORT, qp=near.create_qp())
    request = far.next_request(listener)
    near.disconnect(asked)
    assert far.wait_until(lambda: request.failure is not None, timeout_ns=55 * SECOND_NS)
    with pytest.raises(ConnectionFailed):
        far.accept(request, qp=far.create_qp())


def test_a_port_that_cannot_be_is_refused(near: Endpoint) -> None:
    with pytest.raises(LocalError, match="a port is 0 to 65535, not 65536"):
        near.connect(near.address, 65536, qp=near.create_qp())


def test_disconnecting_flushes_both_sides(near: Endpoint, far: Endpoint) -> None:
    near_qp, far_qp, cm_id = connect(near, far)
    far_qp.post_recv(RecvWr(5))
    near.disconnect(cm_id)
    near.disconnect(cm_id)
    assert near_qp.state is QpState.ERR
    (wc,) = far.wait_cq(far_qp.recv_cq, timeout_ns=55 * SECOND_NS)
    assert (wc.wr_id, wc.status) == (5, WcStatus.WR_FLUSH_ERR)


def test_a_peer_that_vanished_is_a_status_of_what_was_sent(near: Endpoint) -> None:
    address = fresh_address()
    is_listening, is_connected = threading.Event(), threading.Event()

    def serve() -> None:
        server = open_device(address)
        listener = server.listen(PORT)
        is_listening.set()
        server.accept(server.next_request(listener), qp=server.create_qp())
        server.transport.close()
        is_connected.set()

    threading.Thread(target=serve, daemon=True).start()
    assert is_listening.wait(55)
    qp = near.create_qp()
    near.connect(address, PORT, qp=qp, parameters=ConnectionParameters(qpn=qp.number, ack_timeout=8, retry_count=1))
    near.pump()
    assert is_connected.wait(55)
    qp.post_send(SendWr(9, WrOpcode.SEND))
    (wc,) = near.wait_cq(qp.send_cq, timeout_ns=55 * SECOND_NS)
    assert (wc.wr_id, wc.status) == (9, WcStatus.RETRY_EXC_ERR)


def test_a_ctrl_c_while_waiting_leaves_the_endpoint_usable(near: Endpoint, far: Endpoint) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            far.connect(fresh_address(), PORT, qp=far.create_qp())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not len(far.ids)
    near_qp, far_qp, _ = connect(near, far)
    far_qp.post_recv(RecvWr(1))
    near_qp.post_send(SendWr(1, WrOpcode.SEND))
    one(far, far_qp.recv_cq, WcOpcode.RECV)


def test_leaving_by_an_exception_tells_the_peer_once(near: Endpoint) -> None:
    class LeavingError(Exception):
        pass

    with pytest.raises(LeavingError), open_device(fresh_address(), beside=near) as far:  # noqa: PT012
        _, _, cm_id = connect(near, far)
        raise LeavingError
    assert near.wait_until(lambda: cm_id.failure is not None, timeout_ns=55 * SECOND_NS)
    assert str(cm_id.failure) == f"the connection to {far.address} was ended"


def test_closing_twice_is_closing_once() -> None:
    endpoint = open_device(fresh_address())
    endpoint.close()
    endpoint.close()


def test_a_taken_port_is_told_in_one_line(near: Endpoint) -> None:
    with pytest.raises(LocalError) as caught:
        open_device(near.address)
    assert str(caught.value).startswith(f"UDP port 4791 of {near.address} is taken")
    assert "\n" not in str(caught.value)


def test_an_address_of_another_machine_is_told_in_one_line() -> None:
    with pytest.raises(LocalError, match="not an address of this machine"):
        open_device("198.51.100.1")


def test_a_capture_that_cannot_be_written_leaves_the_port_free(tmp_path: Path) -> None:
    address = fresh_address()
    with pytest.raises(LocalError, match="cannot write the capture"):
        open_device(address, capture=tmp_path / "missing" / "x.pcapng")
    open_device(address).close()


def test_a_capture_holds_what_passed(near: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with open_device(fresh_address(), beside=near, capture=path) as far:
        connect(near, far)
    assert path.stat().st_size > 4 * 256


def test_a_device_asks_no_more_of_its_socket_than_it_can() -> None:
    with open_device(fresh_address(), offload=False) as endpoint:
        assert endpoint.device.config.segment_limit == 1
    with open_device(fresh_address(), config=DeviceConfig(segment_limit=8)) as endpoint:
        assert endpoint.device.config.segment_limit == 8
        assert endpoint.device.config.cm.max_path_mtu == 4096
    with open_device(fresh_address(), config=DeviceConfig(cm=CmConfig(max_path_mtu=512))) as endpoint:
        assert endpoint.device.config.cm.max_path_mtu == 512


@pytest.mark.parametrize(("mtu", "path_mtu"), [(65536, 4096), (4176, 4096), (4175, 2048), (1500, 1024), (68, 256)])
def test_the_path_mtu_fits_the_interface_as_rxe_has_it(mtu: int, path_mtu: int) -> None:
    assert largest_path_mtu(mtu) == path_mtu


def test_an_address_of_no_interface_is_taken_for_ethernet() -> None:
    assert fitting_path_mtu("198.51.100.1") == 1024


def test_a_device_beside_a_remote_one_takes_a_free_loopback_address(near: Endpoint) -> None:
    first = open_beside(near.address)
    second = open_beside(near.address)
    assert len({first.address, second.address, (near.address, 4791)}) == 3
    first.close()
    second.close()
