"""What a target's port spends on hosts that do not finish what they begin, and how it ends what it has."""

from __future__ import annotations

import tracemalloc

import pytest

from stacks.nvme.bindings.rdma import RdmaTargetConfig
from stacks.nvme.bindings.rdma.parameters import service_id
from stacks.nvme.host import HostConfig
from stacks.nvme.stores import MemoryStore
from stacks.rdma import Device
from stacks.rdma.cm import CmEventType, ConnectionParameters
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.raw_host import RawHost
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.transfers import SECOND, TARGET
from wire.nvme.kinds import RdmaRejectStatus
from wire.nvme.rdma_codec import RdmaConnectReject, RdmaConnectRequest


@pytest.fixture
def rig() -> RdmaRig:
    return RdmaRig()


def request(device: Device, *, entries: int = 256) -> None:
    """Ask for a queue, and leave it at that."""
    cq = device.create_cq(16)
    qp = device.alloc_pd().create_qp(send_cq=cq, recv_cq=cq)
    device.cm.connect(
        TARGET,
        service_id(4420),
        qp=qp,
        parameters=ConnectionParameters(qpn=qp.number),
        private_data=RdmaConnectRequest(qid=0, hrqsize=entries, hsqsize=entries - 1).encode(),
    )


def request_many(rig: RdmaRig, address: str, count: int) -> None:
    device = rig.device(address, seed=9)
    host = rig.network.attach(device, device.address)
    for _ in range(count):
        request(device)
    host.wake()
    rig.run_for(SECOND)


def test_a_connection_without_connect_is_ended_after_ten_seconds(rig: RdmaRig) -> None:
    host = RawHost(rig, "192.0.2.3")
    assert rig.rdma_target.queue_count == 1
    rig.run_for(9 * SECOND)
    assert rig.rdma_target.queue_count == 1
    rig.run_for(2 * SECOND)
    assert rig.rdma_target.queue_count == 0
    assert rig.target.queues_overdue == 1
    assert host.is_connected


def test_one_address_may_have_few_connections_without_connect(rig: RdmaRig) -> None:
    request_many(rig, "192.0.2.3", 40)
    assert rig.rdma_target.queue_count == 16
    request_many(rig, "192.0.2.4", 1)
    assert rig.rdma_target.queue_count == 17
    assert rig.rdma_target.counters.connections_rejected == 24
    assert rig.namespace().block_count


def test_connections_without_connect_are_limited_in_all() -> None:
    rig = RdmaRig(target=RdmaTargetConfig(pending_max=20))
    for number in range(3):
        request_many(rig, f"192.0.2.{3 + number}", 10)
    assert rig.rdma_target.queue_count == 20


def test_connected_queues_do_not_count_as_pending() -> None:
    rig = RdmaRig(target=RdmaTargetConfig(pending_per_host=1))
    assert rig.connect(HostConfig(nqn=NQN, io_queues=8)).is_live
    assert rig.rdma_target.queue_count == 9


def test_a_connection_that_is_not_finished_costs_little() -> None:
    rig = RdmaRig()
    device = rig.device("192.0.2.3", seed=9)
    for _ in range(10):
        request(device)
    mads = []
    while (mad := device.cm.poll_mad(0)) is not None:
        mads.append(memoryview(mad[1]))
    tracemalloc.start()
    for mad_bytes in mads:
        rig.rdma_target.device.cm.handle_mad("192.0.2.3", mad_bytes, 0)
    rig.rdma_target.handle_timeout(0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rig.rdma_target.queue_count == 10
    assert used / 10 < 40_000


def test_a_host_that_serves_no_reads_is_refused(rig: RdmaRig) -> None:
    host = RawHost(rig, "192.0.2.3", responder_resources=0)
    event = host.events[0]
    assert event.kind is CmEventType.REJECTED
    assert RdmaConnectReject.decode(event.private_data).status == RdmaRejectStatus.INVALID_IRD


def test_a_host_that_never_reads_is_welcome(rig: RdmaRig) -> None:
    host = RawHost(rig, "192.0.2.3", initiator_depth=0)
    answer = host.connect()
    assert answer is not None
    assert answer.status == 0


def test_asynchronous_events_of_the_device_are_counted(rig: RdmaRig) -> None:
    for number in range(3):
        RawHost(rig, f"192.0.2.{3 + number}").send(bytes(9000))
    assert rig.rdma_target.counters.async_events >= 3
    assert rig.rdma_target.device.poll_async_event() is None


def test_draining_waits_for_what_is_in_a_store() -> None:
    rig = RdmaRig(MemoryStore(1 << 20), executor=None)
    target = rig.target
    namespace = rig.namespace(keep_alive_ms=0)
    transfer = namespace.flush()
    rig.run_for(SECOND // 10)
    requests = target.poll_store_requests()
    assert len(requests) == 1
    rig.rdma_target.drain()
    rig.run_for(SECOND)
    assert not transfer.is_done
    assert not rig.rdma_target.is_drained
    target.handle_store_completions(requests, rig.simulation.now)
    rig.finish(transfer)
    assert transfer.status == 0
    rig.run_until(lambda: rig.rdma_target.is_drained, timeout_ns=SECOND)


def test_draining_waits_for_the_last_of_several_commands() -> None:
    rig = RdmaRig(MemoryStore(1 << 20), executor=None)
    namespace = rig.namespace(keep_alive_ms=0)
    transfers = [namespace.flush() for _ in range(2)]
    rig.run_for(SECOND // 10)
    requests = rig.target.poll_store_requests()
    rig.rdma_target.drain()
    for request, transfer in zip(requests, transfers, strict=True):
        rig.target.handle_store_completions([request], rig.simulation.now)
        rig.finish(transfer)
        rig.run_for(SECOND // 10)
    assert [transfer.status for transfer in transfers] == [0, 0]


def test_draining_gives_a_store_that_hangs_up() -> None:
    rig = RdmaRig(MemoryStore(1 << 20), executor=None)
    namespace = rig.namespace(keep_alive_ms=0)
    transfer = namespace.flush()
    rig.run_for(SECOND // 10)
    rig.rdma_target.drain()
    rig.run_until(lambda: rig.rdma_target.is_drained, timeout_ns=3 * SECOND)
    rig.finish(transfer)
    assert transfer.status
