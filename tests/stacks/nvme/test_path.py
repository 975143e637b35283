"""A path: when it connects, how it is lost, how it comes back, and when it is given up. In virtual time."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.host import NO_RECONNECT, HostConfig, Path, ReconnectPolicy
from stacks.nvme.host.path_state import PathState
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.path_rig import INITIATOR, RDMA, TCP, PathRig
from tests.stacks.nvme.transfers import SECOND

PARTS = {"tcp": (1, 0, TCP[0]), "rdma": (0, 1, RDMA[0])}


@pytest.fixture(params=["tcp", "rdma"])
def rig(request: pytest.FixtureRequest) -> PathRig:
    tcp, rdma, _ = PARTS[request.param]
    return PathRig(tcp=tcp, rdma=rdma)


def start(rig: PathRig, path: Path) -> Path:
    path.start(rig.simulation.now)
    rig.run_until(lambda: path.is_live or path.is_removed)
    return path


def live(rig: PathRig, **policy: float) -> Path:
    path = start(rig, rig.path(rig.addresses[0], policy=ReconnectPolicy(**policy)))  # type: ignore[arg-type]
    assert path.is_live, path.failure
    return path


def lose(rig: PathRig, path: Path) -> int:
    """Kill the target; when the path noticed."""
    rig.kill_target()
    rig.run_until(lambda: not path.is_live)
    return rig.simulation.now


def test_it_connects_and_ends_in_order(rig: PathRig) -> None:
    path = live(rig)
    assert (path.attempts, path.losses, path.failure) == (1, 0, "")
    path.stop(rig.simulation.now)
    rig.run_until(lambda: path.is_removed)
    rig.run_for(SECOND)
    assert path.failure == ""
    assert path.connector.policies == {}
    assert rig.tcp.hosts == rig.rdma.hosts == []


def test_nobody_there_at_first_is_final(rig: PathRig) -> None:
    rig.kill_target()
    path = start(rig, rig.path(rig.addresses[0]))
    assert path.is_removed
    assert path.attempts == 1
    assert "is a target running there?" in path.failure


def test_the_first_connection_is_tried_for_longer_when_the_policy_says_so(rig: PathRig) -> None:
    rig.kill_target()
    path = rig.path(rig.addresses[0], policy=ReconnectPolicy(retries_first=True, ctrl_loss_tmo=300))
    path.start(rig.simulation.now)
    rig.run_for(60 * SECOND)
    assert path.state in (PathState.WAITING, PathState.CONNECTING)
    assert path.attempts > 1
    rig.start_target()
    rig.run_until(lambda: path.is_live)
    assert path.losses == 0


def test_the_first_connection_is_given_up_after_the_controller_loss_timeout(rig: PathRig) -> None:
    rig.kill_target()
    path = rig.path(rig.addresses[0], policy=ReconnectPolicy(retries_first=True, ctrl_loss_tmo=35))
    path.start(rig.simulation.now)
    rig.run_until(lambda: path.is_removed)
    assert rig.simulation.now == 35 * SECOND
    assert path.failure.endswith("given up after 35 seconds")


def test_a_lost_path_comes_back_after_the_reconnect_delay(rig: PathRig) -> None:
    path = live(rig, reconnect_delay=4)
    lost = lose(rig, path)
    assert path.state is PathState.WAITING
    assert path.failure
    rig.start_target()
    rig.run_until(lambda: path.state is PathState.CONNECTING)
    assert rig.simulation.now == lost + 4 * SECOND
    rig.run_until(lambda: path.is_live)
    assert (path.attempts, path.losses, path.failure) == (2, 1, "")


def test_it_goes_on_trying_until_the_controller_loss_timeout() -> None:
    rig = PathRig()
    path = live(rig, reconnect_delay=2, ctrl_loss_tmo=21)
    lost = lose(rig, path)
    rig.run_until(lambda: path.is_removed)
    assert rig.simulation.now == lost + 21 * SECOND
    assert path.attempts == 1 + 10
    assert path.failure.endswith("given up after 21 seconds")
    rig.run_for(60 * SECOND)
    assert path.attempts == 1 + 10
    assert rig.tcp.hosts == []


def test_an_attempt_under_way_is_given_up_with_the_path() -> None:
    rig = PathRig()
    path = live(rig, reconnect_delay=2, ctrl_loss_tmo=10)
    lost = lose(rig, path)
    rig.start_target()
    rig.world.silence(TCP[0], INITIATOR)
    rig.run_until(lambda: path.is_removed)
    assert rig.simulation.now == lost + 10 * SECOND
    assert path.attempts == 2
    rig.world.heal(TCP[0], INITIATOR)
    rig.run_for(60 * SECOND)
    assert path.is_removed
    assert rig.tcp.hosts == []


def test_minus_one_never_gives_up() -> None:
    rig = PathRig()
    path = live(rig, reconnect_delay=60, ctrl_loss_tmo=-1)
    lose(rig, path)
    rig.run_for(24 * 3600 * SECOND)
    assert path.state is PathState.WAITING
    assert len(rig.tcp.hosts) <= 1
    rig.start_target()
    rig.run_until(lambda: path.is_live)
    assert path.attempts > 24 * 59


def test_without_reconnecting_what_is_lost_is_lost(rig: PathRig) -> None:
    path = start(rig, rig.path(rig.addresses[0], policy=NO_RECONNECT))
    lose(rig, path)
    assert path.is_removed
    rig.run_for(SECOND)
    assert path.connector.policies == {}


def test_a_second_loss_has_the_whole_time_again() -> None:
    rig = PathRig()
    path = live(rig, reconnect_delay=5, ctrl_loss_tmo=30)
    for _ in range(3):
        lost = lose(rig, path)
        rig.run_until(lambda lost=lost: rig.simulation.now >= lost + 22 * SECOND)  # type: ignore[misc]
        rig.start_target()
        rig.run_until(lambda: path.is_live)
    lost = lose(rig, path)
    rig.run_until(lambda: path.is_removed)
    assert rig.simulation.now == lost + 30 * SECOND
    assert path.losses == 4


@pytest.mark.parametrize("why", ["no such subsystem", "not this host"])
def test_a_refusal_for_good_ends_a_path_that_was_live(why: str) -> None:
    rig = PathRig()
    path = live(rig, reconnect_delay=2)
    lose(rig, path)
    if why == "no such subsystem":
        rig.start_target()
        del rig.target.subsystems[NQN]
        expected = f"the target has no subsystem {NQN}"
    else:
        rig.start_target()
        rig.subsystem.allowed_hosts = frozenset(["nqn.2026-11.io.baremetal:other"])
        expected = f"{NQN} does not let host"
    rig.run_until(lambda: path.is_removed)
    assert path.attempts == 2
    assert path.failure.startswith(expected)


def test_fast_fail_comes_before_the_path_is_given_up_and_ends_with_the_outage() -> None:
    rig = PathRig()
    path = live(rig, reconnect_delay=2, ctrl_loss_tmo=60, fast_io_fail_tmo=15)
    lost = lose(rig, path)
    assert path.is_available
    rig.run_until(lambda: not path.is_available)
    assert rig.simulation.now == lost + 15 * SECOND
    assert not path.is_removed
    rig.start_target()
    rig.run_until(lambda: path.is_live)
    assert path.is_available
    rig.run_for(100 * SECOND)
    assert path.is_live


def test_a_reset_connects_again_without_delay(rig: PathRig) -> None:
    path = live(rig, reconnect_delay=30)
    rig.simulation.after(SECOND, lambda: path.reset(rig.simulation.now))
    rig.run_until(lambda: path.attempts == 2)
    assert rig.simulation.now < 2 * SECOND
    rig.run_until(lambda: path.is_live)


def test_it_can_be_stopped_in_every_state() -> None:
    for moment in ("new", "connecting", "live", "waiting", "connecting again"):
        rig = PathRig()
        path = rig.path(policy=ReconnectPolicy(reconnect_delay=2))
        if moment != "new":
            path.start(0)
        if moment in ("live", "waiting", "connecting again"):
            rig.run_until(lambda path=path: path.is_live)  # type: ignore[misc]
        if moment in ("waiting", "connecting again"):
            lose(rig, path)
        if moment == "connecting again":
            rig.start_target()
            rig.run_until(lambda path=path: path.state is PathState.CONNECTING)  # type: ignore[misc]
        path.stop(rig.simulation.now)
        path.stop(rig.simulation.now)
        rig.run_until(lambda path=path: path.is_removed)  # type: ignore[misc]
        rig.run_for(100 * SECOND)
        assert path.failure == "", moment
        assert rig.tcp.hosts == [], moment
        assert path.connector.policies == {}, moment


def test_delays_are_drawn_only_from_the_random_numbers_given() -> None:
    rig = PathRig()
    policy = ReconnectPolicy(reconnect_delay=10, jitter=0.5)
    path = Path(rig.tcp, TCP[0], HostConfig(nqn=NQN), port=4420, policy=policy, rng=random.Random(5))
    start(rig, path)
    lost = lose(rig, path)
    rig.run_until(lambda: path.attempts == 2)
    expected = 10 * (1 + random.Random(5).random() * 0.5)
    assert rig.simulation.now == lost + int(expected * SECOND)


@pytest.mark.parametrize(
    "wrong", [{"reconnect_delay": 0}, {"reconnect_delay": -1}, {"ctrl_loss_tmo": -2}, {"fast_io_fail_tmo": -3}]
)
def test_times_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LocalError):
        ReconnectPolicy(**wrong)  # type: ignore[arg-type]


def test_it_starts_once() -> None:
    rig = PathRig()
    path = live(rig)
    with pytest.raises(LocalError, match="START is not possible in state LIVE"):
        path.start(rig.simulation.now)


@pytest.mark.parametrize("call", ["create_qp", "reg_mr"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_device_that_has_run_out_of_something_is_asked_again_later(call: str, nth: int) -> None:
    rig = PathRig(tcp=0, rdma=1)
    path = live(rig, reconnect_delay=2)
    lose(rig, path)
    rule = rig.rdma.device.exhaust(call, nth=nth)
    rig.start_target()
    rig.run_until(lambda: path.is_live)
    assert rule.has_fired
    assert path.attempts > 2
    rig.run_for(10 * SECOND)
    assert len(rig.rdma.hosts) == 1
