"""The asynchronous face: over a network in memory on trio's mock clock, and once over real sockets."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from stacks.rdma import Access, Device, Mr, Qp, QpState, RecvWr, SendWr, Sge, Wc, WcOpcode, WcStatus, WrOpcode
from stacks.rdma.aio import ConnectionFailed, Endpoint, open_device, run_endpoint
from stacks.rdma.cm.ids import CmId
from stacks.runtime import LocalError
from tests.stacks.rdma.faces.addresses import fresh_address
from transports.impairments import Impairments
from transports.memory import MemoryNetwork, TrioClock

PORT = 7000
NEAR, FAR = "192.0.2.1", "192.0.2.2"
ANY = Access.LOCAL_WRITE | Access.REMOTE_ANY
Program = Callable[[Endpoint, Endpoint], Awaitable[None]]


def run(program: Program, impairments: Impairments | None = None) -> None:
    """Run `program` with two devices in a network in memory, in mock time."""

    async def main() -> None:
        network = MemoryNetwork(5, impairments)
        async with opened(network, NEAR, 1) as near, opened(network, FAR, 2) as far:
            await program(near, far)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@asynccontextmanager
async def opened(network: MemoryNetwork, address: str, seed: int) -> AsyncIterator[Endpoint]:
    device = Device(address, rng=random.Random(seed))
    async with run_endpoint(device, network.open(device.address), clock=TrioClock()) as endpoint:
        yield endpoint


async def connect(near: Endpoint, far: Endpoint) -> tuple[Qp, Qp, CmId, CmId]:
    near_qp, far_qp = near.create_qp(), far.create_qp()
    listener = far.listen(PORT)
    accepted: list[CmId] = []

    async def accept() -> None:
        accepted.append(await far.accept(await far.next_request(listener), qp=far_qp))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        cm_id = await near.connect(far.address, PORT, qp=near_qp)
    return near_qp, far_qp, cm_id, accepted[0]


class Steps(trio.abc.Instrument):
    """Counts how often tasks run, by name."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, name: str) -> int:
        return self._counts[name]

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._counts[task.name] += 1


def whole(mr: Mr) -> list[Sge]:
    return [Sge(mr.address, mr.length, mr.lkey)]


async def one(endpoint: Endpoint, qp: Qp, opcode: WcOpcode) -> Wc:
    """Wait for one completion, which must be a success of `opcode`."""
    (wc,) = await endpoint.completions(qp.send_cq, 1)
    assert (wc.status, wc.opcode) == (WcStatus.SUCCESS, opcode)
    return wc


async def _write_and_read_back(near: Endpoint, far: Endpoint, size: int) -> None:
    near_qp, _, _, _ = await connect(near, far)
    data = random.Random(3).randbytes(size)
    source, sink = near.pd.reg_mr(bytearray(data)), near.pd.reg_mr(result := bytearray(size))
    there = far.pd.reg_mr(remote := bytearray(size), access=ANY)
    at = {"remote_address": there.address, "rkey": there.rkey}
    near_qp.post_send(SendWr(1, WrOpcode.RDMA_WRITE, whole(source), **at))
    near_qp.post_send(SendWr(2, WrOpcode.RDMA_READ, whole(sink), **at))
    await one(near, near_qp, WcOpcode.RDMA_WRITE)
    await one(near, near_qp, WcOpcode.RDMA_READ)
    assert data == remote == result


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_write_is_read_back(loss: float) -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        await _write_and_read_back(near, far, 60_000)

    run(program, Impairments(loss=loss, delay_ns=1_000))


