"""Targets that die and paths that break under a workload that verifies, over real transports in virtual time."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

import pytest

from stacks.nvme.host import HostNamespace, PathPolicy, ReconnectPolicy
from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem
from tests.stacks.nvme.path_rig import BLOCK, INITIATOR, TCP, PathRig
from tests.stacks.nvme.transfers import SECOND
from tests.stacks.nvme.verifier import Verifier
from wire.nvme.kinds import AnaState

pytestmark = pytest.mark.slow
DAY = 24 * 3600


def verifier(rig: PathRig, namespace: HostNamespace, *, depth: int = 8, is_paced: bool = True) -> Verifier:
    def later(action: Callable[[], None]) -> None:
        rig.simulation.after(50_000_000, action)

    return Verifier(namespace, random.Random(rig.simulation.seed), depth=depth, later=later if is_paced else None)


def finish(rig: PathRig, work: Verifier) -> None:
    work.is_stopped = True
    rig.run_until(lambda: work.is_idle)
    assert work.problems == []


@pytest.mark.parametrize("transport", ["tcp", "rdma"])
def test_a_target_that_is_killed_and_comes_back_costs_a_single_path_no_command(transport: str) -> None:
    rig = PathRig(tcp=int(transport == "tcp"), rdma=int(transport == "rdma"))
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=2))
    work = verifier(rig, namespace, is_paced=False)
    for round_ in range(4):
        rig.run_until(lambda round_=round_: work.verified > 50 * (round_ + 1))  # type: ignore[misc]
        rig.kill_target()
        rig.run_for(3 * SECOND)
        done = work.written + work.verified
        rig.start_target()
        rig.run_until(lambda done=done: work.written + work.verified > done + 50)  # type: ignore[misc]
    finish(rig, work)
    (path,) = rig.multipath.paths
    assert path.losses == 4
    assert rig.multipath.failovers >= 4
    assert len((rig.tcp if transport == "tcp" else rig.rdma).hosts) == 1


@pytest.mark.parametrize("policy", PathPolicy)
@pytest.mark.parametrize("seed", range(2))
def test_two_paths_of_either_transport_take_turns_in_dying(policy: PathPolicy, seed: int) -> None:
    rig = PathRig(tcp=1, rdma=1, seed=seed, policy=policy)
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=3))
    work = verifier(rig, namespace)
    for round_ in range(6):
        address = rig.addresses[round_ % 2]
        done = work.verified
        rig.close_port(address)
        rig.run_until(lambda done=done: work.verified > done + 50)  # type: ignore[misc]
        rig.open_port(address)
        rig.run_until(lambda: all(path.is_live for path in rig.multipath.paths))
    finish(rig, work)
    assert all(path.losses for path in rig.multipath.paths)


def test_a_network_that_falls_silent_is_noticed_by_the_keep_alive_and_passed_by() -> None:
    rig = PathRig(tcp=2)
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=3))
    work = verifier(rig, namespace)
    rig.run_for(SECOND // 10)
    rig.world.silence(TCP[0], INITIATOR)
    began = rig.simulation.now
    rig.run_for(SECOND // 10)
    done = work.verified
    rig.run_until(lambda: work.verified > done)
    assert rig.simulation.now - began <= 7.6 * SECOND
    # The target, too, gives the association up before anything that was on its way can arrive.
    rig.run_for(20 * SECOND)
    rig.world.heal(TCP[0], INITIATOR)
    rig.run_until(lambda: all(path.is_live for path in rig.multipath.paths))
    finish(rig, work)


def test_access_states_are_followed_while_io_runs() -> None:
    rig = PathRig(tcp=1, rdma=1, policy=PathPolicy.ROUND_ROBIN)
    work = verifier(rig, rig.connect())
    head = rig.multipath.heads[1]
    ports = [port.portid for port in rig.target.ports]
    hosts = [path.host for path in rig.multipath.paths]
    for number in range(12):
        good, bad = number % 2, 1 - number % 2
        state = (AnaState.INACCESSIBLE, AnaState.CHANGE)[number // 2 % 2]
        rig.subsystem.set_ana_state(1, AnaState.OPTIMIZED, portid=ports[good])
        rig.subsystem.set_ana_state(1, state, portid=ports[bad])
        rig.run_until(lambda good=good: head.usable == [hosts[good]])  # type: ignore[misc]
        done = work.verified
        rig.run_until(lambda done=done: work.verified > done + 30)  # type: ignore[misc]
    finish(rig, work)
    assert [path.losses for path in rig.multipath.paths] == [0, 0]


def test_with_no_path_accessible_commands_wait_and_then_all_end_well() -> None:
    rig = PathRig(tcp=2, policy=PathPolicy.QUEUE_DEPTH)
    work = verifier(rig, rig.connect())
    rig.run_for(SECOND // 10)
    rig.subsystem.set_ana_state(1, AnaState.INACCESSIBLE)
    rig.run_for(30 * SECOND)
    done = work.verified + work.written + work.flushes
    rig.run_for(300 * SECOND)
    assert work.verified + work.written + work.flushes == done
    assert rig.multipath.waiting == 8
    rig.subsystem.set_ana_state(1, AnaState.NON_OPTIMIZED)
    rig.run_until(lambda: work.verified > done)
    finish(rig, work)


def test_a_namespace_that_grows_while_a_path_is_down_has_its_new_size_on_both() -> None:
    stores = [MemoryStore(16 * BLOCK)]
    rig = PathRig(*stores, tcp=2)
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=2))
    rig.close_port(TCP[0])
    rig.run_for(SECOND)
    stores[0].resize(64 * BLOCK)
    rig.subsystem.resize_namespace(1)
    rig.run_until(lambda: namespace.block_count == 64)
    rig.open_port(TCP[0])
    rig.run_until(lambda: all(path.is_live for path in rig.multipath.paths))
    assert namespace.block_count == 64


def test_another_disk_under_the_same_name_after_a_restart_gets_nothing() -> None:
    class Changing(PathRig):
        starts = 0

        def prepare(self, subsystem: Subsystem) -> None:
            self.starts += 1
            if self.starts > 1:
                store = subsystem.remove_namespace(1).store
                subsystem.add_namespace(store, nsid=1, identifier=uuid.UUID(int=99))

    rig = Changing()
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=2))
    rig.kill_target()
    write = namespace.write(0, memoryview(b"\xff" * BLOCK))
    rig.start_target()
    rig.finish(write)
    assert "its identifiers differ" in write.ending
    into = bytearray(BLOCK)
    rig.stores[0].read(0, memoryview(into))
    assert into == bytes(BLOCK)


def test_memory_is_bounded_while_everything_is_down() -> None:
    rig = PathRig(tcp=1, rdma=1)
    policy = ReconnectPolicy(reconnect_delay=5, ctrl_loss_tmo=-1, waiting_max=1000)
    namespace = rig.connect(policy=policy)
    rig.kill_target()
    rig.run_for(60 * SECOND)
    data = memoryview(bytes(BLOCK))
    transfers = [namespace.write(block % 64, data) for block in range(1500)]
    assert rig.multipath.waiting == 1000
    assert sum(transfer.is_done for transfer in transfers) == 500
    rig.run_for(3600 * SECOND)
    assert rig.multipath.waiting == 1000
    assert len(rig.tcp.hosts) <= 1
    assert len(rig.rdma.hosts) <= 1
    rig.start_target()
    rig.finish(*transfers)
    assert sum(1 for transfer in transfers if not transfer.status) == 1000


def cut_in_turn(rig: PathRig, *, seconds: int, failures: int) -> Verifier:
    """Two paths, of which one is cut and comes back every so often, under I/O that never stops for long."""
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=10))
    work = verifier(rig, namespace, depth=0)
    failed = verified = 0
    for second in range(seconds):
        for _ in range(2):
            work.is_stopped = False
            work.next()
        work.is_stopped = True
        if (second + 1) * failures // seconds > failed:
            # While commands are on their way, each time at another point of theirs.
            rig.run_for(1000 + 997 * failed % 60_000)
            rig.world.cut(TCP[failed % 2])
            failed += 1
        rig.run_until(lambda: work.is_idle, timeout_ns=SECOND)
        while work.verified == verified:
            work.next()
            rig.run_until(lambda: work.is_idle, timeout_ns=SECOND)
        verified = work.verified
        rig.run_for(max(0, (second + 1) * SECOND - rig.simulation.now))
    assert sum(path.losses for path in rig.multipath.paths) == failures
    finish(rig, work)
    assert work.verified >= seconds
    return work


def test_paths_are_cut_in_turn_and_every_second_has_a_verified_operation() -> None:
    cut_in_turn(PathRig(tcp=2, policy=PathPolicy.ROUND_ROBIN), seconds=500, failures=20)


@pytest.mark.long
def test_a_day_with_five_hundred_path_failures_and_a_verified_operation_in_every_second() -> None:
    rig = PathRig(tcp=2, policy=PathPolicy.ROUND_ROBIN)
    cut_in_turn(rig, seconds=DAY, failures=500)
    assert rig.simulation.now >= DAY * SECOND
