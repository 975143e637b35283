"""Keep-alive, second by second: traffic-based intervals, timeouts in every state, and how they are set."""

from __future__ import annotations

import pytest

from stacks.nvme.target import Command, ControllerState
from stacks.nvme.target.keep_alive import KATO_MAX_MS
from tests.stacks.nvme.core_rig import ENABLE, NQN, SHUT_DOWN_NORMAL, SQE_WORDS, sqe
from tests.stacks.nvme.fabrics_rig import SECOND, FabricsRig, RigHost, RigQueue, host_nqn
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FeatureId
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode


def silent(kato_ms: int) -> tuple[FabricsRig, RigHost]:
    """A host whose last interval begins now."""
    rig = FabricsRig()
    host = rig.host(kato_ms=kato_ms)
    host.admin.do(sqe(AdminOpcode.KEEP_ALIVE))
    return rig, host


def test_a_whole_interval_without_a_command_ends_the_association() -> None:
    rig, host = silent(5000)
    rig.run_for(5 * SECOND - 1)
    assert host.is_connected
    rig.run_for(1)
    assert not host.is_connected
    assert not host.io.is_connected
    assert rig.target.controllers == []
    assert rig.target.keep_alive_expirations == 1
    assert rig.subsystem.unsafe_shutdowns == 1


def test_an_expired_controller_reports_a_fatal_error_and_takes_nothing_while_it_lasts() -> None:
    rig, host = silent(1000)
    rig.target.handle_timeout(SECOND)
    controller = rig.target.controllers[0]
    assert controller.state is ControllerState.FAILED
    assert controller.property(PropertyOffset.CSTS) == (2, 4)
    assert sorted(queue.qid for queue in rig.ports[0].closing) == [0, 1]
    cid = host.io.send(sqe(2, nsid=1), expect=4096)
    host.io.pump()
    assert cid not in host.io.answers


def test_a_command_late_in_an_interval_counts_for_no_more_than_that_interval() -> None:
    # NVMe Base 2.0 3.9.4.1: it takes up to twice KATO to notice.
    rig, host = silent(5000)
    rig.run_for(1 * SECOND)
    assert host.read() == 0
    rig.run_for(4 * SECOND)
    assert host.is_connected
    rig.run_for(5 * SECOND - 1)
    assert host.is_connected
    rig.run_for(1)
    assert not host.is_connected


def test_io_alone_keeps_a_controller_alive() -> None:
    rig, host = silent(5000)
    for _ in range(20):
        rig.run_for(5 * SECOND - 1)
        assert host.read() == 0
    assert rig.target.keep_alive_expirations == 0


def test_admin_commands_alone_keep_a_controller_alive() -> None:
    rig, host = silent(5000)
    for _ in range(20):
        rig.run_for(5 * SECOND - 1)
        host.nsids()
    assert host.is_connected


def test_a_command_that_fails_counts_as_well() -> None:
    rig, host = silent(5000)
    for _ in range(5):
        rig.run_for(4 * SECOND)
        assert host.admin.do(sqe(0xC0)).status == StatusCode.INVALID_OPCODE
        assert host.io.do(sqe(0xC0)).status == StatusCode.INVALID_OPCODE
    assert host.is_connected


def test_a_command_that_the_binding_cannot_take_counts_as_well() -> None:
    rig, host = silent(5000)
    for _ in range(5):
        rig.run_for(4 * SECOND)
        command = Command()
        command.words = SQE_WORDS(sqe(2, nsid=1).encode(), 0)
        host.io.queue.refuse(command, StatusCode.INVALID_SGL_TYPE)
        host.io.pump()
    assert host.is_connected


def test_fabrics_commands_do_not_count() -> None:
    rig, host = silent(5000)
    for _ in range(4):
        rig.run_for(SECOND)
        host.admin.read_property(PropertyOffset.CSTS)
    rig.run_for(SECOND)
    assert not host.is_connected


def test_a_keep_alive_command_begins_an_interval() -> None:
    rig, host = silent(5000)
    rig.run_for(4 * SECOND)
    host.admin.do(sqe(AdminOpcode.KEEP_ALIVE))
    rig.run_for(5 * SECOND - 1)
    assert host.is_connected
    rig.run_for(1)
    assert not host.is_connected


def test_a_new_timeout_begins_an_interval() -> None:
    rig, host = silent(5000)
    rig.run_for(4 * SECOND)
    assert host.set_feature(FeatureId.KEEP_ALIVE_TIMER, 2000).status == 0
    rig.run_for(2 * SECOND - 1)
    assert host.is_connected
    rig.run_for(1)
    assert not host.is_connected


@pytest.mark.parametrize(
    ("asked", "effective"), [(1, 1000), (1000, 1000), (1001, 2000), (5000, 5000), (KATO_MAX_MS, KATO_MAX_MS)]
)
def test_a_timeout_is_rounded_up_to_the_granularity(asked: int, effective: int) -> None:
    rig = FabricsRig()
    host = rig.host(kato_ms=asked)
    assert host.feature(FeatureId.KEEP_ALIVE_TIMER).dw0 == effective
    assert host.set_feature(FeatureId.KEEP_ALIVE_TIMER, 7000).status == 0
    assert host.set_feature(FeatureId.KEEP_ALIVE_TIMER, asked).status == 0
    assert host.feature(FeatureId.KEEP_ALIVE_TIMER).dw0 == effective


