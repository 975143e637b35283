"""Delays of a store, as both executors keep them: in virtual time, and no request is held back without one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import trio

from stacks.nvme.stores import FaultyStore, FileStore, InlineExecutor, MemoryStore, Store, StoreRequest, parse_fault
from stacks.nvme.stores.aio import ThreadExecutor
from stacks.nvme.stores.contract import FLUSH, READ, WRITE
from tests.stacks.nvme.core_rig import connected, make_port
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.store_contract import read, request_of
from tests.stacks.nvme.vanishing_file import VanishingFile
from transports.pump import TimedService
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode

SIZE = 1 << 20
MS = 1_000_000


class Client:
    """A core that hands out what a test wants, and notes when it comes back."""

    def __init__(self) -> None:
        self.requests: list[StoreRequest] = []
        self.came_back: list[tuple[int, StoreRequest]] = []
        self.follow_up: StoreRequest | None = None

    def poll_store_requests(self) -> Sequence[StoreRequest]:
        requests, self.requests = self.requests, []
        return requests

    def handle_store_completions(self, requests: Sequence[StoreRequest], now: int) -> None:
        self.came_back += [(now, request) for request in requests]
        if self.follow_up is not None:
            self.requests, self.follow_up = [self.follow_up], None

    def times_ms(self, *requests: StoreRequest) -> list[float | None]:
        """When each came back; None for not yet."""
        return [next((now / MS for now, each in self.came_back if each is request), None) for request in requests]


def faulty(*rules: str, inner: Store | None = None) -> FaultyStore:
    return FaultyStore(inner or MemoryStore(SIZE), [parse_fault(rule) for rule in rules])


def inline(client: Client) -> InlineExecutor | ThreadExecutor:
    return InlineExecutor(client)


def threaded(client: Client) -> InlineExecutor | ThreadExecutor:
    return ThreadExecutor(client, lambda: None)


each_executor = pytest.mark.parametrize("make", [inline, threaded])


@each_executor
def test_an_executor_tells_when_it_has_to_be_pumped(make: type[InlineExecutor]) -> None:
    executor = make(Client())
    assert isinstance(executor, TimedService)
    assert executor.poll_deadline() is None


@each_executor
def test_a_completion_is_held_back_until_its_delay_is_over(make: type[InlineExecutor]) -> None:
    client, store = Client(), faulty("write:delay=5ms")
    executor = make(client)
    late, quick = request_of(store, WRITE), request_of(store, READ)
    client.requests = [late, quick]
    assert executor.pump(1 * MS)
    assert client.times_ms(late, quick) == [None, 1]
    assert executor.poll_deadline() == 6 * MS
    assert not executor.pump(6 * MS - 1)
    assert executor.pump(6 * MS)
    assert client.times_ms(late) == [6]
    assert late.status == 0
    assert executor.poll_deadline() is None
    assert not executor.pump(7 * MS)


@each_executor
def test_completions_come_in_the_order_in_which_their_delays_end(make: type[InlineExecutor]) -> None:
    client = Client()
    stores = [faulty(f"read:delay={delay}ms") for delay in (9, 3, 6, 3)]
    requests = [request_of(store, READ) for store in stores]
    executor = make(client)
    client.requests = list(requests)
    executor.pump(0)
    while (due_ns := executor.poll_deadline()) is not None:
        executor.pump(due_ns)
    assert [request for _, request in client.came_back] == [requests[1], requests[3], requests[2], requests[0]]
    assert client.times_ms(*requests) == [9, 3, 6, 3]


@each_executor
def test_the_verb_is_called_at_once_and_only_its_completion_is_late(make: type[InlineExecutor]) -> None:
    client, store = Client(), faulty("write:delay=5ms")
    executor = make(client)
    request = request_of(store, WRITE)
    request.view = memoryview(b"w" * 4 * 4096)
    client.requests = [request]
    executor.pump(0)
    assert read(store, 2, 4) == b"w" * 4 * 4096
    assert client.came_back == []


@each_executor
def test_a_failure_is_as_late_as_a_success(make: type[InlineExecutor]) -> None:
    client, store = Client(), faulty("read:delay=5ms", "read:error=EIO")
    executor = make(client)
    request = request_of(store, READ)
    client.requests = [request]
    executor.pump(0)
    assert client.came_back == []
    executor.pump(5 * MS)
    assert request.status == StatusCode.UNRECOVERED_READ_ERROR
    assert request.failure == "input/output error (on purpose)"


@each_executor
def test_what_follows_from_a_late_completion_is_run_in_the_same_pass(make: type[InlineExecutor]) -> None:
    client, store = Client(), faulty("read:delay=5ms,count=1")
    executor = make(client)
    first, second = request_of(store, READ), request_of(store, READ)
    client.requests, client.follow_up = [first], second
    executor.pump(0)
    executor.pump(5 * MS)
    assert client.times_ms(first, second) == [5, 5]


@each_executor
def test_a_request_object_may_be_used_again_after_it_was_late(make: type[InlineExecutor]) -> None:
    client, store = Client(), faulty("read:delay=5ms,count=1")
    executor = make(client)
    request = request_of(store, READ)
    client.requests, client.follow_up = [request], request
    executor.pump(0)
    executor.pump(5 * MS)
    client.requests = [request]
    executor.pump(6 * MS)
    assert [now for now, _ in client.came_back] == [5 * MS, 5 * MS, 6 * MS]


@pytest.mark.parametrize(("finished_ms", "completed_ms"), [(2, 5), (8, 8)])
def test_a_slow_verb_that_is_late_completes_when_both_are_over(finished_ms: int, completed_ms: int) -> None:
    class Gate(VanishingFile):
        def sync(self) -> None:
            opened.wait()
            super().sync()

    opened, client = threading.Event(), Client()
    store = faulty("flush:delay=5ms", inner=FileStore(Gate(SIZE)))

    async def main() -> None:
        woken = trio.Event()
        executor = ThreadExecutor(client, woken.set)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(executor.run)
            await trio.testing.wait_all_tasks_blocked()
            client.requests = [request_of(store, FLUSH)]
            executor.pump(0)
            assert executor.poll_deadline() is None
            opened.set()
            await woken.wait()
            executor.pump(finished_ms * MS)
            if (due_ns := executor.poll_deadline()) is not None:
                assert client.came_back == []
                executor.pump(due_ns)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert [now for now, _ in client.came_back] == [completed_ms * MS]


def test_a_request_of_a_store_without_delays_is_not_asked_about() -> None:
    class Surprised(MemoryStore):
        def delay_ns(self, request: StoreRequest) -> int:
            raise AssertionError

    client = Client()
    client.requests = [request_of(Surprised(SIZE), READ)]
    InlineExecutor(client).pump(0)
    assert len(client.came_back) == 1


def test_a_command_takes_as_long_as_its_store_in_virtual_time() -> None:
    store = faulty("read:delay=40ms", "flush:delay=1s,count=1")
    rig = RdmaRig(store)
    namespace = rig.namespace()
    for start, least_ms, most_ms in (
        (lambda: namespace.write(0, memoryview(bytes(4096))), 0, 1),
        (lambda: namespace.read(0, memoryview(bytearray(4096))), 40, 41),
        (namespace.flush, 1000, 1001),
        (namespace.flush, 0, 1),
    ):
        start_ns = rig.simulation.now
        assert rig.do(start()) == 0
        assert least_ms * MS <= rig.simulation.now - start_ns < most_ms * MS


def test_late_commands_do_not_hold_up_others() -> None:
    rig = RdmaRig(faulty("read:delay=30ms,blocks=7"))
    namespace = rig.namespace()
    late = namespace.read(7, memoryview(bytearray(4096)))
    for block in range(7):
        assert rig.do(namespace.read(block, memoryview(bytearray(4096)))) == 0
    assert not late.is_done
    assert rig.do(late) == 0


def test_a_fault_reaches_the_host_as_the_status_that_it_stands_for() -> None:
    store = faulty("write:error=ENOSPC,count=1", "flush:error=EIO,count=1")
    _, io = connected(make_port(store))
    assert io.io(IoOpcode.WRITE, 0, 1, data=bytes(4096)).status == StatusCode.CAPACITY_EXCEEDED
    assert io.io(IoOpcode.WRITE, 0, 1, data=bytes(4096), control=1 << 14).status == StatusCode.WRITE_FAULT
    assert io.io(IoOpcode.WRITE, 0, 1, data=bytes(4096), control=1 << 14).status == 0
    assert io.port.target.last_store_failure == "input/output error (on purpose)"
