"""A subsystem over several paths: merging, choosing, sending again, waiting, failing. With scripted controllers."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

import pytest

from stacks.nvme.host import HostCommand, HostConfig, HostNamespace, Multipath, PathPolicy, ReconnectPolicy, Transfer
from stacks.nvme.host.ana import CHANGE, INACCESSIBLE, NON_OPTIMIZED, OPTIMIZED, PERSISTENT_LOSS
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.scripted import (
    ANA_EVENT,
    BLOCK,
    NAMESPACE_EVENT,
    SECOND,
    Disk,
    ScriptedConnector,
    ScriptedController,
)
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.status import StatusCode, status_word

QUIET = {"keep_alive_ms": 0}
PATIENT = ReconnectPolicy(reconnect_delay=10, ctrl_loss_tmo=600)


class Two:
    """Two paths to one subsystem, a and b."""

    def __init__(self, policy: PathPolicy = PathPolicy.NUMA, *, ana: bool = False, **patience: float) -> None:
        states = {1: OPTIMIZED} if ana else None
        self.a = ScriptedController(ana=dict(states) if states else None)
        self.b = ScriptedController(ana=dict(states) if states else None)
        self.connector = ScriptedConnector(a=self.a, b=self.b)
        self.multipath = Multipath(policy=policy)
        reconnect = ReconnectPolicy(**{"reconnect_delay": 10, "ctrl_loss_tmo": 600, **patience})  # type: ignore[arg-type]
        self.to_a = self.connector.add(self.multipath, "a", policy=reconnect, **QUIET)
        self.to_b = self.connector.add(self.multipath, "b", policy=reconnect, **QUIET)
        assert self.to_a.is_live
        assert self.to_b.is_live

    @property
    def namespace(self) -> HostNamespace:
        return self.multipath.namespace(1)

    def read(self, block: int = 0) -> Transfer:
        transfer = self.namespace.read(block, memoryview(bytearray(BLOCK)))
        self.connector.run()
        return transfer

    def write(self, block: int = 0) -> Transfer:
        transfer = self.namespace.write(block, memoryview(bytes(BLOCK)))
        self.connector.run()
        return transfer

    @property
    def held(self) -> tuple[int, int]:
        return len(self.a.held), len(self.b.held)

    def ana(self, a: int, b: int) -> None:
        self.a.ana, self.b.ana = {1: a}, {1: b}
        for address in ("a", "b"):
            self.connector.event(address, ANA_EVENT)


# Merging


def test_namespaces_with_the_same_number_and_identifiers_are_one() -> None:
    two = Two()
    assert list(two.multipath.namespaces) == [1]
    assert two.namespace.identity.uuid == b"disk disk disk 1"
    assert two.namespace.block_count == 1024


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Disk(uuid=b"disk disk disk 2"), "another one there: its identifiers differ"),
        (Disk(lbads=9), "has blocks of 512 bytes there, not 4096"),
        (Disk(nmic=0), "is private to one controller"),
    ],
)
def test_a_path_with_another_namespace_under_the_number_is_not_used(other: Disk, reason: str) -> None:
    connector = ScriptedConnector(a=ScriptedController(), b=ScriptedController(disks={1: other}))
    multipath = Multipath(policy=PathPolicy.ROUND_ROBIN)
    connector.add(multipath, "a", **QUIET)
    to_b = connector.add(multipath, "b", **QUIET)
    head = multipath.heads[1]
    assert reason in head.strangers[to_b]
    for block in range(4):
        multipath.namespace(1).read(block, memoryview(bytearray(BLOCK)))
    connector.run()
    assert [len(connector.controllers[each].held) for each in "ab"] == [4, 0]


def test_each_path_brings_the_namespaces_that_it_has() -> None:
    first, second = Disk(), Disk(uuid=b"disk disk disk 2")
    has_one, has_both = ScriptedController(disks={1: first}), ScriptedController(disks={1: first, 2: second})
    connector = ScriptedConnector(a=has_one, b=has_both)
    multipath = Multipath()
    connector.add(multipath, "a", **QUIET)
    connector.add(multipath, "b", **QUIET)
    assert list(multipath.namespaces) == [1, 2]
    with pytest.raises(LocalError, match="has namespaces 1, 2; say which"):
        multipath.namespace()
    with pytest.raises(LocalError, match="has no namespace 3; it has namespaces 1, 2"):
        multipath.namespace(3)
    multipath.namespace(2).read(0, memoryview(bytearray(BLOCK)))
    connector.run()
    assert len(connector.controllers["b"].held) == 1


def test_a_namespace_that_grows_on_a_path_grows() -> None:
    two = Two()
    for address, controller in (("a", two.a), ("b", two.b)):
        controller.disks[1] = Disk(blocks=2048)
        two.connector.event(address, NAMESPACE_EVENT)
    assert two.namespace.block_count == 2048


def test_a_namespace_that_is_gone_from_every_path_fails_and_says_so() -> None:
    two = Two()
    namespace = two.namespace
    del two.a.disks[1]
    two.connector.event("a", NAMESPACE_EVENT)
    assert two.held == (0, 0)
    two.read()
    assert two.held == (0, 1)
    del two.b.disks[1]
    two.connector.event("b", NAMESPACE_EVENT)
    assert two.multipath.namespaces == {}
    transfer = namespace.read(0, memoryview(bytearray(BLOCK)))
    assert transfer.ending == "namespace 1 is gone"


def test_another_disk_behind_the_only_path_after_a_loss_gets_none_of_the_commands() -> None:
    two = Two(reconnect_delay=5)
    two.multipath.remove(two.to_b, 0)
    two.connector.run()
    transfer = two.write()
    two.connector.lose("a")
    two.a.disks[1] = Disk(uuid=b"disk disk disk 9")
    two.connector.advance(5 * SECOND)
    assert two.to_a.is_live
    assert two.held == (0, 0)
    assert "its identifiers differ" in transfer.ending


# Choosing


def test_numa_uses_the_first_path_while_it_is_there() -> None:
    two = Two(PathPolicy.NUMA)
    for block in range(5):
        two.read(block)
    assert two.held == (5, 0)
    two.connector.lose("a")
    assert two.held == (0, 5)
    two.connector.advance(10 * SECOND)
    two.read(6)
    assert two.held == (1, 5)


def test_round_robin_takes_turns() -> None:
    two = Two(PathPolicy.ROUND_ROBIN)
    for block in range(10):
        two.read(block)
    assert two.held == (5, 5)


def test_queue_depth_takes_the_path_with_less_to_do() -> None:
    two = Two(PathPolicy.QUEUE_DEPTH)
    for block in range(6):
        two.read(block)
    assert two.held == (3, 3)
    two.connector.answer_held("b")
    for block in range(3):
        two.read(block)
    assert two.held == (3, 3)


@pytest.mark.parametrize("policy", PathPolicy)
def test_optimized_paths_come_before_non_optimized_ones_and_those_before_none(policy: PathPolicy) -> None:
    two = Two(policy, ana=True)

    def where() -> tuple[int, int]:
        for block in range(4):
            two.read(block)
        held = two.held
        two.connector.answer_held("a")
        two.connector.answer_held("b")
        return held

    shared = (4, 0) if policy is PathPolicy.NUMA else (2, 2)
    assert where() == shared
    two.ana(NON_OPTIMIZED, OPTIMIZED)
    assert where() == (0, 4)
    two.ana(NON_OPTIMIZED, NON_OPTIMIZED)
    assert where() == shared
    for bad in (INACCESSIBLE, PERSISTENT_LOSS, CHANGE):
        two.ana(bad, NON_OPTIMIZED)
        assert where() == (0, 4)
    two.ana(OPTIMIZED, INACCESSIBLE)
    assert where() == (4, 0)


def test_groups_have_states_of_their_own() -> None:
    two = Two(ana=True)
    for controller in (two.a, two.b):
        controller.disks[2] = Disk(uuid=b"disk disk disk 2", group=2)
    two.a.ana, two.b.ana = {1: OPTIMIZED, 2: INACCESSIBLE}, {1: INACCESSIBLE, 2: OPTIMIZED}
    for address in ("a", "b"):
        two.connector.event(address, ANA_EVENT)
        two.connector.event(address, NAMESPACE_EVENT)
    for nsid in (1, 2):
        two.multipath.namespace(nsid).read(0, memoryview(bytearray(BLOCK)))
    two.connector.run()
    assert [[each.nsid for each in controller.held] for controller in (two.a, two.b)] == [[1], [2]]


# Sending again


def test_what_was_under_way_on_a_lost_path_goes_out_on_the_other_in_order() -> None:
    two = Two()
    transfers = [two.write(block) for block in range(50)]
    two.connector.lose("a")
    assert [command.cdw10 for command in two.b.held] == list(range(50))
    assert two.multipath.failovers == 50
    two.connector.answer_held("b")
    assert [(transfer.is_done, transfer.status) for transfer in transfers] == [(True, 0)] * 50


def test_what_waited_for_room_on_a_lost_path_goes_with_the_rest() -> None:
    connector = ScriptedConnector(a=ScriptedController(), b=ScriptedController())
    multipath = Multipath()
    connector.add(multipath, "a", queue_entries=4, **QUIET)
    connector.add(multipath, "b", queue_entries=4, **QUIET)
    transfers = [multipath.namespace(1).write(block, memoryview(bytes(BLOCK))) for block in range(20)]
    connector.run()
    connector.lose("a")
    blocks = []
    while held := connector.controllers["b"].held:
        blocks += [command.cdw10 for command in held]
        connector.answer_held("b")
    assert blocks == list(range(20))
    assert all(transfer.is_done and not transfer.status for transfer in transfers)


def test_what_no_path_takes_waits_for_one_and_is_sent_once() -> None:
    two = Two()
    before = [two.read(block) for block in range(3)]
    two.connector.lose("a")
    two.connector.lose("b")
    during = [two.read(block) for block in range(3, 6)]
    assert two.held == (0, 0)
    assert two.multipath.waiting == 6
    two.connector.advance(10 * SECOND)
    assert [command.cdw10 for command in two.a.held] == list(range(6))
    two.connector.answer_held("a")
    assert all(transfer.is_done and not transfer.status for transfer in before + during)
    assert two.multipath.waiting == 0


@pytest.mark.parametrize("status", [StatusCode.ANA_INACCESSIBLE, StatusCode.ANA_TRANSITION])
def test_a_command_refused_for_its_ana_state_goes_another_way_while_the_log_is_read(status: StatusCode) -> None:
    two = Two(ana=True)
    transfer = two.read()
    two.a.ana = {1: INACCESSIBLE}
    logs = two.a.admin.count(AdminOpcode.GET_LOG_PAGE)
    two.connector.answer_held("a", status_word(status))
    assert two.held == (0, 1)
    assert two.a.admin.count(AdminOpcode.GET_LOG_PAGE) == logs + 1
    two.connector.answer_held("b")
    assert (transfer.is_done, transfer.status) == (True, 0)


def test_with_every_path_inaccessible_commands_wait_until_one_is_again() -> None:
    two = Two(ana=True)
    two.ana(INACCESSIBLE, INACCESSIBLE)
    transfer = two.read()
    two.connector.advance(5000 * SECOND)
    assert not transfer.is_done
    assert two.held == (0, 0)
    two.ana(INACCESSIBLE, OPTIMIZED)
    assert two.held == (0, 1)


def test_a_namespace_that_every_path_has_lost_for_good_fails() -> None:
    two = Two(ana=True)
    two.ana(INACCESSIBLE, PERSISTENT_LOSS)
    transfer = two.read()
    assert not transfer.is_done
    two.ana(PERSISTENT_LOSS, PERSISTENT_LOSS)
    assert transfer.ending == "namespace 1 is lost for good on this path (ANA)"


def test_a_refusal_for_now_is_repeated_after_the_delay_that_it_names() -> None:
    two = Two()
    two.multipath.remove(two.to_b, 0)
    controller = two.a
    controller.identity.update(crdt1=5, crdt2=20, crdt3=100)
    two.to_a.reset(0)
    two.connector.run()
    transfer = two.read()
    for crd, delay_ns in ((1, SECOND // 2), (2, 2 * SECOND), (3, 10 * SECOND), (0, 0)):
        two.connector.answer_held("a", status_word(StatusCode.COMMAND_INTERRUPTED, retry_delay=crd))
        if delay_ns:
            assert two.multipath.waiting == 1
            two.connector.advance(delay_ns - 1)
            assert controller.held == []
            two.connector.advance(1)
        assert len(controller.held) == 1
    two.connector.answer_held("a")
    assert (transfer.is_done, transfer.status, two.multipath.retries) == (True, 0, 4)


def test_a_refusal_is_repeated_five_times() -> None:
    two = Two()
    transfer = two.read()
    for _ in range(5):
        two.connector.answer_held("a", status_word(StatusCode.UNRECOVERED_READ_ERROR))
        assert not transfer.is_done
    two.connector.answer_held("a", status_word(StatusCode.UNRECOVERED_READ_ERROR))
    assert transfer.status == StatusCode.UNRECOVERED_READ_ERROR
    assert two.multipath.retries == 5


def test_dnr_is_final() -> None:
    two = Two()
    transfer = two.read()
    two.connector.answer_held("a", status_word(StatusCode.INTERNAL_PATH_ERROR, do_not_retry=True))
    assert transfer.status == StatusCode.INTERNAL_PATH_ERROR
    assert two.held == (0, 0)


def test_a_path_error_that_every_path_answers_does_not_go_round_for_ever() -> None:
    two = Two(PathPolicy.ROUND_ROBIN)
    transfer = two.read()
    answered = 0
    while not transfer.is_done:
        answered += two.connector.answer_held("a", status_word(StatusCode.INTERNAL_PATH_ERROR))
        answered += two.connector.answer_held("b", status_word(StatusCode.INTERNAL_PATH_ERROR))
    assert answered == 6
    assert transfer.status == StatusCode.INTERNAL_PATH_ERROR


def test_a_difference_that_compare_finds_is_an_answer() -> None:
    two = Two()
    transfer = two.namespace.compare(0, memoryview(bytes(BLOCK)))
    two.connector.run()
    two.connector.answer_held("a", status_word(StatusCode.COMPARE_FAILURE))
    assert transfer.status == StatusCode.COMPARE_FAILURE


def test_a_reservation_command_is_not_sent_again_once_it_may_have_been_carried_out() -> None:
    two = Two()
    ended: list[HostCommand] = []
    for _ in range(2):
        command = HostCommand(IoOpcode.RESERVATION_ACQUIRE.value, 1, data=memoryview(bytes(16)), done=ended.append)
        assert two.to_a.host is not None
        two.to_a.host.submit_io(command)
    two.connector.run()
    two.connector.lose("a")
    assert [command.status for command in ended] == [StatusCode.HOST_PATH_ERROR] * 2
    assert two.held == (0, 0)


def test_an_error_of_the_medium_is_repeated_where_it_came_from_or_elsewhere_but_ends_once() -> None:
    two = Two(PathPolicy.ROUND_ROBIN)
    ended: Counter[int] = Counter()
    for block in range(8):
        two.namespace.write(block, memoryview(bytes(BLOCK)), done=lambda _, block=block: ended.update([block]))
    two.connector.run()
    two.connector.answer_held("a", status_word(StatusCode.WRITE_FAULT))
    two.connector.lose("b")
    while two.a.held or two.b.held:
        two.connector.answer_held("a")
        two.connector.answer_held("b")
    assert ended == Counter(range(8))


# Waiting and failing


def test_fast_fail_ends_what_waits_and_what_comes_later_at_once() -> None:
    two = Two(fast_io_fail_tmo=5)
    transfers = [two.read(block) for block in range(3)]
    two.connector.lose("a", "the first wire broke")
    two.connector.lose("b", "the second wire broke")
    two.a.is_there = two.b.is_there = False
    two.connector.advance(5 * SECOND - 1)
    assert not any(transfer.is_done for transfer in transfers)
    two.connector.advance(1)
    assert [transfer.ending for transfer in transfers] == ["the first wire broke"] * 3
    assert [transfer.status for transfer in transfers] == [StatusCode.HOST_PATH_ERROR] * 3
    late = two.read()
    assert late.is_done
    assert late.ending
    assert not two.multipath.is_over
    two.a.is_there = True
    two.connector.advance(10 * SECOND)
    after = two.read()
    assert len(two.a.held) == 1
    assert not after.is_done


def test_fast_fail_of_one_path_leaves_the_other_to_wait_for() -> None:
    two = Two(fast_io_fail_tmo=5)
    two.connector.lose("a")
    two.connector.advance(3 * SECOND)
    two.connector.lose("b")
    two.a.is_there = two.b.is_there = False
    transfer = two.read()
    two.connector.advance(3 * SECOND)
    assert not transfer.is_done
    two.connector.advance(2 * SECOND)
    assert transfer.is_done


def test_the_controller_loss_timeout_of_the_last_path_ends_everything() -> None:
    two = Two(ctrl_loss_tmo=60)
    transfer = two.read()
    two.connector.lose("a")
    two.connector.lose("b")
    two.a.is_there = two.b.is_there = False
    two.connector.advance(60 * SECOND - 1)
    assert not transfer.is_done
    two.connector.advance(1)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    assert transfer.ending.endswith("given up after 60 seconds")
    assert two.multipath.is_over
    assert "given up after 60 seconds" in two.multipath.failure
    with pytest.raises(LocalError, match="given up"):
        two.multipath.namespace(1)
    assert two.connector.policies == {}


def test_only_so_many_commands_wait() -> None:
    two = Two(waiting_max=10)
    namespace = two.namespace
    accepted = [two.read(block) for block in range(20)]
    two.connector.lose("a")
    two.connector.lose("b")
    refused = [namespace.read(block, memoryview(bytearray(BLOCK))) for block in range(5)]
    assert two.multipath.waiting == 20, "what was accepted before is kept"
    assert [transfer.ending for transfer in refused] == ["20 commands wait for a path already"] * 5
    two.connector.advance(10 * SECOND)
    two.connector.answer_held("a")
    assert all(transfer.is_done and not transfer.status for transfer in accepted)


def test_stopping_ends_what_is_under_way_and_what_waits() -> None:
    two = Two()
    under_way = two.read()
    two.connector.answer_held("a", status_word(StatusCode.NAMESPACE_NOT_READY, retry_delay=0))
    assert not under_way.is_done
    two.multipath.stop(two.connector.now)
    two.connector.run()
    assert (under_way.status, under_way.ending) == (StatusCode.HOST_PATH_ERROR, "shut down")
    assert two.multipath.is_over
    assert two.multipath.failure == ""


def test_stopping_ends_what_waits_for_its_delay() -> None:
    two = Two()
    two.multipath.remove(two.to_b, 0)
    two.a.identity.update(crdt1=600)
    two.to_a.reset(0)
    two.connector.run()
    transfer = two.read()
    two.connector.answer_held("a", status_word(StatusCode.COMMAND_INTERRUPTED, retry_delay=1))
    assert two.multipath.waiting == 1
    two.multipath.stop(two.connector.now)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    two.connector.advance(100 * SECOND)
    assert two.connector.policies == {}


def test_stopping_while_every_path_is_down_ends_what_waits() -> None:
    two = Two()
    transfer = two.read()
    two.connector.lose("a")
    two.connector.lose("b")
    two.multipath.stop(two.connector.now)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    two.connector.run()
    assert two.multipath.is_over
    assert two.connector.policies == {}
    assert two.connector.hosts == []


def test_a_path_that_is_taken_away_gives_its_commands_to_the_others() -> None:
    two = Two()
    transfer = two.write(3)
    two.multipath.remove(two.to_a, two.connector.now)
    two.connector.run()
    assert two.multipath.paths == [two.to_b]
    assert [command.cdw10 for command in two.b.held] == [3]
    two.connector.answer_held("b")
    assert (transfer.is_done, transfer.status) == (True, 0)


def test_a_path_that_comes_later_is_used() -> None:
    connector = ScriptedConnector(a=ScriptedController(), b=ScriptedController())
    multipath = Multipath(policy=PathPolicy.ROUND_ROBIN)
    connector.add(multipath, "a", **QUIET)
    namespace = multipath.namespace()
    connector.add(multipath, "b", **QUIET)
    for block in range(4):
        namespace.read(block, memoryview(bytearray(BLOCK)))
    connector.run()
    assert [len(connector.controllers[each].held) for each in "ab"] == [2, 2]


# Cost


def calls_of(namespace: HostNamespace, connector: ScriptedConnector, address: str) -> list[str]:
    """Every Python function that one read calls, from its submission to its end."""
    names: list[str] = []

    def note(frame: FrameType, what: str, _: object) -> None:
        if what == "call":
            names.append(frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name)

    into = memoryview(bytearray(BLOCK))
    sys.setprofile(note)
    try:
        namespace.read(0, into)
    finally:
        sys.setprofile(None)
    connector.run()
    (command,) = connector.controllers[address].held
    connector.controllers[address].held.clear()
    assert command.queue is not None
    sys.setprofile(note)
    try:
        command.queue.complete(command, 0)
    finally:
        sys.setprofile(None)
    return names


def test_one_healthy_path_costs_no_call_more_than_an_association_without_a_policy() -> None:
    plain = ScriptedConnector(a=ScriptedController())
    host = plain.connect("a", HostConfig(nqn=NQN, keep_alive_ms=0), 0)
    plain.run()
    two = Two()
    two.connector.lose("b")
    expected = calls_of(host.namespace(), plain, "a")
    assert calls_of(two.namespace, two.connector, "a") == expected
    assert len(expected) < 12
    assert two.connector.policies.keys() == {two.to_b}, "a path that is live asks for no time"
