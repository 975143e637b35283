"""What a worker may do by itself ends before anybody hears of what ended it, and begins again afterwards.

Each test keeps a worker reading and writing by itself, changes something in the owner, and looks at that very moment.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.nvme.host import HostConfig, HostNamespace
from stacks.nvme.stores import MemoryStore, create_image, open_store
from stacks.nvme.stores.file_layer import OsFile
from stacks.nvme.stores.sharing import Share
from stacks.nvme.target import Subsystem
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.held_stores import HoldingExecutor
from tests.stacks.nvme.tcp_raw import completion, outside, raw_io
from tests.stacks.nvme.transfers import SECOND
from tests.stacks.nvme.workers_rig import Right, WorkersRig
from wire.nvme.kinds import AnaState, TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import AdminOpcode, FeatureId, Fuse, IoOpcode
from wire.nvme.reservations import AcquireAction, ReservationType
from wire.nvme.status import StatusCode, status_code
from wire.nvme.tcp_codec import TcpHeader, TcpHostData, TcpReadyToTransfer

BLOCK = 4096
ONES, TWOS = memoryview(b"\1" * BLOCK), memoryview(b"\2" * BLOCK)
RECENTLY = SECOND // 20
"""Longer than it takes until what may be is granted."""


def begin(*, hosts: int = 1) -> tuple[WorkersRig, list[HostNamespace]]:
    """Hosts whose queues workers serve by themselves."""
    rig = WorkersRig(MemoryStore(1 << 20))
    namespaces = []
    for number in range(hosts):
        config = HostConfig(nqn=NQN, host_nqn=f"nqn.2026-11.io.baremetal:{number}", host_id=bytes([number + 1] * 16))
        namespaces.append(rig.connect(config).namespace())
    for namespace in namespaces:
        assert rig.is_direct(lambda ns=namespace: rig.do(ns.write(0, ONES)))  # type: ignore[misc]
    assert rig.rights == [Right.WRITE] * hosts
    return rig, namespaces


def read(rig: WorkersRig, namespace: HostNamespace, block: int = 0) -> int:
    return rig.do(namespace.read(block, memoryview(bytearray(BLOCK))))


def is_again(rig: WorkersRig, namespace: HostNamespace) -> bool:
    """Whether a worker does everything by itself again, a little later."""
    rig.run_for(RECENTLY)
    return rig.is_direct(lambda: (read(rig, namespace), rig.do(namespace.write(1, TWOS))))


INACCESSIBLE = AnaState.INACCESSIBLE
CHANGES: dict[str, tuple[Callable[[Subsystem], object], Callable[[Subsystem], object]]] = {
    "ana": (lambda s: s.set_ana_state(1, INACCESSIBLE), lambda s: s.set_ana_state(1, AnaState.NON_OPTIMIZED)),
    "visible": (lambda s: s.set_visible_to(1, ()), lambda s: s.set_visible_to(1, None)),
    "group": (lambda s: (s.set_ana_state(2, INACCESSIBLE), s.move_namespace(1, 2)), lambda s: s.move_namespace(1, 1)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_namespace_that_is_out_of_reach_is_so_at_once(name: str) -> None:
    rig, (namespace,) = begin()
    change, undo = CHANGES[name]
    change(rig.subsystem)
    assert rig.rights == []
    transfer = namespace.write(7, TWOS)
    rig.run_for(SECOND // 100)
    assert not (transfer.is_done and transfer.status == 0)
    held = bytearray(BLOCK)
    rig.subsystem.namespaces[1].store.read(7, memoryview(held))
    assert held == bytes(BLOCK)
    undo(rig.subsystem)
    rig.run_for(SECOND)
    if name != "visible":
        assert is_again(rig, namespace)


def test_what_is_written_after_a_namespace_is_out_of_reach_never_lands() -> None:
    rig, (namespace,) = begin()
    _, io = raw_io(rig)
    assert rig.rights == [Right.WRITE] * 2
    del namespace
    rig.subsystem.set_ana_state(1, INACCESSIBLE)
    status = io.status(IoOpcode.WRITE, sgl=outside(0), nsid=1)
    assert status == StatusCode.ANA_INACCESSIBLE
    assert io.status(IoOpcode.READ, sgl=outside(BLOCK), nsid=1) == StatusCode.ANA_INACCESSIBLE
    rig.subsystem.set_ana_state(1, AnaState.OPTIMIZED)
    rig.run_for(RECENTLY)
    assert rig.is_direct(lambda: io.status(IoOpcode.READ, sgl=outside(BLOCK), nsid=1))


def test_a_reservation_counts_from_the_moment_it_is_acquired() -> None:
    rig, (mine, other) = begin(hosts=2)
    assert rig.do(other.reservation_register(0xA)) == 0
    assert rig.rights == [], "with registrants nothing is done by workers"
    writes, after = [], []

    def acquired(_: object) -> None:
        # Every write of the other host that begins from here on has to fail.
        assert rig.rights == []
        after.extend(mine.write(block, TWOS) for block in range(8))

    rig.run_for(RECENTLY)
    for block in range(16):
        writes.append(mine.write(block, ONES))
    transfer = other.reservation_acquire(0xA, ReservationType.WRITE_EXCLUSIVE, done=acquired)
    rig.finish(transfer, *writes)
    rig.finish(*after)
    assert {each.status for each in after} == {StatusCode.RESERVATION_CONFLICT}
    assert rig.read(other, 0, 8) == bytes(ONES) * 8
    assert read(rig, mine) == 0
    assert rig.do(other.reservation_release(0xA, ReservationType.WRITE_EXCLUSIVE)) == 0
    assert rig.do(mine.write(0, TWOS)) == 0
    assert rig.rights == []


def test_whom_a_preemption_took_the_right_from_writes_nothing_more() -> None:
    rig, (holder, taker) = begin(hosts=2)
    assert rig.do(holder.reservation_register(0xA)) == 0
    assert rig.do(taker.reservation_register(0xB)) == 0
    assert rig.do(holder.reservation_acquire(0xA, ReservationType.EXCLUSIVE_ACCESS)) == 0
    late = []

    def taken(_: object) -> None:
        late.extend(holder.write(block, TWOS) for block in range(8))

    running = [holder.write(block, ONES) for block in range(16)]
    rig.run_for(20_000)
    action = AcquireAction.PREEMPT_AND_ABORT
    kind = ReservationType.EXCLUSIVE_ACCESS
    rig.finish(taker.reservation_acquire(0xB, kind, action=action, preempted_key=0xA, done=taken), *running)
    rig.finish(*late)
    assert {each.status for each in late} == {StatusCode.RESERVATION_CONFLICT}
    assert bytes(TWOS) not in rig.read(taker, 0, 8)


def test_a_shrunken_namespace_has_no_blocks_behind_its_end(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    create_image(str(image), 256 * BLOCK)
    rig = WorkersRig(open_store(str(image)))
    namespace = rig.namespace()
    assert rig.is_direct(lambda: rig.do(namespace.write(255, ONES)))
    store = rig.subsystem.namespaces[1].store
    store.resize(128 * BLOCK, may_shrink=True)
    assert rig.rights == [], "before the file is cut off"
    rig.subsystem.resize_namespace(1)
    transfer = namespace.write(255, TWOS)
    rig.finish(transfer)
    assert transfer.status == StatusCode.LBA_OUT_OF_RANGE
    assert image.stat().st_size == 128 * BLOCK
    assert is_again(rig, namespace)
    store.close()


def test_blocks_that_are_marked_cannot_be_read_until_they_are_written() -> None:
    rig, (namespace,) = begin()
    marks = namespace.write_uncorrectable(5, 1)
    rig.finish(marks)
    assert rig.rights == []
    assert read(rig, namespace, 5) == StatusCode.UNRECOVERED_READ_ERROR
    assert rig.do(namespace.write(5, ONES)) == 0
    assert read(rig, namespace, 5) == 0
    assert is_again(rig, namespace)


def test_without_a_write_cache_every_write_is_the_owners() -> None:
    rig = WorkersRig()
    admin, io = raw_io(rig)
    feature = FeatureId.VOLATILE_WRITE_CACHE
    assert admin.status(AdminOpcode.SET_FEATURES, cdw10=feature, cdw11=0) == 0
    assert Right.WRITE not in rig.rights
    write = {"sgl": outside(BLOCK), "nsid": 1}
    rig.run_for(RECENTLY)
    assert rig.rights == [Right.READ]
    assert rig.is_direct(lambda: io.status(IoOpcode.READ, **write))  # type: ignore[arg-type]
    io.send(io.capsule(IoOpcode.WRITE, **write))  # type: ignore[arg-type]
    assert rig.forwarded == 1
    assert admin.status(AdminOpcode.SET_FEATURES, cdw10=feature, cdw11=1) == 0
    rig.run_for(RECENTLY)
    assert rig.rights == [Right.WRITE]


def test_nobody_writes_between_the_halves_of_a_pair() -> None:
    rig = WorkersRig(MemoryStore(1 << 20), executor=HoldingExecutor)
    pairing, writing = rig.connect().namespace(), rig.connect().namespace()
    executor = rig.executor
    assert isinstance(executor, HoldingExecutor)
    assert rig.do(writing.write(5, ONES)) == 0
    executor.is_holding = True
    pair = pairing.compare_and_write(5, ONES, TWOS)
    rig.run_until(lambda: len(executor.held) == 1)
    assert rig.rights == [], "the pair has compared, or is about to"
    other = writing.write(5, memoryview(b"\3" * BLOCK))
    rig.run_for(SECOND // 10)
    assert not other.is_done
    executor.is_holding = False
    executor.release(rig.simulation.now)
    rig.target_host.wake()
    rig.finish(pair, other)
    assert (pair.status, other.status) == (0, 0)
    assert rig.read(writing, 5, 1) == b"\3" * BLOCK
    assert is_again(rig, writing)


def test_what_comes_behind_half_a_pair_goes_to_the_owner_who_waits_for_the_other() -> None:
    rig = WorkersRig()
    _, io = raw_io(rig)
    plain = io.capsule(IoOpcode.READ, sgl=outside(BLOCK), nsid=1)
    half = bytearray(io.capsule(IoOpcode.COMPARE, sgl=outside(BLOCK), nsid=1))
    half[TcpHeader.SIZE + 1] |= Fuse.FIRST
    io.send(plain, bytes(half), plain, plain)
    statuses = [status_code(completion(pdu).status) for pdu in io.take() if pdu.kind is TcpPduKind.COMPLETION]
    assert sorted(statuses) == [0, 0, 0, StatusCode.ABORTED_MISSING_FUSED]
    assert rig.forwarded == 2, "the half, and what came behind it"


@pytest.mark.parametrize("end", ["kick", "reset", "port", "namespace"])
def test_what_ends_an_association_or_a_namespace_ends_direct_io(end: str) -> None:
    rig, (namespace,) = begin()
    controller = rig.target.controllers[0]
    if end == "kick":
        assert rig.subsystem.disconnect_host(controller.host_nqn) == 1
    elif end == "reset":
        controller.configure(0x00460000)
    elif end == "port":
        rig.target.remove_port(rig.tcp_target.port)
    else:
        rig.subsystem.remove_namespace(1).store.close()
    assert rig.rights == []
    transfer = namespace.write(0, TWOS)
    rig.run_for(SECOND)
    assert not (transfer.is_done and transfer.status == 0)


def test_a_write_whose_data_comes_after_the_right_is_gone_is_the_owners() -> None:
    rig = WorkersRig()
    _, io = raw_io(rig)
    results = []
    for is_taken in (False, True):
        io.send(io.capsule(IoOpcode.WRITE, sgl=outside(BLOCK), nsid=1))
        asked = next(pdu.header for pdu in io.take() if pdu.kind is TcpPduKind.READY_TO_TRANSFER)
        assert isinstance(asked, TcpReadyToTransfer)
        if is_taken:
            rig.subsystem.set_ana_state(1, INACCESSIBLE)
            rig.run_for(SECOND // 100)
            assert io.take() == [], "its data comes first"
        header = TcpHostData(flags=TcpPduFlag.LAST, cid=asked.cid, ttag=asked.ttag, length=BLOCK)
        io.send(io.sealed(header, bytes(TWOS)))
        results.append(status_code(completion(io.take()[-1]).status))
    assert results == [0, StatusCode.ANA_INACCESSIBLE]
    assert rig.forwarded == 1


def test_a_write_that_became_the_owners_is_done_when_it_may_be() -> None:
    rig = WorkersRig()
    _, io = raw_io(rig)
    io.send(io.capsule(IoOpcode.WRITE, sgl=outside(BLOCK), nsid=1, cdw10=9))
    asked = next(pdu.header for pdu in io.take() if pdu.kind is TcpPduKind.READY_TO_TRANSFER)
    assert isinstance(asked, TcpReadyToTransfer)
    rig.subsystem.namespaces[1].mark_uncorrectable(0, 1)
    assert rig.rights == []
    io.run()
    header = TcpHostData(flags=TcpPduFlag.LAST, cid=asked.cid, ttag=asked.ttag, length=BLOCK)
    io.send(io.sealed(header, bytes(TWOS)))
    assert completion(io.take()[-1]).status == 0
    held = bytearray(BLOCK)
    rig.subsystem.namespaces[1].store.read(9, memoryview(held))
    assert held == TWOS
    assert rig.forwarded == 1


def broken(_: OsFile) -> None:
    """What a medium says that fails."""
    raise OSError(errno.EIO, "Input/output error")


def test_after_a_flush_that_failed_no_worker_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "disk.img"
    create_image(str(image), 256 * BLOCK)
    rig = WorkersRig(open_store(str(image)))
    namespace = rig.namespace()
    monkeypatch.setattr(OsFile, "sync", broken)
    assert rig.do(namespace.write(0, ONES)) == 0
    assert rig.do(namespace.flush()) == StatusCode.WRITE_FAULT
    assert rig.rights == []
    assert rig.do(namespace.write(0, ONES)) == StatusCode.WRITE_FAULT
    assert read(rig, namespace) == 0


def test_a_worker_that_does_not_answer_has_no_rights_left() -> None:
    rig, (namespace,) = begin()
    worker = next(each for each in rig.workers if each.taken)
    worker.kill()
    rig.subsystem.set_ana_state(1, INACCESSIBLE)
    assert rig.rights == []
    rig.run_until(lambda: rig.initiator.hosts[0].is_closed)
    assert rig.do(namespace.write(0, TWOS)) != 0


class Unshared(MemoryStore):
    """There are no files left to share it with."""

    def share(self) -> Share | None:
        raise OSError(errno.EMFILE, "too many open files")


def test_what_cannot_be_shared_is_the_owners_and_ends_nobody() -> None:
    rig = WorkersRig(Unshared(1 << 20))
    namespace = rig.namespace()
    assert rig.do(namespace.write(0, ONES)) == 0
    rig.run_for(RECENTLY)
    assert rig.read(namespace, 0, 1) == bytes(ONES)
    assert rig.rights == []
