"""Fused Compare and Write: ends of all kinds, wherever the pair is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.target.aborting import Abortion
from tests.stacks.nvme.bench import BLOCK_BYTES, Bench, BenchQueue, abort
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.fused.rig import ABORTED, BLOCK, FAILED, NEW, OLD, OTHER, STOPPED, pair, settle
from wire.nvme.opcodes import Fuse, IoOpcode
from wire.nvme.status import StatusCode


def no_first_data(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_fetching = False
    return pair(io, in_capsule=False)


def no_second_data(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_fetching = False
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND, in_capsule=False)
    bench.pump()
    return first, second


def claiming(bench: Bench, io: BenchQueue, other: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    other.begin(IoOpcode.WRITE, BLOCK, data=OLD)
    bench.pump()
    return pair(io)


def waiting_for_another(bench: Bench, io: BenchQueue, other: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    other.begin_pair(BLOCK, OLD, OLD)
    bench.pump()
    return pair(io)


def comparing(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    return pair(io)


def writing(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    cids = pair(io)
    bench.run_one()
    return cids


STAGES = (no_first_data, no_second_data, claiming, waiting_for_another, comparing, writing)
STOPS = {
    no_first_data: [STOPPED, FAILED],
    no_second_data: [STOPPED, STOPPED],
    claiming: [STOPPED, FAILED],
    waiting_for_another: [STOPPED, FAILED],
    comparing: [0, STOPPED],
    writing: [0, 0],
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_queue_that_stops_ends_its_pair(
    bench: Bench, io: BenchQueue, other: BenchQueue, stage: Callable[..., tuple[int, int]]
) -> None:
    cids = stage(bench, io, other)
    io.queue.stop()
    settle(bench)
    assert io.statuses(cids) == STOPS[stage]
    assert bench.read(BLOCK) == (NEW if stage is writing else OLD)
    assert io.queue.in_flight == 0
    late = other.begin(IoOpcode.WRITE, BLOCK, data=OTHER)
    bench.pump()
    assert other.status(late) == 0


@pytest.mark.parametrize("stage", STAGES)
def test_a_connection_that_goes_leaves_nothing_of_its_pair(
    bench: Bench, io: BenchQueue, other: BenchQueue, stage: Callable[..., tuple[int, int]]
) -> None:
    cids = stage(bench, io, other)
    gone = [command for command in bench.with_hosts if command.queue is io.queue]
    io.queue.closed()
    for command in gone:
        # What it was fetching a binding gives up itself.
        bench.with_hosts.remove(command)
        bench.port.release(command)
    settle(bench)
    assert sorted(bench.released[io.queue])[-2:] == sorted(cids), "the binding has both back"
    late = other.begin_pair(BLOCK, bench.read(BLOCK), OTHER)
    bench.pump()
    assert other.statuses(late) == [0, 0]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("half", [0, 1])
def test_each_half_can_be_aborted(bench: Bench, half: int, stage: Callable[..., tuple[int, int]]) -> None:
    admin, io = bench.host()
    _, other = bench.host()
    cids = stage(bench, io, other)
    assert abort(admin, 1, cids[half]).dw0 == 1, "it cannot end at once"
    settle(bench)
    is_too_late = stage is writing or (stage is comparing and not half)
    expected = [0, 0] if is_too_late else [0, ABORTED] if half else [ABORTED, FAILED]
    assert io.statuses(cids) == expected
    assert bench.read(BLOCK) == (NEW if is_too_late else OLD)
    late = other.begin_pair(BLOCK, bench.read(BLOCK), OTHER)
    bench.pump()
    assert other.statuses(late) == [0, 0]


@pytest.mark.parametrize("stage", STAGES)
def test_a_pair_that_lost_its_rights_does_not_reach_the_store_any_more(
    bench: Bench, io: BenchQueue, other: BenchQueue, stage: Callable[..., tuple[int, int]]
) -> None:
    cids = stage(bench, io, other)
    with_store = [request for request in bench.with_store if request.queue is io.queue]  # type: ignore[attr-defined]
    abortion = Abortion(StatusCode.ABORTED_PREEMPT.value)
    for command in list(io.queue.under_way):
        if command in io.queue.under_way:
            abortion.abort(io.queue, command)
    bench.is_storing = bench.is_fetching = True
    reached = []

    def poll() -> list[object]:
        requests = list(polled())
        reached.extend(request for request in requests if request.queue is io.queue)  # type: ignore[attr-defined]
        return requests

    polled, bench.target.poll_store_requests = bench.target.poll_store_requests, poll  # type: ignore[method-assign, assignment]
    settle(bench)
    assert reached == []
    if not with_store:
        assert io.statuses(cids)[0] == StatusCode.ABORTED_PREEMPT
        assert bench.read(BLOCK) == OLD
    assert None not in io.statuses(cids)


def test_a_first_half_that_waits_for_its_second_can_be_aborted_and_ends_with_its_queue(bench: Bench) -> None:
    admin, io = bench.host()
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    assert abort(admin, 1, first).dw0 == 0
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    io.pump()
    assert io.statuses((first, second)) == [ABORTED, FAILED]
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    io.queue.stop()
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    io.pump()
    assert io.statuses((first, second)) == [STOPPED, StatusCode.COMMAND_SEQUENCE_ERROR]
    assert bench.read(BLOCK) == OLD


def test_data_that_does_not_come_through_fails_that_half(bench: Bench, io: BenchQueue) -> None:
    for half, expected in ((0, [StatusCode.TRANSIENT_TRANSPORT_ERROR, FAILED]), (1, [0, 0x22])):
        bench.is_fetching = False
        if half:
            cids = no_second_data(bench, io, io)
        else:
            cids = pair(io, in_capsule=False)
        (command,) = bench.with_hosts
        bench.with_hosts.clear()
        io.queue.fail(command, StatusCode.TRANSIENT_TRANSPORT_ERROR.value)
        settle(bench)
        assert io.statuses(cids) == expected
    assert bench.read(BLOCK) == OLD


def test_many_pairs_do_not_wait_for_each_others_buffers(bench: Bench) -> None:
    # The pool has two buffers of this size.
    queues = [bench.host()[1] for _ in range(3)]
    data = OTHER * 16
    cids = [
        (io, io.begin_pair(16 * at, bytes(16 * BLOCK_BYTES), data, in_capsule=False))
        for at, io in enumerate(queues * 3, 1)
    ]
    bench.pump()
    assert [io.statuses(each) for io, each in cids] == [[0, 0]] * 9


def test_a_crowd_that_waits_for_the_same_block_ends_without_climbing_on_each_other(bench: Bench) -> None:
    bench.is_storing = False
    queues = [bench.host(queues=8)[1:] for _ in range(2)]
    cids = [(io, io.begin_pair(BLOCK, OLD, NEW)) for io in (*queues[0], *queues[1]) for _ in range(32)]
    bench.pump()
    bench.target.subsystems[NQN].remove_namespace(1)
    settle(bench)
    statuses = [tuple(io.statuses(each)) for io, each in cids]
    assert statuses[0] == (0, StatusCode.INVALID_FIELD), "the store had it"
    assert set(statuses[1:]) == {(StatusCode.INVALID_FIELD, FAILED)}
