"""Preempt and Abort: what the preempted hosts have under way ends before it reaches a store, or is waited for."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.reservations import MemoryReservations
from stacks.nvme.target import Command
from tests.stacks.nvme.core_rig import sqe
from tests.stacks.nvme.reservation_rig import BLOCK, KEY_A, KEY_B, KEY_C, Hosts, ReservationRig, keys, three_hosts
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.reservations import AcquireAction, PersistenceChange, ReservationType
from wire.nvme.reservations_codec import ReservationRegisterData
from wire.nvme.status import StatusCode

ABORTED, CONFLICT = StatusCode.ABORTED_PREEMPT, StatusCode.RESERVATION_CONFLICT
WE, EA, WE_RO = ReservationType.WRITE_EXCLUSIVE, ReservationType.EXCLUSIVE_ACCESS, ReservationType(3)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(1 << 20)


@pytest.fixture
def rig(store: MemoryStore) -> ReservationRig:
    return ReservationRig(store, MemoryStore(1 << 20))


@pytest.fixture
def hosts(rig: ReservationRig) -> Hosts:
    a, b, c = three_hosts(rig)
    assert b.acquire(KEY_B, WE_RO) == 0
    return a, b, c


def is_written(store: MemoryStore, block: int = 0) -> bool:
    found = bytearray(4096)
    store.read(block, memoryview(found))
    return found == BLOCK


def test_a_write_that_no_executor_has_seen_is_aborted(hosts: Hosts, store: MemoryStore) -> None:
    a, b, _ = hosts
    cid = b.io.send(sqe(IoOpcode.WRITE, nsid=1), data=BLOCK, in_capsule=True)
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert (a.io.status(done), b.io.status(cid)) == (0, ABORTED)
    assert not is_written(store)


def test_a_write_whose_data_is_on_its_way_is_aborted_when_that_comes_and_holds_nobody_up(
    hosts: Hosts, rig: ReservationRig, store: MemoryStore
) -> None:
    a, b, _ = hosts
    rig.is_fetching = False
    cid = b.begin_write()
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert (a.io.status(done), b.io.status(cid)) == (0, None)
    rig.is_fetching = True
    # Even when the host has registered again meanwhile, this was sent before.
    assert b.register(KEY_B) == 0
    assert a.release(KEY_A, EA) == 0
    assert b.io.status(cid) == ABORTED
    assert not is_written(store)


def test_a_write_whose_data_nobody_has_asked_for_is_aborted(hosts: Hosts, store: MemoryStore) -> None:
    a, b, _ = hosts
    cid = b.io.send(sqe(IoOpcode.WRITE, nsid=1), data=BLOCK)
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert (a.io.status(done), b.io.status(cid)) == (0, ABORTED)
    assert not is_written(store)


def test_what_a_store_has_is_waited_for(hosts: Hosts, rig: ReservationRig, store: MemoryStore) -> None:
    a, b, c = hosts
    rig.is_storing = False
    writing, reading = b.begin_write(in_capsule=True), b.io.send(sqe(IoOpcode.READ, nsid=1), expect=4096)
    rig.pump()
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert a.io.status(done) is None
    # The reservation itself is in force already.
    assert c.read() == CONFLICT
    rig.stored()
    rig.pump()
    assert [b.io.status(cid) for cid in (writing, reading)] == [0, 0]
    assert a.io.status(done) == 0
    assert is_written(store)


def test_what_goes_to_a_store_in_pieces_does_not_go_on(hosts: Hosts, rig: ReservationRig) -> None:
    a, b, _ = hosts
    rig.is_storing = False
    cid = b.io.send(sqe(IoOpcode.COMPARE, nsid=1, cdw12=31), data=bytes(32 * 4096))
    rig.pump()
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert (len(rig.storing), a.io.status(done)) == (1, None)
    rig.stored()
    rig.pump()
    assert (a.io.status(done), b.io.status(cid), rig.storing) == (0, ABORTED, [])


def test_what_waits_for_memory_is_aborted(hosts: Hosts, rig: ReservationRig) -> None:
    a, b, _ = hosts
    rig.is_fetching = False
    entry = sqe(IoOpcode.WRITE, nsid=1, cdw12=31)
    cids = [b.io.send(entry, data=BLOCK * 32) for _ in range(8)]
    rig.pump()
    # A queue may have half of the large buffers; the rest waits.
    assert (len(rig.fetching), len(rig.port.waiting)) == (4, 4)
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert a.io.status(done) == 0
    assert [b.io.status(cid) for cid in cids] == [None] * 4 + [ABORTED] * 4
    rig.is_fetching = True
    rig.pump()
    assert [b.io.status(cid) for cid in cids] == [ABORTED] * 8
    assert len(rig.port.waiting) == 0


def test_every_queue_of_every_controller_is_looked_at_and_nothing_else(
    rig: ReservationRig, store: MemoryStore
) -> None:
    a, b, c = rig.host("a"), rig.host("b", controllers=3), rig.host("c")
    for node, key in ((a, KEY_A), (b, KEY_B), (c, KEY_C)):
        node.register(key)
    b.acquire(KEY_B, WE_RO)
    rig.is_fetching = False
    doomed = [(io, b.begin_write(io=io, block=index)) for index, io in enumerate(b.ios)]
    other = b.io.send(sqe(IoOpcode.WRITE, nsid=2), data=BLOCK)
    innocent = a.begin_write(block=9)
    bystander = c.begin_write(block=10)
    event = b.await_event()
    assert a.begin_abort(KEY_A, KEY_B, WE_RO) in a.io.answers
    rig.is_fetching = True
    rig.pump()
    assert [io.status(cid) for io, cid in doomed] == [ABORTED] * 3
    assert (b.io.status(other), a.io.status(innocent), c.io.status(bystander)) == (0, 0, 0)
    assert b.admin.answers[event].status == 0
    assert [is_written(store, block) for block in (0, 1, 2, 9, 10)] == [False] * 3 + [True] * 2


@pytest.mark.parametrize("which", ["both", "admin queue"])
def test_a_write_that_a_store_still_has_for_a_lost_connection_is_waited_for(
    hosts: Hosts, rig: ReservationRig, store: MemoryStore, which: str
) -> None:
    a, b, _ = hosts
    rig.is_storing = False
    b.begin_write(in_capsule=True)
    rig.is_fetching = False
    b.begin_write()
    if which == "both":
        b.lose()
    else:
        # The I/O queue is about to be closed, and its controller is gone already.
        b.admin.queue.closed()
    done = a.begin_abort(KEY_A, KEY_B, EA)
    assert a.io.status(done) is None
    rig.stored()
    rig.pump()
    assert a.io.status(done) == 0
    assert is_written(store)


def test_a_command_object_that_was_used_before_is_judged_by_where_it_is_now(
    hosts: Hosts, rig: ReservationRig, store: MemoryStore
) -> None:
    a, b, _ = hosts
    command = Command()
    flush = b.io.send(sqe(IoOpcode.FLUSH, nsid=1), command=command)
    rig.pump()
    assert b.io.status(flush) == 0
    rig.is_fetching = False
    b.io.send(sqe(IoOpcode.WRITE, nsid=1), data=BLOCK, command=command)
    rig.pump()
    assert a.io.status(a.begin_abort(KEY_A, KEY_B, EA)) == 0
    rig.is_fetching = True
    rig.pump()
    assert not is_written(store)


def test_nothing_is_kept_of_connections_that_went_with_nothing_at_a_store(rig: ReservationRig) -> None:
    a = rig.host("a")
    rig.is_fetching = False
    a.begin_write()
    a.lose()
    rig.is_fetching = True
    rig.fetching.clear()
    assert list(rig.subsystem.sharing.queues_of({a.host_id})) == []
    again = rig.host("a")
    assert list(rig.subsystem.sharing.queues_of({a.host_id})) == [again.io.queue]


def test_a_plain_preempt_aborts_nothing(hosts: Hosts, rig: ReservationRig, store: MemoryStore) -> None:
    a, b, _ = hosts
    rig.is_fetching = False
    late = b.begin_write(block=1)
    held, rig.fetching = rig.fetching, []
    rig.is_fetching, rig.is_storing = True, False
    begun = b.begin_write(in_capsule=True)
    cid = a.begin_abort(KEY_A, KEY_B, EA, action=AcquireAction.PREEMPT)
    # It does not wait for the store either.
    assert a.io.status(cid) == 0
    rig.is_storing = True
    rig.fetching = held
    rig.pump()
    assert (b.io.status(begun), b.io.status(late)) == (0, CONFLICT)
    assert (is_written(store), is_written(store, 1)) == (True, False)


def test_an_abort_that_fails_aborts_nothing(hosts: Hosts, rig: ReservationRig, store: MemoryStore) -> None:
    a, b, _ = hosts
    rig.is_fetching = False
    cid = b.begin_write()
    done = a.begin_abort(KEY_A, 0xDEAD, EA)
    assert a.io.status(done) == CONFLICT
    rig.is_fetching = True
    rig.pump()
    assert b.io.status(cid) == 0
    assert is_written(store)


def test_the_preempting_host_does_not_abort_itself(rig: ReservationRig, store: MemoryStore) -> None:
    a, b = rig.host("a", controllers=2), rig.host("b")
    a.register(KEY_A)
    b.register(KEY_A)
    b.acquire(KEY_A, WE_RO)
    rig.is_fetching = False
    mine, other = a.begin_write(io=a.ios[1]), b.begin_write(block=1)
    done = a.begin_abort(KEY_A, KEY_A, EA)
    rig.is_fetching = True
    rig.pump()
    assert (a.io.status(done), a.ios[1].status(mine), b.io.status(other)) == (0, 0, ABORTED)
    assert (is_written(store), is_written(store, 1)) == (True, False)


def test_a_reservation_command_that_waits_for_its_turn_is_aborted(store: MemoryStore) -> None:
    rig = ReservationRig(store, kept=MemoryReservations())
    a, b, c = three_hosts(rig)
    assert c.register(KEY_C, persistence=PersistenceChange.SET) == 0
    rig.is_storing = False
    first = c.send_register(0xCC, current=KEY_C, action=2)
    done = a.begin_abort(KEY_A, KEY_B, EA)
    again = b.send_register(KEY_B)
    feature = b.admin.send(sqe(AdminOpcode.SET_FEATURES, nsid=1, cdw10=0x83, cdw11=1))
    rig.pump()
    assert [c.io.status(first), a.io.status(done), b.io.status(again)] == [None, None, None]
    rig.stored()
    rig.pump()
    assert [c.io.status(first), a.io.status(done), b.io.status(again)] == [0, None, None]
    rig.stored()
    rig.pump()
    assert [a.io.status(done), b.io.status(again), b.admin.status(feature)] == [0, ABORTED, 0]
    assert keys(a) == [KEY_A, 0xCC]


def test_keys_of_a_preempted_host_that_are_on_their_way_are_aborted(hosts: Hosts, rig: ReservationRig) -> None:
    a, b, _ = hosts
    rig.is_fetching = False
    cid = b.io.send(sqe(IoOpcode.RESERVATION_REGISTER, nsid=1), data=ReservationRegisterData(nrkey=KEY_B).encode())
    rig.pump()
    a.begin_abort(KEY_A, KEY_B, EA)
    rig.is_fetching = True
    rig.pump()
    assert b.io.status(cid) == ABORTED
    assert keys(a) == [KEY_A, KEY_C]


def test_two_aborts_at_once_both_wait_for_the_same_store(hosts: Hosts, rig: ReservationRig) -> None:
    a, b, c = hosts
    rig.is_storing = False
    b.begin_write(in_capsule=True)
    c.begin_write(in_capsule=True)
    first = a.begin_abort(KEY_A, KEY_B, EA)
    second = a.begin_abort(KEY_A, KEY_C, EA)
    assert [a.io.status(first), a.io.status(second)] == [None, None]
    rig.stored()
    rig.pump()
    assert [a.io.status(first), a.io.status(second)] == [0, 0]


def test_a_host_that_is_preempted_twice_is_waited_for_twice(hosts: Hosts, rig: ReservationRig) -> None:
    a, b, c = hosts
    rig.is_storing = False
    cid = b.io.send(sqe(IoOpcode.COMPARE, nsid=1, cdw12=31), data=bytes(32 * 4096))
    rig.pump()
    first = a.begin_abort(KEY_A, KEY_B, WE_RO)
    again = b.send_register(KEY_B)
    second = c.begin_abort(KEY_C, KEY_B, WE_RO)
    assert [a.io.status(first), b.io.status(again), c.io.status(second)] == [None, 0, None]
    rig.stored()
    rig.pump()
    assert [a.io.status(first), c.io.status(second), b.io.status(cid)] == [0, 0, ABORTED]
    assert rig.storing == []
