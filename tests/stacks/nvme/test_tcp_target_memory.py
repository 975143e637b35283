"""A target's memory: what is on its way stays as it is, what was given back is left alone, drains wait."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.held_stores import CopyingStore
from tests.stacks.nvme.tcp_pressure_rig import NO_FLOW_CONTROL, Held, Traced, store_of, stored
from tests.stacks.nvme.tcp_raw import MILLISECOND, completion, outside, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from wire.nvme.kinds import TcpDigest
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.tcp_codec import TcpHostData

OLD, NEW = b"o" * 4096, b"n" * 4096


@pytest.mark.parametrize("capacity", [4124, 4124 + 10, 4124 + 2000, 2 * 4124 - 1, 5 * 4124])
@pytest.mark.parametrize("store", [MemoryStore, CopyingStore])
def test_a_store_that_changes_does_not_change_what_is_on_its_way(capacity: int, store: type[MemoryStore]) -> None:
    rig = TcpRig(store(1 << 20), capacity_bytes=capacity, cuts=False)
    _, host = raw_io(rig, digests=int(TcpDigest.DATA), cattr=NO_FLOW_CONTROL)
    store_of(rig).write(0, [memoryview(OLD)])
    host.core.is_reading = False
    # The connection takes some, all, or nothing of each.
    for _ in range(6):
        host.send(host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1))
    store_of(rig).write(0, [memoryview(NEW)])
    host.core.is_reading = True
    host.run(10 * MILLISECOND)
    answers = host.take()
    assert len(answers) == 6
    assert all(each.is_data_intact for each in answers)
    assert [each.data for each in answers] == [OLD] * 6


def test_a_store_that_changes_does_not_change_what_was_given_to_a_connection_that_is_full() -> None:
    rig = TcpRig(capacity_bytes=4124, cuts=False)
    _, host = raw_io(rig, digests=int(TcpDigest.DATA), cattr=NO_FLOW_CONTROL)
    host.core.is_reading = False
    versions = [bytes([number]) * 4096 for number in range(8)]
    for version in versions:
        store_of(rig).write(0, [memoryview(version)])
        host.send(host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1))
    host.core.is_reading = True
    host.run(10 * MILLISECOND)
    assert [each.data for each in host.take()] == versions


@pytest.mark.parametrize("blocks", [10, 40, 100, 250])
def test_data_in_capsules_stays_as_it_came_while_a_store_is_slow(blocks: int) -> None:
    held = Held()
    held.host.send(*(held.write(block) for block in range(blocks)))
    held.host.run(50 * MILLISECOND)
    assert held.host.take() == []
    held.release()
    assert [completion(each).status for each in held.host.take()] == [0] * blocks
    held.check(blocks)


def test_data_in_capsules_that_a_store_holds_up_is_bounded_and_the_rest_waits_in_the_network() -> None:
    held = Held()
    held.host.send(*(held.write(block) for block in range(250)))
    held.host.run(SECOND)
    # Four buffers of 256 KiB, and what is not in them is not taken.
    assert 4 * 30 - 10 <= len(held.executor.held) <= 4 * 32
    assert sum(map(len, held.host.core.output)) > 512 << 10
    # Others go on.
    assert held.admin.status(AdminOpcode.KEEP_ALIVE) == 0
    # Whatever is done makes room for as much again.
    held.executor.release(held.rig.simulation.now, 35)
    held.rig.target_host.wake()
    held.host.run(SECOND)
    assert len(held.executor.held) > 4 * 30 - 35
    held.release()
    assert [completion(each).status for each in held.host.take()] == [0] * 250
    held.check(250)


@pytest.mark.slow
def test_small_commands_between_slow_ones_do_not_hold_a_buffer_each() -> None:
    held = Held()
    writes, answered = 0, 60
    while answered == 60:
        held.host.send(held.write(writes))
        writes += 1
        # What fills the rest of a buffer, and is answered at once.
        for _ in range(59):
            if answered == 60:
                held.host.send(*(held.host.capsule(0xFF) for _ in range(60)))
                answered = len(held.host.take())
    assert writes == 4
    held.release()
    held.check(writes)
    assert len(held.host.take()) == writes + 60 - answered


@pytest.mark.parametrize("how", ["error", "drain"])
def test_what_comes_after_the_end_does_not_overwrite_data_that_a_store_still_needs(how: str) -> None:
    held = Held()
    held.host.core.closes_at_end = False
    held.host.send(*(held.write(block) for block in range(20)))
    if how == "error":
        held.host.send(b"\xff" * 8)
    else:
        held.rig.tcp_target.drain()
        held.rig.target_host.wake()
        held.host.run(2 * SECOND + MILLISECOND)
    for _ in range(10):
        held.host.send(b"X" * 100_000)
    held.release()
    held.check(20)


def test_buffers_of_commands_that_are_done_are_not_kept() -> None:
    held = Held()
    with Traced() as traced:
        held.host.send(*(held.write(block) for block in range(120)))
        assert traced.grown_bytes > 900 << 10
        held.release()
        held.check(120)
        assert traced.grown_bytes < 600 << 10


def test_a_drain_waits_for_a_store_no_longer_than_it_must() -> None:
    held = Held()
    held.host.send(held.write(0))
    before = held.rig.simulation.now
    held.rig.tcp_target.drain()
    held.rig.target_host.wake()
    held.rig.run_until(lambda: held.rig.tcp_target.is_drained, timeout_ns=60 * SECOND)
    assert SECOND < held.rig.simulation.now - before < 7 * SECOND
    held.release()
    assert held.rig.tcp_target.port.pool.free_buffers == 4096 + 256 + 32


def test_a_drain_lets_a_store_finish_and_its_answer_out() -> None:
    held = Held()
    held.host.send(held.write(0))
    held.rig.tcp_target.drain()
    held.rig.target_host.wake()
    held.host.run(SECOND)
    assert not held.host.is_closed
    held.release()
    assert [completion(each).status for each in held.host.take()] == [0]
    assert held.host.is_closed
    held.rig.run_for(SECOND)
    assert held.rig.tcp_target.is_drained


def test_a_drain_aborts_writes_whose_data_comes_too_late_and_says_so() -> None:
    held = Held()
    held.host.send(held.host.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
    [request] = held.host.take()
    held.rig.tcp_target.drain()
    held.rig.target_host.wake()
    held.host.run(SECOND)
    header = TcpHostData(flags=4, cid=request.field("cid"), ttag=request.field("ttag"), length=65536)
    held.host.send(held.host.sealed(header, b"x" * 65536))
    [answer] = held.host.take()
    assert completion(answer).status >> 1 & 0xFF == 8
    assert held.host.is_closed
    assert stored(held.rig, 0) == bytes(4096)
