"""Connections that workers move: the same I/O as without, whoever does it, and what is left when a worker dies."""

from __future__ import annotations

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.host import HostConfig
from stacks.nvme.stores import FaultyStore, MemoryStore, Store
from stacks.nvme.target import Subsystem
from tests.stacks.nvme.core_rig import NQN, connect_data
from tests.stacks.nvme.held_stores import HoldingExecutor
from tests.stacks.nvme.tcp_raw import RawHost, completion, in_capsule, outside, raw_io
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET
from tests.stacks.nvme.workers_rig import WorkersRig
from wire.nvme.kinds import TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import AdminOpcode, FabricsType, IoOpcode
from wire.nvme.status import StatusCode, status_code
from wire.nvme.tcp_codec import TcpHostData, TcpInitializeRequest, TcpReadyToTransfer

DATA = bytes(range(256)) * 4096
BLOCK = 4096


def unshared() -> Store:
    """A store that no other process can have."""
    return FaultyStore(MemoryStore(4 << 20), [])


STORES = [pytest.param(lambda: MemoryStore(4 << 20), id="direct"), pytest.param(unshared, id="forwarded")]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("digests", [0, 1, 2, 3])
@pytest.mark.parametrize("in_capsule_bytes", [0, 8192])
def test_io_over_workers_is_what_it_is_without(store, digests: int, in_capsule_bytes: int) -> None:  # type: ignore[no-untyped-def]
    rig = WorkersRig(
        store(),
        initiator=TcpInitiatorConfig(digests=digests),
        target=TcpTargetConfig(in_capsule_bytes=in_capsule_bytes),
        seed=digests + 1,
    )
    namespace = rig.namespace(io_queues=4)
    assert rig.taken == [2, 2]
    writes = [namespace.write(at, memoryview(DATA)[at * BLOCK : (at + 2) * BLOCK]) for at in range(0, 64, 2)]
    large = namespace.write(128, memoryview(DATA)[: 1 << 20])
    rig.finish(*writes, large)
    assert {transfer.status for transfer in (*writes, large)} == {0}
    into = [bytearray(BLOCK) for _ in range(64)]
    reads = [namespace.read(block, memoryview(each)) for block, each in enumerate(into)]
    rig.finish(*reads)
    assert b"".join(into) == DATA[: 64 * BLOCK]
    assert rig.read(namespace, 128, 256) == DATA[: 1 << 20]
    assert rig.do(namespace.flush()) == 0
    assert rig.do(namespace.write_zeroes(3, 1)) == 0
    assert rig.read(namespace, 3, 1) == bytes(BLOCK)
    rig.run_for(SECOND // 10)
    for worker in rig.workers:
        pool = worker.core.port.pool
        assert pool.free_buffers == rig.tcp_target.port.pool.free_buffers == 4096 + 256 + 32


def test_plain_reads_and_writes_do_not_reach_the_owner_and_everything_else_does() -> None:
    rig = WorkersRig()
    namespace = rig.namespace()
    data = memoryview(DATA)[: 2 * BLOCK]
    assert rig.is_direct(lambda: rig.do(namespace.write(0, data)))
    assert rig.is_direct(lambda: rig.do(namespace.write(0, memoryview(DATA)[: 64 * BLOCK])))
    assert rig.is_direct(lambda: rig.read(namespace, 0, 2))
    assert not rig.is_direct(lambda: rig.do(namespace.flush()))
    assert not rig.is_direct(lambda: rig.do(namespace.write(0, data, is_fua=True)))
    assert not rig.is_direct(lambda: rig.do(namespace.compare(0, data)))
    assert not rig.is_direct(lambda: rig.do(namespace.deallocate([(0, 1)])))


def test_what_is_wrong_is_told_by_the_owner_who_logs_it() -> None:
    rig = WorkersRig()
    admin, io = raw_io(rig)
    past = {"nsid": 1, "cdw10": 255, "cdw12": 1}
    assert io.status(IoOpcode.READ, sgl=outside(2 * BLOCK), **past) == StatusCode.LBA_OUT_OF_RANGE
    assert io.status(IoOpcode.READ, sgl=outside(BLOCK), nsid=9) == StatusCode.INVALID_FIELD
    assert io.status(IoOpcode.READ, sgl=outside(512), nsid=1) == StatusCode.INVALID_SGL_DATA_LENGTH
    assert io.status(0x99) == StatusCode.INVALID_OPCODE
    wrong = io.status(IoOpcode.WRITE, sgl=in_capsule(512, offset=8), data=bytes(512), nsid=1)
    assert wrong == StatusCode.INVALID_SGL_OFFSET
    assert rig.target.controllers[0].errors.count == 5
    assert io.status(IoOpcode.READ, sgl=outside(BLOCK), nsid=1) == 0
    assert not admin.is_closed


def test_sq_head_counts_direct_and_forwarded_commands_alike() -> None:
    rig = WorkersRig()
    _, io = raw_io(rig, entries=5)
    heads = []
    for number in range(8):
        opcode, sgl = (IoOpcode.READ, outside(BLOCK)) if number % 2 else (IoOpcode.FLUSH, outside(0))
        io.send(io.capsule(opcode, sgl=sgl, nsid=1))
        heads.append(io.take()[-1])
    sqhd = [int.from_bytes(each.raw[16:18], "little") for each in heads]
    assert sqhd == [2, 3, 4, 0, 1, 2, 3, 4]


def test_smart_counts_what_workers_do() -> None:
    rig = WorkersRig()
    namespace = rig.namespace()
    for _ in range(3):
        assert rig.do(namespace.write(0, memoryview(DATA)[: 4 * BLOCK])) == 0
    rig.read(namespace, 0, 4)
    rig.target.collect()
    counted = rig.subsystem.namespaces[1]
    assert (counted.reads, counted.writes) == (1, 3)
    assert (counted.bytes_read, counted.bytes_written) == (4 * BLOCK, 12 * BLOCK)
    assert rig.tcp_target.counters.responses_sent == rig.tcp_target.counters.capsules_received - 1, "one waits"


def test_busy_time_is_that_of_workers_too() -> None:
    rig = WorkersRig()
    _, io = raw_io(rig)
    before, began = rig.subsystem.busy_time.total_ns, rig.simulation.now
    for _ in range(100):
        io.send(io.capsule(IoOpcode.READ, sgl=outside(BLOCK), nsid=1))
    busy_ns = rig.simulation.now - began
    rig.run_for(SECOND)
    rig.target.tick(rig.simulation.now)
    assert 0.9 * busy_ns < rig.subsystem.busy_time.total_ns - before < 1.1 * busy_ns
    assert rig.forwarded == 0


def test_reads_that_only_a_worker_sees_keep_a_host_alive() -> None:
    rig = WorkersRig()
    admin, io = RawHost(rig), RawHost(rig, "192.0.2.8")
    admin.initialize()
    cntlid = admin.connect(kato_ms=2000).dw0
    admin.enable()
    io.initialize()
    assert io.connect(qid=1, cntlid=cntlid).status == 0
    for _ in range(20):
        io.send(io.capsule(IoOpcode.READ, sgl=outside(BLOCK), nsid=1))
        io.run(SECOND)
    assert not io.is_closed
    assert rig.forwarded == 0
    admin.run(5 * SECOND)
    assert io.is_closed
    assert rig.target.keep_alive_expirations == 1


def test_a_worker_that_dies_takes_its_connections_and_nothing_else() -> None:
    rig = WorkersRig(workers=2)
    first, second = rig.connect(), rig.connect()
    assert rig.taken == [1, 1]
    assert rig.do(first.namespace().write(5, memoryview(DATA)[:BLOCK])) == 0
    assert rig.do(second.namespace().flush()) == 0
    rig.workers[0].kill()
    rig.run_until(lambda: first.is_closed)
    assert second.is_live
    assert rig.read(second.namespace(), 5, 1) == DATA[:BLOCK]
    assert len(rig.rights) == 1
    rig.workers.append(rig.add_worker("worker-2"))
    third = rig.namespace()
    assert rig.taken == [1, 1, 1]
    assert rig.read(third, 5, 1) == DATA[:BLOCK]


def test_with_no_worker_left_the_owner_serves_new_connections_itself() -> None:
    rig = WorkersRig(workers=1)
    rig.namespace()
    rig.workers[0].kill()
    rig.run_until(lambda: rig.initiator.hosts[0].is_closed)
    namespace = rig.namespace()
    assert rig.do(namespace.write(5, memoryview(DATA)[:BLOCK])) == 0
    assert rig.read(namespace, 5, 1) == DATA[:BLOCK]
    assert rig.taken == [1]


def test_a_drain_answers_what_is_under_way_in_workers() -> None:
    rig = WorkersRig(unshared(), executor=HoldingExecutor)
    namespace = rig.namespace()
    assert isinstance(rig.executor, HoldingExecutor)
    rig.executor.is_holding = True
    reads = [namespace.read(block, memoryview(bytearray(BLOCK))) for block in range(8)]
    rig.run_until(lambda: len(rig.executor.held) == 8)
    rig.tcp_target.drain()
    rig.target_host.wake()
    rig.run_for(SECOND // 2)
    assert not rig.tcp_target.is_drained
    rig.executor.release(rig.simulation.now)
    rig.target_host.wake()
    rig.run_until(lambda: rig.tcp_target.is_drained)
    assert {read.status for read in reads} == {0}
    assert [worker.core.queue_count for worker in rig.workers] == [0, 0]


def test_a_host_that_takes_nothing_does_not_hold_up_another_of_the_same_worker() -> None:
    rig = WorkersRig(MemoryStore(4 << 20), workers=1)
    _, slow = raw_io(rig)
    slow.core.is_reading = False
    slow.core.output += [slow.capsule(IoOpcode.READ, sgl=outside(1 << 20), nsid=1, cdw12=255) for _ in range(8)]
    slow.run()
    namespace = rig.namespace()
    before = rig.simulation.now
    for block in range(64):
        assert rig.do(namespace.write(block, memoryview(DATA)[:BLOCK])) == 0
        assert rig.read(namespace, block, 1) == DATA[:BLOCK]
    assert rig.do(namespace.flush()) == 0
    assert rig.simulation.now - before < SECOND // 10


@pytest.mark.parametrize("store", STORES)
def test_disconnect_is_the_last_answer_of_a_queue(store) -> None:  # type: ignore[no-untyped-def]
    rig = WorkersRig(store())
    _, io = raw_io(rig)
    io.core.output += [io.capsule(IoOpcode.READ, sgl=outside(BLOCK), nsid=1) for _ in range(4)]
    io.core.output.append(io.capsule(IoOpcode.WRITE, sgl=outside(16 * BLOCK), nsid=1, cdw12=15))
    io.run()
    asked = next(pdu.header for pdu in io.take() if pdu.kind is TcpPduKind.READY_TO_TRANSFER)
    assert isinstance(asked, TcpReadyToTransfer)
    io.send(io.capsule(AdminOpcode.FABRICS, nsid=FabricsType.DISCONNECT))
    assert io.take() == [], "the write waits for its data"
    header = TcpHostData(flags=TcpPduFlag.LAST, cid=asked.cid, ttag=asked.ttag, length=16 * BLOCK)
    io.send(io.sealed(header, bytes(16 * BLOCK)))
    write, disconnect = map(completion, io.take())
    assert write.cid == asked.cid
    assert status_code(write.status) in (StatusCode.ABORTED_SQ_DELETION, StatusCode.COMMAND_SEQUENCE_ERROR)
    assert (disconnect.cid, disconnect.status) == (io.cid, 0)
    rig.run_until(lambda: io.is_closed)
    assert rig.tcp_target.queue_count == 1


def test_hosts_of_another_subsystem_and_admin_queues_stay_with_the_owner() -> None:
    rig = WorkersRig()
    rig.target.add_subsystem(Subsystem("nqn.2026-11.io.baremetal:other"))
    host = rig.connect(HostConfig(nqn="nqn.2026-11.io.baremetal:other", io_queues=1))
    assert host.is_live
    rig.connect(HostConfig(nqn=NQN, io_queues=3))
    assert sum(rig.taken) == 4
    assert rig.world  # two associations, one admin queue each, which nobody was given
    assert rig.tcp_target.queue_count == 6
    rig.world.cut(INITIATOR)
    rig.run_until(lambda: rig.tcp_target.queue_count == 0)
    assert TARGET in str(rig.target_host.address)


def test_a_connection_whose_controller_is_shut_down_before_it_is_handed_over_stays_and_is_heard() -> None:
    rig = WorkersRig(capacity_bytes=16)
    admin, io = RawHost(rig), RawHost(rig, "192.0.2.8")

    def send(host: RawHost, *raw: bytes) -> None:
        host.core.output += raw
        host.run(SECOND // 100)

    def connect(host: RawHost, qid: int, cntlid: int) -> None:
        send(host, TcpInitializeRequest().encode())
        host.take()
        data = connect_data(cntlid=cntlid, nqn=NQN)
        host.core.is_reading = not qid
        fields = {"nsid": FabricsType.CONNECT, "cdw10": qid << 16, "cdw11": 31}
        send(host, host.capsule(AdminOpcode.FABRICS, sgl=in_capsule(1024), data=data, **fields))

    connect(admin, 0, 0xFFFF)
    cntlid = completion(admin.take()[-1]).dw0
    rig.target.controllers[0].configure(0x00460001)
    connect(io, 1, cntlid)
    rig.target.controllers[0].configure(0x00464001)
    assert rig.tcp_target.queue_count == 2
    assert rig.taken == [0, 0], "the host has yet to take all of the answer"
    io.core.is_reading = True
    io.run(SECOND // 100)
    assert completion(io.take()[-1]).status == 0
    send(io, io.capsule(IoOpcode.READ, sgl=outside(BLOCK), nsid=1))
    assert status_code(completion(io.take()[-1]).status) == StatusCode.COMMAND_SEQUENCE_ERROR
    assert rig.taken == [0, 0]