def test_messages_go_to_and_fro_between_two_tasks() -> None:
    async def echo(far: Endpoint, qp: Qp, mr: Mr) -> None:
        for number in range(20):
            await one(far, qp, WcOpcode.RECV)
            qp.post_recv(RecvWr(number, whole(mr)))
            qp.post_send(SendWr(number, WrOpcode.SEND, whole(mr), flags=0))

    async def program(near: Endpoint, far: Endpoint) -> None:
        near_qp, far_qp, _, _ = await connect(near, far)
        near_mr, far_mr = near.pd.reg_mr(data := bytearray(b"....")), far.pd.reg_mr(bytearray(4))
        far_qp.post_recv(RecvWr(0, whole(far_mr)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, far, far_qp, far_mr)
            for number in range(20):
                data[:] = sent = number.to_bytes(4, "big")
                near_qp.post_recv(RecvWr(number, whole(near_mr)))
                near_qp.post_send(SendWr(number, WrOpcode.SEND, whole(near_mr), flags=0))
                await one(near, near_qp, WcOpcode.RECV)
                assert data == sent

    run(program)


def test_many_tasks_wait_for_one_queue_and_each_completion_goes_to_one() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        near_qp, far_qp, _, _ = await connect(near, far)
        found: list[int] = []

        async def take() -> None:
            (wc,) = await far.completions(far_qp.recv_cq, 1)
            found.append(wc.wr_id)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                far_qp.post_recv(RecvWr(number))
                nursery.start_soon(take)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(10):
                near_qp.post_send(SendWr(number, WrOpcode.SEND))
                near.wake()
                await trio.testing.wait_all_tasks_blocked()
        assert sorted(found) == list(range(10))

    run(program)


def test_a_cancelled_wait_takes_no_completion() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        near_qp, far_qp, _, _ = await connect(near, far)
        with trio.move_on_after(1) as scope:
            await far.completions(far_qp.recv_cq)
        assert scope.cancelled_caught
        far_qp.post_recv(RecvWr(4))
        near_qp.post_send(SendWr(1, WrOpcode.SEND))
        near.pump()
        await trio.testing.wait_all_tasks_blocked()
        assert len(far_qp.recv_cq) == 1
        with trio.CancelScope() as scope:
            scope.cancel()
            await far.completions(far_qp.recv_cq)
        assert [wc.wr_id for wc in await far.completions(far_qp.recv_cq)] == [4]

    run(program)


def test_packets_wake_nobody_who_waits_for_completions() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        near_qp, far_qp, _, _ = await connect(near, far)
        there = far.pd.reg_mr(bytearray(1 << 16), access=ANY)
        here = near.pd.reg_mr(bytearray(1 << 16))
        steps = Steps()
        far_qp.post_recv(RecvWr(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.completions, far_qp.recv_cq, name="waiter")
            await trio.testing.wait_all_tasks_blocked()
            trio.lowlevel.add_instrument(steps)
            for number in range(50):
                at = {"remote_address": there.address, "rkey": there.rkey}
                near_qp.post_send(SendWr(number, WrOpcode.RDMA_WRITE, whole(here), **at))
                await one(near, near_qp, WcOpcode.RDMA_WRITE)
            assert steps.of("waiter") == 0
            near_qp.post_send(SendWr(99, WrOpcode.SEND))
            near.pump()
        assert steps.of("waiter") == 1
        trio.lowlevel.remove_instrument(steps)

    run(program)


def test_a_queue_of_another_endpoint_is_refused() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        for cq in (near.device.create_cq(4), far.create_cq(4)):
            with pytest.raises(LocalError, match="not made by this endpoint"):
                await near.completions(cq)

    run(program)


def test_an_overflowed_queue_keeps_nobody_waiting() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        cq = near.create_cq(1)
        cq.push(Wc(1, WcStatus.SUCCESS, WcOpcode.SEND, 0, 2))
        cq.push(Wc(2, WcStatus.SUCCESS, WcOpcode.SEND, 0, 2))
        assert [wc.wr_id for wc in await near.completions(cq)] == [1]
        with pytest.raises(LocalError, match="overflowed"):
            await near.completions(cq)

    run(program)


def test_a_port_where_nobody_listens_is_named() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        with pytest.raises(ConnectionFailed, match=f"nobody listens on port {PORT} of the device at {FAR}"):
            await near.connect(FAR, PORT, qp=near.create_qp())

    run(program)


def test_a_silent_address_is_named() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        with pytest.raises(ConnectionFailed, match=r"no device answers at 192\.0\.2\.9"):
            await near.connect("192.0.2.9", PORT, qp=near.create_qp())

    run(program)


def test_a_refusal_carries_its_data() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        listener = far.listen(PORT)

        async def refuse() -> None:
            far.reject(await far.next_request(listener), private_data=b"too busy")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refuse)
            with pytest.raises(ConnectionFailed) as caught:
                await near.connect(FAR, PORT, qp=near.create_qp())
        assert caught.value.private_data.startswith(b"too busy")

    run(program)


def test_a_cancelled_connect_withdraws_the_request() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        listener = far.listen(PORT)
        qp = near.create_qp()
        with trio.move_on_after(0.01):
            await near.connect(FAR, PORT, qp=qp)
        assert qp.state is QpState.ERR
        await trio.sleep(0.1)
        assert not listener.requests

    run(program, Impairments(delay_ns=1_000))


def test_disconnecting_flushes_the_peer_and_says_that_it_is_over() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        _, far_qp, near_id, far_id = await connect(near, far)
        far_qp.post_recv(RecvWr(5))
        await near.disconnect(near_id)
        await far.wait_disconnected(far_id)
        assert str(far_id.failure) == f"the connection to {NEAR} was ended"
        (wc,) = await far.completions(far_qp.recv_cq)
        assert (wc.wr_id, wc.status) == (5, WcStatus.WR_FLUSH_ERR)

    run(program)


def test_a_peer_that_vanished_is_a_status_of_what_was_sent() -> None:
    async def program(near: Endpoint, far: Endpoint) -> None:
        near_qp, _, _, _ = await connect(near, far)
        # A process that was killed: nothing of it moves any more.
        far.transport.is_full = True  # type: ignore[attr-defined]
        near_qp.post_send(SendWr(9, WrOpcode.SEND))
        (wc,) = await near.completions(near_qp.send_cq)
        assert (wc.wr_id, wc.status) == (9, WcStatus.RETRY_EXC_ERR)

    run(program)


def test_what_the_block_raises_leaves_as_it_is_and_the_peer_is_told() -> None:
    class LeavingError(Exception):
        pass

    async def main() -> None:
        network = MemoryNetwork(5)
        async with opened(network, NEAR, 1) as near:
            with pytest.raises(LeavingError):  # noqa: PT012 (the block is what is tested)
                async with opened(network, FAR, 2) as far:
                    _, _, cm_id, _ = await connect(near, far)
                    raise LeavingError
            await near.wait_disconnected(cm_id)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_cancelled_block_tells_the_peer_and_frees_the_address() -> None:
    async def main() -> None:
        network = MemoryNetwork(5)
        async with opened(network, NEAR, 1) as near:
            with trio.CancelScope() as scope:
                async with opened(network, FAR, 2) as far:
                    _, _, cm_id, _ = await connect(near, far)
                    scope.cancel()
                    await trio.sleep_forever()
            assert scope.cancelled_caught
            await near.wait_disconnected(cm_id)
            network.open((FAR, 4791)).close()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_same_over_real_sockets() -> None:
    async def main() -> None:
        with trio.fail_after(55):
            async with open_device(fresh_address()) as near, open_device(fresh_address()) as far:
                await _write_and_read_back(near, far, 1 << 20)

    trio.run(main)


def test_a_taken_port_is_told_in_one_line() -> None:
    async def main() -> None:
        async with open_device(fresh_address()) as near:
            with pytest.raises(LocalError, match=f"UDP port 4791 of {near.address} is taken"):
                async with open_device(near.address):
                    raise AssertionError

    trio.run(main)
