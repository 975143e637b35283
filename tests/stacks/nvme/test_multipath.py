"""A subsystem over several paths: merging, choosing, and what it costs. With scripted controllers."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from stacks.nvme.host import HostConfig, HostNamespace, Multipath, PathPolicy
from stacks.nvme.host.ana import CHANGE, INACCESSIBLE, NON_OPTIMIZED, OPTIMIZED, PERSISTENT_LOSS
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.multipath_rig import QUIET, Two
from tests.stacks.nvme.scripted import (
    ANA_EVENT,
    BLOCK,
    NAMESPACE_EVENT,
    SECOND,
    Disk,
    ScriptedConnector,
    ScriptedController,
)

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
