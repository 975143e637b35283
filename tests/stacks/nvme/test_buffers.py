"""The buffer pool shares: nobody who waits is starved by those who come later or take much."""

from __future__ import annotations

from stacks.nvme.buffers import BufferPool, pool_bytes
from tests.stacks.nvme.core_rig import CoreHost, make_port, sqe
from wire.nvme.opcodes import IoOpcode

SHELVES = ((4096, 4), (65536, 8), (1 << 20, 4))


def make_pool() -> BufferPool:
    return BufferPool(memoryview(bytearray(pool_bytes(SHELVES))), shelves=SHELVES)


def test_small_requests_do_not_take_the_last_large_buffers() -> None:
    pool = make_pool()
    taken = []
    while (buffer := pool.take(512)) is not None:
        taken.append(buffer)
    assert [sum(buffer.size_class == shelf for buffer in taken) for shelf in range(3)] == [4, 6, 3]
    assert pool.take(65536) is not None
    assert pool.take(1 << 20) is not None
    assert not pool.has_room(512)


def test_one_account_gets_half_of_a_shelf_of_large_buffers() -> None:
    pool = make_pool()
    greedy, other = pool.new_account(), pool.new_account()
    mine = [pool.take(1 << 20, greedy) for _ in range(3)]
    assert [buffer is not None for buffer in mine] == [True, True, False]
    assert not pool.has_room(1 << 20, greedy)
    assert pool.take(1 << 20, other) is not None
    assert mine[0] is not None
    pool.give_back(mine[0])
    assert pool.take(1 << 20, greedy) is not None


def test_buffers_that_come_back_are_all_there_again() -> None:
    pool = make_pool()
    account = pool.new_account()
    for buffer in [pool.take(length, account) for length in (1, 4096, 5000, 65537)]:
        assert buffer is not None
        pool.give_back(buffer)
    assert pool.free_buffers == 16
    assert account == [0, 0, 0]


def started_queues(count: int) -> list[CoreHost]:
    port = make_port()
    admin = CoreHost(port)
    cntlid = admin.start()
    hosts = [CoreHost(port) for _ in range(count)]
    for qid, host in enumerate(hosts, 1):
        assert host.connect(qid=qid, cntlid=cntlid).status == 0
    return hosts


def large_read(host: CoreHost) -> int:
    return host.send(sqe(IoOpcode.READ, nsid=1, cdw12=31), expect=128 << 10)


def test_a_queue_that_floods_large_commands_leaves_room_for_another() -> None:
    greedy, modest = started_queues(2)
    for _ in range(20):
        large_read(greedy)
    cid = large_read(modest)
    requests = modest.port.target.poll_store_requests()
    assert [getattr(request, "queue", None) for request in requests] == [greedy.queue, modest.queue]
    modest.port.target.handle_store_completions(requests, 0)
    modest.pump()
    greedy.pump()
    answers = modest.answers | greedy.answers
    assert answers[cid].status == 0
    assert not greedy.port.waiting


def test_those_who_wait_are_served_in_turn() -> None:
    hosts = started_queues(3)
    for host in hosts:
        for _ in range(4):
            large_read(host)
    port = hosts[0].port
    served = []
    while requests := port.target.poll_store_requests():
        served += [hosts.index(host) for request in requests for host in hosts if request.queue is host.queue]  # type: ignore[attr-defined]
        port.target.handle_store_completions(requests, 0)
        for command in port.poll_completions():
            port.release(command)
    assert len(served) == 12
    assert all(sorted(served[at : at + 3]) == [0, 1, 2] for at in range(2, 9, 3))
