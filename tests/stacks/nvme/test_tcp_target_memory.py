"""A target's memory: what is on its way stays as it is, what was given back is left alone, and no host has too much."""

from __future__ import annotations

import tracemalloc
from typing import Self

import pytest

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.held_stores import CopyingStore, HoldingExecutor
from tests.stacks.nvme.tcp_raw import MILLISECOND, RawHost, completion, in_capsule, outside, raw_io
from tests.stacks.nvme.tcp_rig import SECOND, TcpRig
from tests.wire.nvme.tcp_pdus import Pdu
from wire.nvme.kinds import TcpDigest, TcpPduKind
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.tcp_codec import TcpHostData

OLD, NEW = b"o" * 4096, b"n" * 4096
NO_FLOW_CONTROL = 4


def store_of(rig: TcpRig) -> MemoryStore:
    store = rig.subsystem.namespaces[1].store
    assert isinstance(store, MemoryStore)
    return store


def stored(rig: TcpRig, block: int) -> bytes:
    content = bytearray(4096)
    store_of(rig).read(block, memoryview(content))
    return bytes(content)


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


class Held:
    """A rig whose store does nothing until it is told to, and a host with a large queue."""

    def __init__(self, *, entries: int = 256, **config: int) -> None:
        self.rig = TcpRig(
            MemoryStore(16 << 20),
            executor=HoldingExecutor,
            target=TcpTargetConfig(**config),  # type: ignore[arg-type]
        )
        self.executor: HoldingExecutor = self.rig.executor  # type: ignore[assignment]
        self.admin, self.host = raw_io(self.rig, entries=entries)
        self.executor.is_holding = True

    def write(self, block: int, *, length: int = 8192) -> bytes:
        """A capsule that writes what is like no other block's content."""
        data = block.to_bytes(4, "little") * (length // 4)
        return self.host.capsule(IoOpcode.WRITE, sgl=in_capsule(length), data=data, nsid=1, cdw10=block * 2, cdw12=1)

    def release(self) -> None:
        """Run everything, and whatever comes."""
        self.executor.is_holding = False
        self.executor.release(self.rig.simulation.now)
        self.rig.target_host.wake()
        self.host.run(100 * MILLISECOND)

    def check(self, blocks: int) -> None:
        """All blocks hold what was written to them."""
        for block in range(blocks):
            assert stored(self.rig, block * 2) == block.to_bytes(4, "little") * 1024


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


class Traced:
    """Counts what Python's objects take, as long as it lasts."""

    def __enter__(self) -> Self:
        tracemalloc.start()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    @property
    def grown_bytes(self) -> int:
        """How much more there is now."""
        return tracemalloc.get_traced_memory()[0] - self._before


# Hosts that do not read, or do not send


class Crowded:
    """A target with few buffers, and a store that needs one for each read."""

    def __init__(self, **config: object) -> None:
        self.rig = TcpRig(
            CopyingStore(4 << 20),
            capacity_bytes=1 << 14,
            target=TcpTargetConfig(shelves=((8 << 10, 16), (128 << 10, 4)), **config),  # type: ignore[arg-type]
        )
        self.pool = self.rig.tcp_target.port.pool

    def host(self, number: int) -> RawHost:
        """One more I/O queue."""
        return raw_io(self.rig, f"192.0.2.{number}", cattr=NO_FLOW_CONTROL)[1]

    def fill(self, host: RawHost, count: int = 30) -> None:
        """Have the host read, and not take the answers."""
        host.core.is_reading = False
        host.send(*(host.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1) for _ in range(count)))

    def read(self, host: RawHost) -> list[Pdu]:
        """Have the host read, and wait for the answer."""
        host.send(host.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1))
        self.rig.run_until(lambda: len(host.pdus) > 2, timeout_ns=40 * SECOND)
        return host.pdus[2:]