def test_the_granularity_and_the_mode_are_announced() -> None:
    page = IdentifyController.decode(FabricsRig().host().admin.identify(1).data)
    assert page.kas == 10
    assert page.ctratt & 1 << 6


@pytest.mark.parametrize("value", [0, KATO_MAX_MS + 1, 0xFFFFFFFF])
def test_a_timeout_that_cannot_be_is_refused_and_changes_nothing(value: int) -> None:
    rig, host = silent(5000)
    assert host.set_feature(FeatureId.KEEP_ALIVE_TIMER, value).status == StatusCode.KEEP_ALIVE_INVALID
    assert host.feature(FeatureId.KEEP_ALIVE_TIMER).dw0 == 5000
    rig.run_for(10 * SECOND)
    assert not host.is_connected


def test_connect_with_a_timeout_that_is_too_long_is_refused() -> None:
    rig = FabricsRig()
    queue = RigQueue(rig, rig.ports[0])
    answer = queue.connect(kato_ms=KATO_MAX_MS + 1, host_nqn=host_nqn("one"))
    assert answer.status == StatusCode.KEEP_ALIVE_INVALID
    assert rig.target.controllers == []
    assert queue.connect(kato_ms=KATO_MAX_MS, host_nqn=host_nqn("one")).status == 0


def test_an_io_controller_without_a_timeout_lives_for_ever() -> None:
    rig = FabricsRig()
    host = rig.host()
    rig.run_for(1000 * 3600 * SECOND)
    assert host.is_connected
    assert host.set_feature(FeatureId.KEEP_ALIVE_TIMER, 1000).status == 0
    rig.run_for(2 * SECOND)
    assert not host.is_connected


def test_a_discovery_controller_without_a_timeout_lives_two_minutes_longer_than_its_host_is_heard() -> None:
    rig = FabricsRig()
    host = rig.host(nqn=DISCOVERY_NQN)
    host.admin.do(sqe(AdminOpcode.KEEP_ALIVE))
    rig.run_for(120 * SECOND - 1)
    assert host.is_connected
    rig.run_for(1)
    assert not host.is_connected


def test_a_discovery_controller_takes_a_timeout_away_and_falls_back_to_two_minutes() -> None:
    rig = FabricsRig()
    host = rig.host(nqn=DISCOVERY_NQN, kato_ms=1000)
    assert host.set_feature(FeatureId.KEEP_ALIVE_TIMER, 0).status == 0
    rig.run_for(120 * SECOND - 1)
    assert host.is_connected
    rig.run_for(1)
    assert not host.is_connected


def test_an_association_that_is_not_enabled_ends_after_two_minutes_whatever_its_timeout() -> None:
    for kato_ms in (0, 1000, 3600_000):
        rig = FabricsRig()
        queue = RigQueue(rig, rig.ports[0])
        queue.connect(kato_ms=kato_ms, host_nqn=host_nqn("one"))
        rig.run_for(120 * SECOND - 1)
        assert queue.is_connected
        rig.run_for(1)
        assert not queue.is_connected
        assert rig.target.associations_expired == 1
        assert rig.subsystem.unsafe_shutdowns == 0


def test_the_timer_begins_when_the_controller_is_enabled() -> None:
    rig = FabricsRig()
    queue = RigQueue(rig, rig.ports[0])
    queue.connect(kato_ms=2000, host_nqn=host_nqn("one"))
    rig.run_for(60 * SECOND)
    queue.set_property(PropertyOffset.CC, ENABLE)
    rig.run_for(2 * SECOND - 1)
    assert queue.is_connected
    rig.run_for(1)
    assert not queue.is_connected


@pytest.mark.parametrize("configuration", [0, SHUT_DOWN_NORMAL], ids=["reset", "shut down"])
def test_a_reset_or_shut_down_controller_is_kept_for_two_minutes(configuration: int) -> None:
    rig, host = silent(1000)
    host.admin.set_property(PropertyOffset.CC, configuration)
    rig.run_for(120 * SECOND - 1)
    assert host.is_connected
    assert rig.target.keep_alive_expirations == 0
    rig.run_for(1)
    assert not host.is_connected


def test_a_shutdown_takes_as_long_as_its_stores_take() -> None:
    rig, host = silent(1000)
    controller = rig.target.controllers[0]
    controller.configure(SHUT_DOWN_NORMAL)
    assert rig.target.poll_store_requests()
    rig.run_for(3600 * SECOND)
    assert host.is_connected
    assert controller.state is ControllerState.SHUTTING_DOWN


def test_keep_alive_does_not_outlive_its_controller() -> None:
    rig, host = silent(1000)
    host.io.queue.closed()
    host.admin.queue.closed()
    rig.run_for(10 * SECOND)
    assert rig.target.keep_alive_expirations == 0
    assert rig.target.poll_deadline() is None


def test_hosts_are_timed_apart() -> None:
    rig = FabricsRig()
    quick, slow = rig.host("quick", kato_ms=1000), rig.host("slow", kato_ms=60_000)
    rig.run_for(10 * SECOND)
    assert not quick.is_connected
    assert slow.is_connected
    assert slow.read() == 0
    assert RigQueue(rig, rig.ports[0]).connect(nqn=NQN, host_nqn=quick.nqn).status == 0
