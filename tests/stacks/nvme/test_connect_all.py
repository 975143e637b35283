"""Discovery services that are watched, and connecting to everything that they list. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.nvme.bindings.tcp import TcpInitiator, TcpTarget
from stacks.nvme.host import (
    ConnectAll,
    DiscoveredSubsystem,
    DiscoveryWatch,
    HostConfig,
    HostController,
    Path,
    ReconnectPolicy,
)
from stacks.nvme.stores import InlineExecutor, MemoryStore
from stacks.nvme.target import PortAddress, Subsystem, Target
from stacks.runtime import LocalError
from transports.simulation import Simulation
from transports.simulation.streams import StreamWorld
from wire.nvme.kinds import TransportType
from wire.nvme.opcodes import DISCOVERY_NQN

SECOND = 1_000_000_000
A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
HOST = "192.0.2.9"
NQNS = {name: f"nqn.2026-11.io.baremetal:{name}" for name in ("red", "green", "blue", "late")}
OWN = "nqn.2026-11.io.baremetal:discovery"


def disk(name: str) -> Subsystem:
    subsystem = Subsystem(NQNS[name])
    subsystem.add_namespace(MemoryStore(1 << 20))
    return subsystem


class Site:
    """Target processes by address, and a host."""

    def __init__(self) -> None:
        self.simulation = Simulation(1)
        self.world = StreamWorld(self.simulation)
        self.initiator = TcpInitiator()
        self.world.attach(self.initiator, HOST)
        self.targets: dict[str, Target] = {}
        self.hosts: dict[str, Any] = {}
        self.changes: list[tuple[list[str], list[str]]] = []

    def start(self, address: str, *names: str, referrals: tuple[str, ...] = (), nqn: str = DISCOVERY_NQN) -> Target:
        target = self.targets[address] = Target([disk(name) for name in names], discovery_nqn=nqn)
        core = TcpTarget(target, address)
        self.hosts[address] = self.world.attach(core, address, [InlineExecutor(target)], ports=[4420])
        for referral in referrals:
            target.discovery.add_referral(PortAddress(TransportType.TCP, referral, 4420))
        return target

    def kill(self, address: str) -> None:
        self.world.detach(self.hosts.pop(address))

    def watch(self, address: str = A, *, nqn: str = DISCOVERY_NQN, **policy: float) -> DiscoveryWatch:
        reconnect = ReconnectPolicy(**{"reconnect_delay": 5, **policy})  # type: ignore[arg-type]
        config = HostConfig(nqn=nqn, keep_alive_ms=30_000)
        path = Path(self.initiator, address, config, port=4420, policy=reconnect)
        watch = DiscoveryWatch(path, self._note, self.simulation.now)
        self.simulation.run_until(lambda: watch.is_settled)
        return watch

    def _note(self, added: list[DiscoveredSubsystem], removed: list[DiscoveredSubsystem]) -> None:
        self.changes.append((names_of(added), names_of(removed)))

    def connect_all(self, address: str = A, *, is_persistent: bool = False) -> ConnectAll:
        everything = ConnectAll(
            lambda transport, host: self._connector(transport),
            HostConfig(),
            reconnect=ReconnectPolicy(reconnect_delay=5),
            is_persistent=is_persistent,
        )
        everything.add_service("tcp", address, 4420, self.simulation.now)
        self.simulation.run_until(lambda: everything.is_settled)
        return everything

    def _connector(self, transport: str) -> TcpInitiator:
        if transport != "tcp":
            raise LocalError(f"there is no {transport} here")
        return self.initiator


def names_of(entries: list[DiscoveredSubsystem]) -> list[str]:
    return sorted(entry.nqn.rpartition(":")[2] for entry in entries if entry.kind == "nvm")


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_watch_tells_what_is_there_and_what_comes_and_goes(site: Site) -> None:
    target = site.start(A, "red")
    watch = site.watch()
    assert site.changes == [(["red"], [])]
    target.add_subsystem(disk("green"))
    site.simulation.run_for(SECOND)
    target.remove_subsystem(NQNS["red"])
    site.simulation.run_for(SECOND)
    assert site.changes[1:] == [(["green"], []), ([], ["red"])]
    assert names_of(watch.entries) == ["green"]


def test_many_changes_at_once_are_read_until_nothing_is_new(site: Site) -> None:
    target = site.start(A)
    watch = site.watch()
    for name in ("red", "green", "blue", "late"):
        target.add_subsystem(disk(name))
        site.simulation.run_for(20_000)
    site.simulation.run_for(SECOND)
    assert names_of(watch.entries) == ["blue", "green", "late", "red"]


def test_a_watch_stays_through_silence_and_through_the_death_of_its_service(site: Site) -> None:
    site.start(A, "red")
    watch = site.watch()
    site.simulation.run_for(3600 * SECOND)
    assert watch.path.is_live
    assert watch.path.losses == 0
    site.kill(A)
    site.simulation.run_for(60 * SECOND)
    assert names_of(watch.entries) == ["red"], "a service that is away has not said that anything went"
    site.start(A, "red", "green")
    site.simulation.run_until(lambda: len(site.changes) == 2)
    assert site.changes[1] == (["green"], [])


def test_a_service_that_nobody_runs_is_settled_with_a_reason(site: Site) -> None:
    watch = site.watch()
    assert watch.path.is_removed
    assert "is a target running there?" in watch.path.failure
    assert not watch.is_read


def test_a_service_under_an_nqn_of_its_own_is_a_discovery_controller_all_the_same(site: Site) -> None:
    site.start(A, "red", nqn=OWN)
    watch = site.watch(nqn=OWN)
    host = watch.path.host
    assert isinstance(host, HostController)
    assert host.is_discovery
    assert host.io_queues == []
    assert names_of(watch.entries) == ["red"]


def test_everything_that_is_listed_is_connected(site: Site) -> None:
    site.start(A, "red", "green")
    everything = site.connect_all()
    assert sorted(everything.subsystems) == sorted([NQNS["red"], NQNS["green"]])
    assert all(subsystem.is_live for subsystem in everything.subsystems.values())
    assert everything.failures == {}
    site.simulation.run_for(10 * SECOND)
    assert all(watch.path.is_removed for watch in everything.services.values()), "it was asked once"
    everything.stop(site.simulation.now)
    site.simulation.run_until(lambda: everything.is_over)
    site.simulation.run_for(SECOND)
    assert site.initiator.hosts == []


def test_a_subsystem_that_is_listed_at_two_places_has_two_paths(site: Site) -> None:
    target = site.start(A, "red")
    core = TcpTarget(target, B)
    site.world.attach(core, B, [InlineExecutor(target)], ports=[4420])
    everything = site.connect_all()
    subsystem = everything.subsystems[NQNS["red"]]
    assert sorted(path.address for path in subsystem.paths) == [A, B]
    assert all(path.is_live for path in subsystem.paths)


def test_referrals_are_followed_and_circles_end(site: Site) -> None:
    site.start(A, "red", referrals=(B,))
    site.start(B, "green", referrals=(A, C))
    site.start(C, "blue", referrals=(A, B, C))
    everything = site.connect_all()
    assert sorted(place[1] for place in everything.services) == [A, B, C]
    assert sorted(everything.subsystems) == sorted([NQNS["red"], NQNS["green"], NQNS["blue"]])
    assert all(subsystem.is_live for subsystem in everything.subsystems.values())


def test_a_referral_to_nobody_holds_up_nothing(site: Site) -> None:
    site.start(A, "red", referrals=(B,))
    everything = site.connect_all()
    assert list(everything.subsystems) == [NQNS["red"]]
    (service,) = [watch for place, watch in everything.services.items() if place[1] == B]
    assert service.path.is_removed
    assert list(everything.failures) == [f"tcp://{B}:4420/{DISCOVERY_NQN}"]
    assert all(everything.failures.values())


def test_entries_that_cannot_be_used_are_named_with_the_reason(site: Site) -> None:
    target = site.start(A, "red")
    target.discovery.add_referral(PortAddress(TransportType.RDMA, B, 4420))
    target.discovery.add_referral(PortAddress(TransportType.FIBRE_CHANNEL, C, 4420))
    everything = site.connect_all()
    assert sorted(everything.skipped.values()) == ["fibre channel is not supported", "there is no rdma here"]
    assert list(everything.subsystems) == [NQNS["red"]]


def test_what_is_listed_later_is_connected_then_and_what_goes_stays_connected(site: Site) -> None:
    target = site.start(A, "red", "green")
    everything = site.connect_all(is_persistent=True)
    target.add_subsystem(disk("late"))
    site.simulation.run_until(lambda: NQNS["late"] in everything.subsystems and everything.is_settled)
    assert everything.subsystems[NQNS["late"]].is_live
    site.start(B, "blue")
    target.discovery.add_referral(PortAddress(TransportType.TCP, B, 4420))
    site.simulation.run_until(lambda: NQNS["blue"] in everything.subsystems and everything.is_settled)
    assert everything.subsystems[NQNS["blue"]].is_live
    target.discovery.remove_referral(PortAddress(TransportType.TCP, B, 4420))
    site.simulation.run_for(60 * SECOND)
    assert everything.subsystems[NQNS["blue"]].is_live
    everything.stop(site.simulation.now)
    site.simulation.run_until(lambda: everything.is_over)
