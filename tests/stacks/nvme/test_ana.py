"""Asymmetric namespace access: groups, a state at each port, changes under I/O, and what every host is told."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import PortAddress, Target
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import ENABLE, sqe
from tests.stacks.nvme.fabrics_rig import BLOCK, SECOND, FabricsRig, RigHost, disk
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace, IdentifyNamespaceIndependent
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.opcodes import FeatureId, IoOpcode, LogPage
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode

OPTIMIZED, NON_OPTIMIZED = AnaState.OPTIMIZED, AnaState.NON_OPTIMIZED
INACCESSIBLE, LOST, CHANGE = AnaState.INACCESSIBLE, AnaState.PERSISTENT_LOSS, AnaState.CHANGE
ANA_EVENT = 0x000C0302
PATH_STATUS = {
    INACCESSIBLE: StatusCode.ANA_INACCESSIBLE,
    LOST: StatusCode.ANA_PERSISTENT_LOSS,
    CHANGE: StatusCode.ANA_TRANSITION,
}


@pytest.fixture
def rig() -> FabricsRig:
    """Two namespaces, the second in a group of its own, behind two ports."""
    subsystem = disk(16)
    subsystem.add_namespace(MemoryStore(16 * BLOCK), ana_group=2)
    return FabricsRig(subsystem, ports=2)


@pytest.fixture
def left(rig: FabricsRig) -> RigHost:
    return rig.host(port=0)


@pytest.fixture
def right(rig: FabricsRig) -> RigHost:
    return rig.host(port=1)


def test_groups_and_their_namespaces_are_in_the_log(left: RigHost) -> None:
    assert left.ana() == {1: (OPTIMIZED, [1]), 2: (OPTIMIZED, [2])}
    groups_only = left.admin.log_page(LogPage.ANA | 1 << 8, 8208).data
    assert groups_only[8:10] == b"\2\0"
    assert [int.from_bytes(groups_only[at : at + 8], "little") for at in (16, 48)] == [1, 2]


def test_a_port_has_states_of_its_own(rig: FabricsRig, left: RigHost, right: RigHost) -> None:
    rig.subsystem.set_ana_state(1, INACCESSIBLE, portid=2)
    assert (left.ana()[1][0], right.ana()[1][0]) == (OPTIMIZED, INACCESSIBLE)
    assert (left.read(1), right.read(1)) == (0, StatusCode.ANA_INACCESSIBLE)
    assert (left.read(2), right.read(2)) == (0, 0)
    assert (left.events(), right.events()) == ([], [ANA_EVENT])


def test_paths_are_exchanged_as_in_a_failover(rig: FabricsRig, left: RigHost, right: RigHost) -> None:
    subsystem = rig.subsystem
    subsystem.set_ana_state(1, INACCESSIBLE, portid=2)
    for host in (left, right):
        host.news()
    for ports in ((1, 2), (2, 1), (1, 2)):
        subsystem.set_ana_state(1, INACCESSIBLE, portid=ports[0])
        subsystem.set_ana_state(1, OPTIMIZED, portid=ports[1])
        hosts = (left, right) if ports[0] == 1 else (right, left)
        assert [host.news() for host in hosts] == [[LogPage.ANA], [LogPage.ANA]]
        assert [host.read() for host in hosts] == [StatusCode.ANA_INACCESSIBLE, 0]


def test_a_state_for_all_ports_is_the_state_of_each(rig: FabricsRig, left: RigHost, right: RigHost) -> None:
    rig.subsystem.set_ana_state(1, INACCESSIBLE, portid=2)
    rig.subsystem.set_ana_state(1, NON_OPTIMIZED)
    assert (left.ana()[1][0], right.ana()[1][0]) == (NON_OPTIMIZED, NON_OPTIMIZED)
    rig.subsystem.set_ana_state(1, OPTIMIZED)
    assert (left.ana()[1][0], right.ana()[1][0]) == (OPTIMIZED, OPTIMIZED)


def test_a_state_can_be_set_before_its_port_and_goes_with_it(rig: FabricsRig, left: RigHost) -> None:
    rig.subsystem.set_ana_state(1, INACCESSIBLE, portid=3)
    assert left.events() == []
    for expected in (StatusCode.ANA_INACCESSIBLE, 0):
        port = rig.add_port(PortAddress(TransportType.TCP, "192.0.2.33", 4420), portid=3)
        assert rig.host("late", port=len(rig.ports) - 1).read() == expected
        rig.target.remove_port(port)
        rig.settle()


@pytest.mark.parametrize("state", [OPTIMIZED, NON_OPTIMIZED, INACCESSIBLE, LOST, CHANGE])
def test_every_state_is_reported_told_and_has_its_status(rig: FabricsRig, left: RigHost, state: AnaState) -> None:
    before = NON_OPTIMIZED if state is OPTIMIZED else OPTIMIZED
    rig.subsystem.set_ana_state(1, before)
    left.news()
    rig.subsystem.set_ana_state(1, state)
    assert left.events() == [ANA_EVENT]
    assert left.ana()[1] == (state, [1])
    for opcode in (IoOpcode.READ, IoOpcode.WRITE, IoOpcode.COMPARE, IoOpcode.WRITE_ZEROES, IoOpcode.FLUSH):
        data = bytes(BLOCK) if opcode in (IoOpcode.WRITE, IoOpcode.COMPARE) else b""
        answer = left.io.io(opcode, 0, 1, data=data, expect=BLOCK if opcode == IoOpcode.READ else 0)
        assert (answer.status, answer.word >> 15) == (PATH_STATUS.get(state, 0), 0)
    assert left.read(2) == 0


def test_the_same_state_again_is_no_news(rig: FabricsRig, left: RigHost) -> None:
    rig.subsystem.set_ana_state(1, OPTIMIZED)
    rig.subsystem.set_ana_state(1, OPTIMIZED, portid=1)
    assert left.events() == []
    assert left.ana_groups()[0].change_count == 0


def test_changes_are_counted_for_the_log_and_for_each_group(rig: FabricsRig, left: RigHost) -> None:
    def counts() -> tuple[int, list[int]]:
        header, groups = left.ana_groups()
        return header.change_count, [group.change_count for group, _ in groups]

    subsystem = rig.subsystem
    assert counts() == (0, [0, 0])
    subsystem.set_ana_state(2, NON_OPTIMIZED)
    assert counts() == (1, [0, 1])
    subsystem.set_ana_state(2, INACCESSIBLE, portid=2)
    assert counts() == (1, [0, 1]), "that is another port"
    subsystem.add_namespace(MemoryStore(BLOCK))
    assert counts() == (2, [1, 1])
    subsystem.move_namespace(3, 2)
    assert counts() == (3, [2, 2])
    subsystem.resize_namespace(1)
    assert counts() == (3, [2, 2])
    left.admin.set_property(PropertyOffset.CC, 0)
    left.admin.set_property(PropertyOffset.CC, ENABLE)
    assert counts() == (0, [0, 0]), "a Controller Level Reset"


def test_io_that_a_store_has_ends_and_io_that_waits_goes_elsewhere(rig: FabricsRig, left: RigHost) -> None:
    read = left.io.send(sqe(IoOpcode.READ, nsid=1), expect=BLOCK)
    write = left.io.send(sqe(IoOpcode.WRITE, nsid=1), data=bytes(BLOCK))
    in_capsule = left.io.send(sqe(IoOpcode.WRITE, nsid=1), data=bytes(BLOCK), in_capsule=True)
    rig.subsystem.set_ana_state(1, INACCESSIBLE)
    left.io.pump()
    assert [left.io.answers[cid].status for cid in (read, in_capsule)] == [0, 0]
    answer = left.io.answers[write]
    assert (answer.status, answer.word >> 15) == (StatusCode.ANA_INACCESSIBLE, 0)


def test_a_namespace_moves_to_another_group(rig: FabricsRig, left: RigHost) -> None:
    rig.subsystem.set_ana_state(3, INACCESSIBLE)
    assert left.events() == [], "a group without namespaces is no news"
    rig.subsystem.move_namespace(1, 3)
    assert left.events() == [ANA_EVENT]
    assert left.ana() == {1: (OPTIMIZED, []), 2: (OPTIMIZED, [2]), 3: (INACCESSIBLE, [1])}
    assert IdentifyNamespace.decode(left.admin.identify(0, nsid=1).data).anagrpid == 3
    assert IdentifyNamespaceIndependent.decode(left.admin.identify(8, nsid=1).data).anagrpid == 3
    assert left.read(1) == StatusCode.ANA_INACCESSIBLE


def test_a_new_namespace_is_told_as_a_namespace_and_not_as_a_change_of_access(rig: FabricsRig, left: RigHost) -> None:
    rig.subsystem.add_namespace(MemoryStore(BLOCK), ana_group=9)
    assert left.news() == [LogPage.CHANGED_NAMESPACES]
    assert left.ana()[9] == (OPTIMIZED, [3])


def test_the_log_has_room_for_every_group_and_namespace() -> None:
    rig = FabricsRig(disk(1))
    for group in range(1, 129):
        rig.subsystem.set_ana_state(group, NON_OPTIMIZED)
    host = rig.host()
    page = IdentifyController.decode(host.admin.identify(1).data)
    assert (page.anagrpmax, page.nanagrpid, page.anatt, page.anacap, page.mnan) == (128, 128, 10, 0x1F, 1024)
    assert page.cmic & 1 << 3
    assert len(host.ana()) == 128
    size = 16 + page.nanagrpid * 32 + page.mnan * 4
    assert host.admin.log_page(LogPage.ANA, size).status == 0


@pytest.mark.parametrize("group", [0, 129, -1])
def test_a_group_that_cannot_be_is_refused(rig: FabricsRig, group: int) -> None:
    subsystem = rig.subsystem
    with pytest.raises(LocalError, match="ANA group"):
        subsystem.set_ana_state(group, OPTIMIZED)
    with pytest.raises(LocalError, match="ANA group"):
        subsystem.move_namespace(1, group)
    with pytest.raises(LocalError, match="ANA group"):
        subsystem.add_namespace(MemoryStore(BLOCK), ana_group=group)
    assert list(subsystem.namespaces) == [1, 2]


def test_groups_go_when_they_are_empty(rig: FabricsRig, left: RigHost) -> None:
    subsystem = rig.subsystem
    for group, text in ((1, "no ANA group 1 to remove"), (2, "has namespaces"), (7, "no ANA group 7")):
        with pytest.raises(LocalError, match=text):
            subsystem.remove_ana_group(group)
    subsystem.move_namespace(2, 1)
    subsystem.set_ana_state(2, CHANGE, portid=2)
    subsystem.remove_ana_group(2)
    rig.run_for(60 * SECOND)
    assert left.ana() == {1: (OPTIMIZED, [1, 2])}


def test_capacity_is_not_told_where_it_is_not_known(rig: FabricsRig, left: RigHost) -> None:
    for state, has_capacity in ((NON_OPTIMIZED, True), (CHANGE, True), (INACCESSIBLE, False), (LOST, False)):
        rig.subsystem.set_ana_state(1, state)
        page = IdentifyNamespace.decode(left.admin.identify(0, nsid=1).data)
        assert (page.nsze, page.ncap) == (16, 16)
        assert (page.nuse, page.nvmcap) == ((16, 16 * BLOCK) if has_capacity else (0, 0)), state
    assert left.news() == [LogPage.ANA], "and that is no change of an attribute"


@pytest.mark.parametrize("state", [INACCESSIBLE, LOST, CHANGE])
def test_features_of_a_namespace_that_is_out_of_reach_are_too(
    rig: FabricsRig, left: RigHost, state: AnaState
) -> None:
    rig.subsystem.set_ana_state(1, state)
    status, namespace_feature, controller_feature = (
        PATH_STATUS[state],
        FeatureId.ERROR_RECOVERY,
        FeatureId.TEMPERATURE_THRESHOLD,
    )
    assert left.feature(namespace_feature, nsid=1).status == status
    assert left.set_feature(namespace_feature, 0, nsid=1).status == status
    assert left.feature(controller_feature, nsid=1).status == 0
    expected = status if state is LOST else StatusCode.FEATURE_NOT_PER_NAMESPACE
    assert left.set_feature(controller_feature, 330, nsid=1).status == expected
    assert left.set_feature(controller_feature, 330).status == 0
    assert left.feature(namespace_feature, nsid=2).status == 0
    assert left.set_feature(namespace_feature, 0, nsid=2).status == 0
    answer = left.set_feature(controller_feature, 330, nsid=0xFFFFFFFF)
    assert (answer.status, answer.word >> 15) == (status, 0)
    assert left.feature(controller_feature, nsid=0xFFFFFFFF).status == 0


def test_change_falls_back_after_anatt(rig: FabricsRig, left: RigHost, right: RigHost) -> None:
    rig.subsystem.set_ana_state(1, NON_OPTIMIZED, portid=2)
    right.news()
    rig.subsystem.set_ana_state(1, CHANGE)
    assert (left.ana()[1][0], right.ana()[1][0]) == (CHANGE, CHANGE)
    assert (left.news(), right.news()) == ([LogPage.ANA], [LogPage.ANA])
    rig.run_for(10 * SECOND - 1)
    assert (left.news(), right.news()) == ([], [])
    rig.run_for(1)
    assert (left.ana()[1][0], right.ana()[1][0]) == (OPTIMIZED, NON_OPTIMIZED)
    assert (left.news(), right.news()) == ([LogPage.ANA], [LogPage.ANA])


def test_change_that_is_said_again_lasts_no_longer(rig: FabricsRig, left: RigHost) -> None:
    rig.subsystem.set_ana_state(1, CHANGE, portid=1)
    rig.run_for(6 * SECOND)
    rig.subsystem.set_ana_state(1, CHANGE, portid=1)
    rig.run_for(4 * SECOND)
    assert left.ana()[1][0] is OPTIMIZED


def test_a_change_that_was_finished_does_not_fall_back(rig: FabricsRig, left: RigHost) -> None:
    for portid in (None, 1):
        rig.subsystem.set_ana_state(1, CHANGE, portid=1)
        rig.run_for(SECOND)
        rig.subsystem.set_ana_state(1, INACCESSIBLE, portid=portid)
        rig.run_for(60 * SECOND)
        assert left.ana()[1][0] is INACCESSIBLE
        rig.subsystem.set_ana_state(1, OPTIMIZED)
    assert rig.target.poll_deadline() is None


def test_a_change_takes_the_time_that_it_is_given(rig: FabricsRig, left: RigHost, right: RigHost) -> None:
    rig.subsystem.change_ana_state(1, INACCESSIBLE, duration_ns=3 * SECOND, portid=1)
    assert (left.ana()[1][0], left.read()) == (CHANGE, StatusCode.ANA_TRANSITION)
    rig.run_for(3 * SECOND)
    assert (left.ana()[1][0], right.ana()[1][0]) == (INACCESSIBLE, OPTIMIZED)
    rig.subsystem.change_ana_state(1, NON_OPTIMIZED, duration_ns=3 * SECOND)
    rig.run_for(3 * SECOND)
    assert (left.ana()[1][0], right.ana()[1][0]) == (NON_OPTIMIZED, NON_OPTIMIZED)


def test_a_change_to_change_ends_in_the_state_from_before(rig: FabricsRig, left: RigHost) -> None:
    rig.subsystem.set_ana_state(1, NON_OPTIMIZED)
    rig.subsystem.change_ana_state(1, CHANGE, duration_ns=2 * SECOND)
    rig.run_for(2 * SECOND - 1)
    assert left.ana()[1][0] == CHANGE
    rig.run_for(1)
    assert left.ana()[1][0] == NON_OPTIMIZED


@pytest.mark.parametrize("duration_ns", [0, -1, 10 * SECOND + 1])
def test_a_change_that_hosts_would_not_wait_for_is_refused(rig: FabricsRig, duration_ns: int) -> None:
    with pytest.raises(LocalError, match="at most 10 seconds"):
        rig.subsystem.change_ana_state(1, OPTIMIZED, duration_ns=duration_ns)
    assert rig.subsystem.ana.state(1) is OPTIMIZED


def test_a_change_from_before_the_first_look_at_the_clock_begins_then() -> None:
    subsystem = disk(16)
    subsystem.set_ana_state(1, CHANGE)
    target = Target([subsystem])
    start = 10**18
    target.handle_timeout(start)
    target.handle_timeout(start + 10 * SECOND - 1)
    assert subsystem.ana.state(1) is CHANGE
    target.handle_timeout(start + 10 * SECOND)
    assert subsystem.ana.state(1) is OPTIMIZED


def test_a_change_of_a_subsystem_that_went_waits(rig: FabricsRig) -> None:
    subsystem = rig.subsystem
    subsystem.set_ana_state(1, CHANGE)
    rig.target.remove_subsystem(subsystem.nqn)
    rig.run_for(60 * SECOND)
    assert subsystem.ana.state(1) is CHANGE
    rig.target.add_subsystem(subsystem)
    rig.run_for(10 * SECOND)
    assert subsystem.ana.state(1) is OPTIMIZED


def test_nothing_follows_persistent_loss_for_who_has_seen_it(rig: FabricsRig, left: RigHost, right: RigHost) -> None:
    rig.subsystem.set_ana_state(1, LOST, portid=2)
    assert right.ana()[1][0] is LOST
    for state in (OPTIMIZED, CHANGE):
        rig.subsystem.set_ana_state(1, state, portid=2)
        rig.settle()
        assert (left.is_connected, right.is_connected) == (True, False)
        again = rig.host(port=1)
        assert again.ana()[1][0] is state
        rig.subsystem.set_ana_state(1, LOST, portid=2)
        right = again


def test_a_change_from_persistent_loss_falls_back_to_it(rig: FabricsRig) -> None:
    rig.subsystem.set_ana_state(1, LOST)
    rig.subsystem.set_ana_state(1, CHANGE)
    host = rig.host()
    rig.run_for(10 * SECOND)
    assert host.is_connected
    assert host.ana()[1][0] is LOST