def test_a_host_that_does_not_read_holds_others_up_for_no_longer_than_patience_under_pressure() -> None:
    crowded = Crowded()
    slow, slower, brisk = crowded.host(11), crowded.host(12), crowded.host(13)
    crowded.fill(slow)
    crowded.fill(slower)
    assert not crowded.pool.has_room(8192)
    before = crowded.rig.simulation.now
    [answer] = crowded.read(brisk)
    assert answer.data == bytes(8192)
    assert crowded.rig.simulation.now - before < 4 * SECOND
    assert 1 <= crowded.rig.tcp_target.counters.connections_stalled <= 2
    assert not brisk.is_closed


def test_a_host_that_does_not_read_is_ended_after_a_while_even_if_nobody_waits() -> None:
    crowded = Crowded()
    slow = crowded.host(11)
    before = crowded.rig.simulation.now
    crowded.fill(slow, 8)
    crowded.rig.run_until(lambda: crowded.rig.tcp_target.queue_count == 1, timeout_ns=100 * SECOND)
    assert 29 * SECOND < crowded.rig.simulation.now - before < 33 * SECOND
    assert crowded.pool.free_buffers == 20
    assert crowded.rig.tcp_target.counters.connections_stalled == 1
    assert crowded.rig.tcp_target.counters.connections_lost == 1


