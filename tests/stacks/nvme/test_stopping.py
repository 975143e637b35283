"""What stops does nothing any more: no I/O of a queue or controller that has stopped reaches a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import ControllerState, QueueState
from tests.stacks.nvme.core_rig import (
    ENABLE,
    SHUT_DOWN_NORMAL,
    CoreHost,
    connect_data,
    connected,
    fabrics,
    make_port,
    sqe,
)
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FabricsType, FeatureId, IoOpcode
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode

SECOND = 10**9
DATA = b"late" * 1024


class Witness(MemoryStore):
    """A store that remembers which verbs were called."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.calls: list[str] = []
        self.flush_error = 0

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write."""
        self.calls.append("write")
        super().write(block, data)

    def flush(self) -> None:
        """Flush, or fail."""
        self.calls.append("flush")
        if self.flush_error:
            raise OSError(self.flush_error, "no")


@pytest.fixture
def store() -> Witness:
    return Witness()


@pytest.fixture
def hosts(store: Witness) -> tuple[CoreHost, CoreHost]:
    return connected(make_port(store))


def shut_down(admin: CoreHost) -> None:
    admin.set_property(PropertyOffset.CC, SHUT_DOWN_NORMAL)


def disable(admin: CoreHost) -> None:
    admin.set_property(PropertyOffset.CC, 0)


def fail(admin: CoreHost) -> None:
    assert admin.queue.controller is not None
    admin.queue.controller.fail()


def lose_admin_queue(admin: CoreHost) -> None:
    admin.queue.closed()


def remove_subsystem(admin: CoreHost) -> None:
    assert admin.queue.controller is not None
    admin.port.target.remove_subsystem(admin.queue.controller.subsystem.nqn)


STOPS = [shut_down, disable, fail, lose_admin_queue, remove_subsystem]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
@pytest.mark.parametrize("in_capsule", [False, True])
@pytest.mark.parametrize("opcode", [IoOpcode.WRITE, IoOpcode.WRITE_ZEROES, IoOpcode.FLUSH])
def test_io_after_the_controller_stopped_does_not_reach_the_store(
    store: Witness, hosts: tuple[CoreHost, CoreHost], stop: Callable[[CoreHost], None], in_capsule: bool, opcode: int
) -> None:
    admin, io = hosts
    stop(admin)
    store.calls.clear()
    data = DATA if opcode == IoOpcode.WRITE else b""
    cid = io.send(sqe(opcode, nsid=1), data=data, in_capsule=in_capsule and bool(data))
    io.pump()
    assert store.calls == []
    assert cid not in io.answers or io.answers[cid].status == StatusCode.COMMAND_SEQUENCE_ERROR
    assert io.queue.in_flight == 0


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_a_write_whose_data_arrives_after_the_stop_is_aborted(
    store: Witness, hosts: tuple[CoreHost, CoreHost], stop: Callable[[CoreHost], None]
) -> None:
    admin, io = hosts
    free = io.port.pool.free_buffers
    cid = io.send(sqe(IoOpcode.WRITE, nsid=1), data=DATA)
    fetches = io.port.poll_fetches()
    stop(admin)
    for command in fetches:
        io.port.handle_fetched(command)
    io.pump()
    assert "write" not in store.calls
    assert io.answers[cid].status == StatusCode.ABORTED_SQ_DELETION
    assert io.port.pool.free_buffers == free


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_a_write_that_waits_for_a_buffer_at_the_stop_is_aborted(
    store: Witness, hosts: tuple[CoreHost, CoreHost], stop: Callable[[CoreHost], None]
) -> None:
    admin, io = hosts
    free = io.port.pool.free_buffers
    cids = [io.send(sqe(IoOpcode.WRITE, nsid=1), data=DATA) for _ in range(free + 5)]
    assert io.port.waiting
    fetches = io.port.poll_fetches()
    stop(admin)
    assert not io.port.waiting
    for command in fetches:
        io.port.handle_fetched(command)
    io.pump()
    assert "write" not in store.calls
    # Those that waited were answered while the admin queue's host looked.
    answers = [io.answers.get(cid) or admin.answers[-cid] for cid in cids]
    assert {answer.status for answer in answers} == {StatusCode.ABORTED_SQ_DELETION}
    assert io.port.pool.free_buffers == free


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_a_write_that_no_executor_has_seen_is_withdrawn(
    store: Witness, hosts: tuple[CoreHost, CoreHost], stop: Callable[[CoreHost], None]
) -> None:
    admin, io = hosts
    cid = io.send(sqe(IoOpcode.WRITE, nsid=1), data=DATA, in_capsule=True)
    controller = admin.queue.controller
    assert controller is not None
    if stop in (shut_down, disable):
        controller.configure(SHUT_DOWN_NORMAL if stop is shut_down else 0)
    else:
        stop(admin)
    io.pump()
    assert "write" not in store.calls
    assert io.answers[cid].status == StatusCode.ABORTED_SQ_DELETION


def test_a_compare_does_not_go_on_to_its_next_piece(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    cid = io.send(sqe(IoOpcode.COMPARE, nsid=1, cdw12=31), data=bytes(128 << 10))
    (fetch,) = io.port.poll_fetches()
    assert fetch.view is not None
    fetch.view[:] = bytes(len(fetch.view))
    io.port.handle_fetched(fetch)
    first = io.port.target.poll_store_requests()
    fail(admin)
    io.port.target.handle_store_completions(first, 0)
    assert io.port.target.poll_store_requests() == []
    io.pump()
    assert io.answers[cid].status == StatusCode.ABORTED_SQ_DELETION


def test_a_queue_that_was_disconnected_takes_no_more_commands(store: Witness, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    io.do(fabrics(FabricsType.DISCONNECT))
    io.send(sqe(IoOpcode.WRITE, nsid=1), data=DATA, in_capsule=True)
    io.pump()
    assert store.calls == []
    assert io.answers == {}
    assert io.queue.is_idle


def test_several_connects_at_once_make_one_controller() -> None:
    host = CoreHost(make_port())
    data = connect_data()
    cids = [host.send(fabrics(FabricsType.CONNECT, cdw11=31), data=data) for _ in range(5)]
    assert host.queue.state is QueueState.CONNECTING
    host.pump()
    assert sorted(host.answers[cid].status for cid in cids) == [0] + 4 * [StatusCode.COMMAND_SEQUENCE_ERROR]
    assert len(host.port.target.controllers) == 1
    host.queue.closed()
    assert host.port.target.controllers == []


def test_a_connect_whose_data_arrives_after_the_queue_was_closed_makes_no_controller() -> None:
    host = CoreHost(make_port())
    cid = host.send(fabrics(FabricsType.CONNECT, cdw11=31), data=connect_data())
    host.queue.ask_to_close()
    host.pump()
    assert host.answers[cid].status == StatusCode.ABORTED_SQ_DELETION
    assert host.port.target.controllers == []


def test_a_shutdown_is_in_progress_until_the_stores_are_flushed(
    store: Witness, hosts: tuple[CoreHost, CoreHost]
) -> None:
    admin, io = hosts
    io.io(IoOpcode.WRITE, 0, 1, data=DATA)
    cid = admin.send(fabrics(FabricsType.PROPERTY_SET, cdw11=PropertyOffset.CC, cdw12=SHUT_DOWN_NORMAL))
    controller = admin.queue.controller
    assert controller is not None
    assert controller.property(PropertyOffset.CSTS) == (1 | 1 << 2, 4)
    assert store.calls == ["write"]
    admin.pump()
    assert admin.answers[cid].status == 0
    assert store.calls == ["write", "flush"]
    assert controller.property(PropertyOffset.CSTS) == (1 | 2 << 2, 4)
    assert controller.subsystem.unsafe_shutdowns == 0


def test_a_shutdown_that_could_not_flush_is_counted_as_unsafe(store: Witness, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, _ = hosts
    store.flush_error = 5
    shut_down(admin)
    controller = admin.queue.controller
    assert controller is not None
    assert controller.state is ControllerState.SHUT_DOWN
    assert controller.subsystem.unsafe_shutdowns == 1


def test_a_flush_of_an_earlier_shutdown_does_not_end_a_later_one(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, _ = hosts
    controller, target = admin.queue.controller, admin.port.target
    assert controller is not None
    controller.configure(SHUT_DOWN_NORMAL)
    earlier = target.poll_store_requests()
    for value in (0, ENABLE, SHUT_DOWN_NORMAL):
        controller.configure(value)
    target.handle_store_completions(earlier, 0)
    assert controller.property(PropertyOffset.CSTS) == (1 | 1 << 2, 4)
    admin.pump()
    assert controller.property(PropertyOffset.CSTS) == (1 | 2 << 2, 4)


def test_turning_the_write_cache_off_flushes_it_first(store: Witness, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    io.io(IoOpcode.WRITE, 0, 1, data=DATA)
    cid = admin.send(sqe(AdminOpcode.SET_FEATURES, cdw10=FeatureId.VOLATILE_WRITE_CACHE))
    assert admin.port.poll_completions() == []
    admin.pump()
    assert admin.answers[cid].status == 0
    assert store.calls == ["write", "flush"]
    admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=FeatureId.VOLATILE_WRITE_CACHE))
    assert store.calls == ["write", "flush"]


def test_turning_the_write_cache_off_reports_a_flush_that_failed(
    store: Witness, hosts: tuple[CoreHost, CoreHost]
) -> None:
    admin, _ = hosts
    store.flush_error = 5
    answer = admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=FeatureId.VOLATILE_WRITE_CACHE))
    assert answer.status == StatusCode.WRITE_FAULT


def test_a_connection_without_a_connect_command_is_ended() -> None:
    host = CoreHost(make_port())
    target = host.port.target
    target.handle_timeout(9 * SECOND)
    assert host.port.poll_closing() == []
    target.handle_timeout(10 * SECOND)
    assert host.port.poll_closing() == [host.queue]
    assert host.queue.is_overdue


def test_a_closing_queue_that_hangs_is_ended_in_the_end(hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    io.send(sqe(IoOpcode.FLUSH, nsid=1))
    hanging = io.port.target.poll_store_requests()
    assert hanging
    io.queue.ask_to_close()
    assert io.port.poll_closing() == [io.queue]
    assert not io.queue.is_idle
    assert not io.queue.is_overdue
    io.port.target.handle_timeout(2 * SECOND)
    assert io.port.poll_closing() == [io.queue]
    assert io.queue.is_overdue
    io.queue.closed()
    assert io.port.target.poll_deadline() is None


def test_event_requests_do_not_keep_a_queue_busy(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, _ = hosts
    admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST))
    assert admin.queue.is_idle


def test_a_silent_discovery_controller_without_keep_alive_ends_after_two_minutes() -> None:
    host = CoreHost(make_port())
    assert host.connect(nqn=DISCOVERY_NQN).status == 0
    target = host.port.target
    target.handle_timeout(119 * SECOND)
    host.set_property(PropertyOffset.CC, ENABLE)
    target.handle_timeout(120 * SECOND)
    assert host.port.poll_closing() == []
    target.handle_timeout(240 * SECOND)
    assert host.port.poll_closing() == [host.queue]
