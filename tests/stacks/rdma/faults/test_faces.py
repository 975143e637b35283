"""The same plan on every road: in memory under a mock clock, and on real sockets with trio and without."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from stacks.rdma import Access, Device, DeviceConfig, FaultPlan, SendWr, Sge, WcStatus, WrOpcode, aio, fault, sync
from stacks.rdma.cm import CmConfig
from stacks.rdma.faults import FaultReport
from tests.stacks.rdma.faces.addresses import fresh_address
from transports.memory import MemoryNetwork, TrioClock

PORT = 7000
SECOND_NS = 10**9
PLAN = FaultPlan(
    (
        fault("drop", qp=1, direction="tx", nth=1),
        fault("drop", opcode="write", psn="+3", nth=1),
        fault("delay", opcode="write", psn="+5", nth=1, delay="2ms"),
        fault("corrupt", opcode="write", psn="+7", nth=1, byte=20),
        fault("duplicate", opcode="write_last", nth=1),
    )
)
CONFIG = DeviceConfig(faults=PLAN, cm=CmConfig(first_retry_ns=5_000_000))
DATA = random.Random(3).randbytes(40_000)


def check(report: FaultReport, received: bytearray) -> None:
    assert received == DATA
    assert [rule.fired for rule in report.rules] == [1] * 5
    assert (report.hits[0].qp, report.hits[0].opcode) == (1, "UD_SEND_ONLY")


@asynccontextmanager
async def in_memory(network: MemoryNetwork, address: str, config: DeviceConfig | None) -> AsyncIterator[aio.Endpoint]:
    device = Device(address, config=config, rng=random.Random(1))
    async with aio.run_endpoint(device, network.open(device.address), clock=TrioClock()) as endpoint:
        yield endpoint


async def write_under_faults(near: aio.Endpoint, far: aio.Endpoint) -> None:
    near_qp, far_qp = near.create_qp(), far.create_qp()
    listener = far.listen(PORT)

    async def accept() -> None:
        await far.accept(await far.next_request(listener), qp=far_qp)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await near.connect(far.address, PORT, qp=near_qp)
    source, sink = near.pd.reg_mr(bytearray(DATA)), far.pd.reg_mr(received := bytearray(len(DATA)), access=ANY)
    near_qp.post_send(write(source.address, source.lkey, sink.address, sink.rkey))
    (wc,) = await near.completions(near_qp.send_cq, 1)
    assert wc.status is WcStatus.SUCCESS
    assert near.device.faults is not None
    check(near.device.faults.report(), received)


def write(address: int, lkey: int, remote_address: int, rkey: int) -> SendWr:
    sges = [Sge(address, len(DATA), lkey)]
    return SendWr(1, WrOpcode.RDMA_WRITE, sges, remote_address=remote_address, rkey=rkey)


def test_a_plan_acts_in_memory_and_in_trios_time() -> None:
    async def main() -> None:
        network = MemoryNetwork(5)
        async with in_memory(network, "192.0.2.1", CONFIG) as near, in_memory(network, "192.0.2.2", None) as far:
            await write_under_faults(near, far)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_plan_acts_on_sockets_under_trio() -> None:
    async def main() -> None:
        async with (
            aio.open_device(fresh_address(), config=CONFIG) as near,
            aio.open_device(fresh_address()) as far,
        ):
            await write_under_faults(near, far)

    trio.run(main)


def test_a_plan_acts_on_sockets_without_an_event_loop() -> None:
    with (
        sync.open_device(fresh_address(), config=CONFIG) as near,
        sync.open_device(fresh_address(), beside=near) as far,
    ):
        near_qp, far_qp = near.create_qp(), far.create_qp()
        listener = far.listen(PORT)
        cm_id = near.start_connect(far.address, PORT, qp=near_qp)
        far.accept(far.next_request(listener, timeout_ns=55 * SECOND_NS), qp=far_qp)
        assert near.wait_until(lambda: cm_id.is_settled, timeout_ns=55 * SECOND_NS)
        source, sink = near.pd.reg_mr(bytearray(DATA)), far.pd.reg_mr(received := bytearray(len(DATA)), access=ANY)
        near_qp.post_send(write(source.address, source.lkey, sink.address, sink.rkey))
        (wc,) = near.wait_cq(near_qp.send_cq, timeout_ns=55 * SECOND_NS)
        assert wc.status is WcStatus.SUCCESS
        assert near.device.faults is not None
        check(near.device.faults.report(), received)


ANY = Access.LOCAL_WRITE | Access.REMOTE_ANY