def test_a_host_that_reads_slowly_but_steadily_is_not_ended_even_if_others_wait() -> None:
    crowded = Crowded()
    slow, slower, brisk = crowded.host(11), crowded.host(12), crowded.host(13)
    crowded.fill(slow, 30)
    crowded.fill(slower, 30)
    assert not crowded.pool.has_room(8192)
    brisk.core.output.append(brisk.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1))
    for _ in range(40):
        for host in (slow, slower):
            host.core.is_reading = True
            host.run(1)
            host.core.is_reading = False
        brisk.run(SECOND // 2)
    for host in (slow, slower):
        host.core.is_reading = True
        host.run(SECOND)
        assert len([each for each in host.pdus if each.kind is TcpPduKind.CONTROLLER_DATA]) == 30
    assert len(brisk.pdus) == 3
    assert crowded.rig.tcp_target.counters.connections_stalled == 0


def test_a_host_that_reads_a_little_at_a_time_is_ended_when_what_it_asked_for_is_too_old() -> None:
    crowded = Crowded(patience_ns=5 * SECOND)
    slow = crowded.host(11)
    crowded.fill(slow, 30)
    before = crowded.rig.simulation.now
    for _ in range(20):
        # The smallest reading that there is frees room for a few thousand bytes at most.
        slow.core.is_reading = True
        slow.run(1)
        slow.core.is_reading = False
        slow.run(SECOND)
    assert slow.is_closed or crowded.rig.tcp_target.queue_count == 1
    assert crowded.rig.tcp_target.counters.connections_stalled == 1
    assert crowded.rig.simulation.now - before >= 5 * SECOND


def test_a_host_that_does_not_send_what_it_was_asked_for_gives_the_buffer_back() -> None:
    crowded = Crowded()
    slow, brisk = crowded.host(11), crowded.host(12)
    slow.send(*(slow.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(6)))
    assert [each.kind for each in slow.take()] == [TcpPduKind.READY_TO_TRANSFER] * 2
    other = crowded.host(13)
    other.send(*(other.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(6)))
    before = crowded.rig.simulation.now
    brisk.send(brisk.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
    crowded.rig.run_until(lambda: len(brisk.pdus) > 2, timeout_ns=40 * SECOND)
    assert crowded.rig.simulation.now - before < 5 * SECOND
    request = brisk.pdus[2]
    header = TcpHostData(flags=4, cid=request.field("cid"), ttag=request.field("ttag"), length=65536)
    brisk.send(brisk.sealed(header, bytes(65536)))
    brisk.run(SECOND)
    assert completion(brisk.pdus[3]).status == 0
    crowded.rig.run_for(60 * SECOND)
    assert slow.is_closed
    assert other.is_closed
    assert not brisk.is_closed
    assert crowded.pool.free_buffers == 20


def test_a_host_in_the_middle_of_sending_is_not_ended_while_it_gets_on() -> None:
    crowded = Crowded()
    slow, brisk, other = crowded.host(11), crowded.host(12), crowded.host(13)
    writes = {}
    for host in (slow, other):
        host.send(*(host.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(2)))
        writes[host] = [each for each in host.pdus if each.kind is TcpPduKind.READY_TO_TRANSFER]
    brisk.send(brisk.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
    for piece in range(16):
        for host, requests in writes.items():
            for each in requests:
                header = TcpHostData(
                    flags=4 if piece == 15 else 0,
                    cid=each.field("cid"),
                    ttag=each.field("ttag"),
                    offset=piece * 4096,
                    length=4096,
                )
                host.send(host.sealed(header, bytes(4096)))
        slow.run(SECOND)
    assert crowded.rig.tcp_target.counters.connections_stalled == 0
    assert len(brisk.pdus) == 3


@pytest.mark.slow
def test_many_hosts_that_do_not_read_leave_memory_and_others_alone() -> None:
    crowded = Crowded()
    brisk = crowded.host(10)
    slow = [crowded.host(number) for number in range(11, 25)]
    with Traced() as traced:
        for host in slow:
            crowded.fill(host, 60)
        for _ in range(3):
            before = crowded.rig.simulation.now
            crowded.read(brisk)
            assert crowded.rig.simulation.now - before < 4 * SECOND
        assert traced.grown_bytes < 14 << 20
    crowded.rig.run_for(40 * SECOND)
    assert crowded.rig.tcp_target.counters.connections_stalled == 14
    assert crowded.pool.free_buffers == 20


def test_a_host_that_does_not_read_is_not_read_from_once_enough_waits_for_it() -> None:
    rig = TcpRig(MemoryStore(4 << 20), capacity_bytes=1 << 14)
    _, host = raw_io(rig, entries=256, cattr=NO_FLOW_CONTROL)
    host.core.is_reading = False
    for _ in range(8):
        host.send(*(host.capsule(IoOpcode.READ, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(8)))
    before = rig.tcp_target.counters.capsules_received
    host.send(*(host.capsule(IoOpcode.READ, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(8)))
    assert rig.tcp_target.counters.capsules_received == before
    assert before < 40
    host.core.is_reading = True
    host.run(5 * SECOND)
    assert len([each for each in host.pdus if each.kind is TcpPduKind.CONTROLLER_DATA]) == 72
    assert host.termination is None


# Hosts that do not say anything


def test_a_connection_without_a_word_is_ended_in_time() -> None:
    rig = TcpRig()
    host = RawHost(rig)
    before = rig.simulation.now
    rig.run_until(lambda: rig.target_host.streams.connection_count == 0, timeout_ns=60 * SECOND)
    assert 9 * SECOND < rig.simulation.now - before < 13 * SECOND
    assert host.is_closed


@pytest.mark.parametrize("word", [b"\0", b"\0\0\x80\0\x80\0\0", b"\0\0\x80\0\x80\0\0\0" + bytes(100)])
def test_half_an_icreq_is_no_better(word: bytes) -> None:
    rig = TcpRig()
    host = RawHost(rig)
    host.send(word)
    rig.run_for(13 * SECOND)
    assert host.is_closed
    assert rig.tcp_target.queue_count == 0


def test_connections_without_connect_are_few_for_one_address_and_in_all() -> None:
    rig = TcpRig(target=TcpTargetConfig(pending_per_host=4, pending_max=10))
    known = rig.namespace()
    silent = [RawHost(rig, f"192.0.2.{20 + number}") for number in range(3)]
    for host in silent:
        for _ in range(6):
            host.end.connects.append((type(host.core)(), ("192.0.2.1", 4420)))
        host.run()
    assert rig.tcp_target.queue_count == 2 + 10
    assert rig.tcp_target.counters.connections_rejected == 21 - 10
    assert rig.read(known, 0, 1) == bytes(4096)
    rig.run_for(20 * SECOND)
    assert rig.tcp_target.queue_count == 2
    assert rig.connect().is_live


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


