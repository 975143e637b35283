"""What a target offers to its hosts, over TCP, over RDMA, over QUIC, and over two at a time, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaTarget
from stacks.nvme.bindings.tcp import TcpTarget
from stacks.nvme.host import (
    DiscoveredSubsystem,
    HostCommand,
    HostConfig,
    HostController,
    HostNamespace,
    read_discovery_log,
)
from stacks.nvme.host.command import set_features
from stacks.nvme.stores import InlineExecutor, MemoryStore
from stacks.nvme.target import PortAddress, Subsystem
from stacks.rdma import Device
from stacks.runtime.errors import StackError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.quic_rig import QuicRig
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND, TARGET
from transports.simulation.network import Network
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FeatureId
from wire.nvme.status import StatusCode

Rig = TcpRig | RdmaRig | QuicRig
HOST_NQN = HostConfig().host_nqn
OTHER_NQN = "nqn.2026-11.io.baremetal:other"


@pytest.fixture(params=[TcpRig, RdmaRig, QuicRig], ids=["tcp", "rdma", "quic"])
def rig(request: pytest.FixtureRequest) -> Rig:
    make: Callable[..., Rig] = request.param
    return make(MemoryStore(1 << 20))


def discovered(rig: Rig, host: HostController) -> list[DiscoveredSubsystem]:
    found: list[DiscoveredSubsystem] = []
    outcome: list[StackError | None] = []
    host.run(read_discovery_log(host, found), outcome.append, rig.simulation.now)
    rig.run_until(lambda: bool(outcome))
    assert outcome == [None]
    return found


def test_a_host_is_kicked_and_comes_back(rig: Rig) -> None:
    host = rig.connect()
    assert host.is_live
    assert rig.subsystem.disconnect_host(HOST_NQN) == 1
    rig.run_until(lambda: host.is_closed)
    assert rig.target.controllers == []
    assert rig.read(rig.namespace(), 0, 1) == bytes(4096)


def test_a_host_that_is_denied_is_disconnected_and_refused(rig: Rig) -> None:
    rig.subsystem.allowed_hosts = [HOST_NQN, OTHER_NQN]
    host, other = rig.connect(), rig.connect(HostConfig(nqn=NQN, host_nqn=OTHER_NQN))
    rig.subsystem.deny_host(HOST_NQN)
    rig.run_until(lambda: host.is_closed)
    assert other.is_live
    assert "does not let host" in rig.connect().failure


def test_a_port_that_goes_takes_its_hosts_with_it(rig: Rig) -> None:
    host = rig.connect()
    rig.target.remove_port(rig.target.ports[0])
    rig.run_until(lambda: host.is_closed)
    assert "has no subsystem" in rig.connect().failure


def test_each_host_has_its_own_namespaces_and_hears_of_them(rig: Rig) -> None:
    rig.subsystem.add_namespace(MemoryStore(1 << 20), visible_to=[OTHER_NQN])
    host, other = rig.connect(), rig.connect(HostConfig(nqn=NQN, host_nqn=OTHER_NQN))
    assert (sorted(host.namespaces), sorted(other.namespaces)) == ([1], [1, 2])
    rig.subsystem.show_namespace(2, HOST_NQN)
    rig.run_until(lambda: 2 in host.namespaces)
    assert rig.read(host.namespace(2), 0, 1) == bytes(4096)
    rig.subsystem.hide_namespace(2, OTHER_NQN)
    rig.run_until(lambda: 2 not in other.namespaces)
    assert [dw0 >> 16 for dw0 in host.events] == [4]


def test_a_host_hears_of_another_size(rig: Rig) -> None:
    host = rig.connect()
    store = MemoryStore(1 << 21)
    store.block_count = 256
    rig.subsystem.add_namespace(store)
    rig.run_until(lambda: 2 in host.namespaces)
    store.block_count = 512
    rig.subsystem.resize_namespace(2)
    rig.run_until(lambda: host.namespaces[2].block_count == 512)
    assert rig.read(host.namespace(2), 511, 1) == bytes(4096)


def test_an_idle_host_keeps_itself_alive_and_a_silent_one_goes(rig: Rig) -> None:
    host = rig.connect(HostConfig(nqn=NQN, keep_alive_ms=4000))
    rig.run_for(600 * SECOND)
    assert host.is_live
    assert rig.target.keep_alive_expirations == 0
    silent = rig.connect(HostConfig(nqn=NQN, host_nqn=OTHER_NQN, keep_alive_ms=0))
    rig.target.controllers[-1].set_keep_alive(2000)
    rig.run_until(lambda: silent.is_closed)
    assert rig.target.keep_alive_expirations == 1
    assert host.is_live


def test_a_persistent_discovery_connection_hears_of_changes(rig: Rig) -> None:
    host = rig.connect(HostConfig(nqn=DISCOVERY_NQN, keep_alive_ms=5000))
    assert [entry.kind for entry in discovered(rig, host)] == ["current discovery", "nvm"]
    rig.target.discovery.add_referral(PortAddress(TransportType.TCP, "203.0.113.9", 8009))
    rig.target.add_subsystem(Subsystem(NQN + ":private", allowed_hosts=[OTHER_NQN]))
    rig.run_for(SECOND)
    assert host.events == [0x0070F002]
    found = discovered(rig, host)
    assert [(entry.kind, entry.host) for entry in found[1:]] == [("nvm", TARGET), ("referral", "203.0.113.9")]
    rig.run_for(600 * SECOND)
    assert host.is_live


@pytest.mark.parametrize("pause_ms", [4990, 3000])
def test_a_keep_alive_counts_from_when_it_comes_however_quiet_it_was_before(pause_ms: int) -> None:
    # Neither pieces nor anything else have the target look before all of the command is there.
    rig = TcpRig(cuts=False)
    host = rig.connect(HostConfig(nqn=NQN, keep_alive_ms=0))
    answered: list[int] = []

    def send(command: HostCommand) -> None:
        command.done = lambda command: answered.append(command.status)
        host.submit_admin(command, rig.simulation.now)
        rig.initiator_host.wake()

    send(set_features(FeatureId.KEEP_ALIVE_TIMER, 5000))
    start, pause_ns = rig.simulation.now, pause_ms * 1_000_000
    for number in range(1, 5):
        # Not `run_for` once for each: it has everybody look at the clock.
        rig.simulation.schedule(start + number * pause_ns, lambda: send(HostCommand(AdminOpcode.KEEP_ALIVE)))
    rig.run_for(4 * pause_ns + 4 * SECOND)
    assert host.is_live, host.failure
    assert answered == [0] * 5
    rig.run_for(2 * SECOND)
    assert host.is_closed


def test_a_discovery_connection_without_a_keep_alive_time_ends_after_two_minutes_of_silence(rig: Rig) -> None:
    host = rig.connect(HostConfig(nqn=DISCOVERY_NQN, keep_alive_ms=0))
    rig.run_for(119 * SECOND)
    assert host.is_live
    rig.run_for(122 * SECOND)
    assert host.is_closed


def test_a_subsystem_behind_tcp_and_rdma_fails_over_from_one_to_the_other() -> None:
    tcp = TcpRig(MemoryStore(1 << 20))
    network = Network(tcp.simulation)
    device = Device("192.0.2.3", rng=random.Random(1))
    rdma_target = RdmaTarget(device, tcp.target)
    network.attach(rdma_target, device.address, [InlineExecutor(tcp.target)])
    initiator_device = Device("192.0.2.4", rng=random.Random(2))
    initiator = RdmaInitiator(initiator_device)
    end = network.attach(initiator, initiator_device.address)
    over_tcp = tcp.namespace()
    host = initiator.connect("192.0.2.3", HostConfig(nqn=NQN), tcp.simulation.now)
    end.wake()
    tcp.run_until(lambda: host.is_live)
    over_rdma = host.namespace()

    def status(namespace: HostNamespace) -> int:
        transfer = namespace.write(7, memoryview(bytearray(b"\x07" * 4096)))
        end.wake()
        return tcp.do(transfer)

    assert (status(over_tcp), status(over_rdma)) == (0, 0)
    tcp_port, rdma_port = tcp.target.ports
    for dead, alive in ((tcp_port, rdma_port), (rdma_port, tcp_port)):
        tcp.subsystem.set_ana_state(1, AnaState.INACCESSIBLE, portid=dead.portid)
        tcp.subsystem.set_ana_state(1, AnaState.OPTIMIZED, portid=alive.portid)
        found = {tcp_port: status(over_tcp), rdma_port: status(over_rdma)}
        assert found == {dead: StatusCode.ANA_INACCESSIBLE, alive: 0}
    entries = discovered(tcp, tcp.connect(HostConfig(nqn=DISCOVERY_NQN)))
    assert [(entry.kind, entry.transport) for entry in entries] == [
        ("current discovery", "tcp"),
        ("current discovery", "rdma"),
        ("nvm", "tcp"),
        ("nvm", "rdma"),
    ]


def test_a_tcp_port_at_every_address_is_named_as_the_host_found_it() -> None:
    rig = TcpRig(MemoryStore(1 << 20))
    everywhere = TcpTarget(rig.target, "0.0.0.0", 4421)
    rig.world.attach(everywhere, "192.0.2.77", [InlineExecutor(rig.target)], ports=[4421])
    host = rig.connect(HostConfig(nqn=DISCOVERY_NQN), address="192.0.2.77", port=4421)
    found = {(entry.host, entry.port) for entry in discovered(rig, host) if entry.kind == "nvm"}
    assert found == {(TARGET, "4420"), ("192.0.2.77", "4421")}
