"""How connections of the TCP binding begin, are refused and end, between ends of ours."""

from __future__ import annotations

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.host import ConnectionFailed, HostConfig, HostState, read_discovery_log
from stacks.nvme.stores import MemoryStore
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_raw import RawController, Relay
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET
from wire.nvme.kinds import TcpPduKind
from wire.nvme.opcodes import DISCOVERY_NQN
from wire.nvme.status import StatusCode

DATA = bytes(range(256)) * 16 * 40


def test_an_orderly_stop_leaves_nothing_behind() -> None:
    rig = TcpRig()
    rig.namespace()
    host = rig.initiator.hosts[0]
    host.stop(rig.simulation.now)
    rig.run_until(lambda: host.is_closed and rig.initiator.is_quiet)
    rig.run_for(SECOND)
    assert host.failure == ""
    assert rig.target.controllers == []
    assert rig.tcp_target.queue_count == 0
    assert rig.subsystem.unsafe_shutdowns == 0
    assert rig.target_host.streams.connection_count == rig.initiator_host.streams.connection_count == 0
    rig.initiator.forget(host)
    assert rig.initiator.hosts == []


@pytest.mark.parametrize("after_ns", [0, 5_000, 10_000, 15_000, 25_000, 45_000, 90_000, 200_000, 500_000])
def test_a_stop_while_connecting_leaves_nothing_behind(after_ns: int) -> None:
    rig = TcpRig()
    host = rig.initiator.connect(TARGET, HostConfig(nqn=NQN), rig.simulation.now)
    rig.run_for(after_ns)
    host.stop(rig.simulation.now)
    rig.run_until(lambda: host.is_closed and rig.initiator.is_quiet)
    assert not host.failure
    rig.run_for(12 * SECOND)
    assert rig.tcp_target.queue_count == 0
    assert rig.target_host.streams.connection_count == rig.initiator_host.streams.connection_count == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nqn": NQN + "x"}, f"the target has no subsystem {NQN}x"),
        ({"nqn": NQN, "host_nqn": "nqn.2026-11.io.baremetal:stranger"}, "does not let host .*stranger in"),
    ],
)
def test_a_refused_connect_says_why(options: dict[str, str], message: str) -> None:
    rig = TcpRig()
    rig.subsystem.allowed_hosts = {"nqn.2026-11.io.baremetal:host"}
    host = rig.connect(HostConfig(**options))  # type: ignore[arg-type]
    assert host.state is HostState.CLOSED
    with pytest.raises(ConnectionFailed, match=message):
        raise ConnectionFailed(host.failure)


def test_a_port_nobody_listens_on_says_so() -> None:
    assert TcpRig().connect(port=4421).failure == (
        f"no answer from {TARGET}:4421 (connection refused); is a target running there?"
    )


def test_an_address_where_nobody_answers_says_so_in_time() -> None:
    rig = TcpRig()
    rig.world.silence(TARGET, INITIATOR)
    start = rig.simulation.now
    assert rig.connect().failure == f"no answer from {TARGET}:4420; is a target running there?"
    assert rig.simulation.now - start < 15 * SECOND
    assert rig.initiator_host.streams.connection_count == 0
    assert rig.initiator.poll_deadline() is None


def test_a_target_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    rig = TcpRig()
    controller = RawController(rig)
    start = rig.simulation.now
    assert rig.connect(address=controller.address).failure == (
        f"no answer from {controller.address}:4420; is a target running there?"
    )
    assert rig.simulation.now - start < 15 * SECOND


def test_a_connection_that_took_long_ago_to_open_is_not_held_against_a_later_one() -> None:
    rig = TcpRig()
    rig.namespace(keep_alive_ms=0)
    rig.run_for(100 * SECOND)
    assert rig.connect().is_live
    rig.run_for(20 * SECOND)
    assert all(host.is_live for host in rig.initiator.hosts)


@pytest.mark.parametrize("limit", ["connections_max", "connections_per_host"])
def test_a_target_with_enough_connections_refuses_more(limit: str) -> None:
    rig = TcpRig(target=TcpTargetConfig(**{limit: 2}))
    rig.namespace()
    host = rig.connect(HostConfig(nqn=NQN))
    assert host.failure == f"no answer from {TARGET}:4420; is a target running there?"
    assert rig.tcp_target.counters.connections_rejected == 1
    assert rig.initiator.hosts[0].is_live


@pytest.mark.parametrize("queues", [1, 3])
def test_a_target_that_drains_ends_each_connection_at_once_when_nothing_is_under_way(queues: int) -> None:
    rig = TcpRig()
    rig.namespace(io_queues=queues)
    host = rig.initiator.hosts[0]
    start = rig.simulation.now
    rig.tcp_target.drain()
    rig.tcp_target.drain()
    rig.target_host.wake()
    rig.run_until(lambda: host.is_closed and rig.tcp_target.is_drained)
    assert rig.simulation.now - start < SECOND // 10
    assert host.failure == f"the target at {TARGET}:4420 closed the connection"
    assert "no answer" in rig.connect(HostConfig(nqn=NQN)).failure


def test_a_drain_loses_no_answer_however_much_waits_to_be_sent() -> None:
    rig = TcpRig(MemoryStore(8 << 20))
    namespace = rig.namespace()
    into = [bytearray(1 << 18) for _ in range(32)]
    reads = [namespace.read(0, memoryview(each)) for each in into]
    rig.initiator_host.wake()
    before = rig.tcp_target.counters.capsules_received
    rig.run_until(lambda: rig.tcp_target.counters.capsules_received == before + 32)
    assert not all(read.is_done for read in reads)
    rig.tcp_target.drain()
    rig.target_host.wake()
    rig.run_until(lambda: rig.tcp_target.is_drained and rig.initiator.hosts[0].is_closed)
    assert {read.status for read in reads} == {0}
    assert rig.tcp_target.port.pool.free_buffers == 4096 + 256 + 32


def test_a_target_that_is_killed_is_noticed_and_io_ends() -> None:
    rig = TcpRig()
    namespace = rig.namespace()
    host = rig.initiator.hosts[0]
    rig.world.detach(rig.target_host)
    transfers = [namespace.read(block, memoryview(bytearray(4096))) for block in range(200)]
    rig.run_until(lambda: host.is_closed)
    assert host.failure == f"the connection to the target at {TARGET}:4420 broke (connection reset by peer)"
    transfers.append(namespace.read(0, memoryview(bytearray(4096))))
    assert all(transfer.status == StatusCode.HOST_PATH_ERROR for transfer in transfers)
    assert all(transfer.problem == host.failure for transfer in transfers)
    rig.initiator.forget(host)


def test_a_host_that_is_killed_is_dropped_and_its_memory_comes_back() -> None:
    rig = TcpRig(MemoryStore(4 << 20))
    namespace = rig.namespace()
    for block in range(32):
        namespace.write(block * 16, memoryview(DATA)[:65536])
        namespace.read(block * 16, memoryview(bytearray(65536)))
    rig.initiator_host.wake()
    rig.run_for(25_000)
    assert rig.tcp_target.port.pool.free_buffers < 4096 + 256 + 32
    rig.world.detach(rig.initiator_host)
    rig.run_until(lambda: rig.tcp_target.queue_count == 0)
    assert rig.target.controllers == []
    assert rig.subsystem.unsafe_shutdowns == 1
    assert rig.tcp_target.port.pool.free_buffers == 4096 + 256 + 32
    assert rig.tcp_target.counters.connections_lost == 2


def test_a_host_that_falls_silent_is_dropped_by_keep_alive() -> None:
    rig = TcpRig()
    rig.namespace(keep_alive_ms=2000)
    rig.world.silence(TARGET, INITIATOR)
    rig.run_until(lambda: rig.tcp_target.queue_count == 0)
    assert rig.target.keep_alive_expirations == 1
    assert rig.target.controllers == []
    rig.run_for(10 * SECOND)
    assert rig.target_host.streams.connection_count == 0


def test_an_idle_host_keeps_itself_alive() -> None:
    rig = TcpRig()
    namespace = rig.namespace(keep_alive_ms=2000)
    rig.run_for(60 * SECOND)
    assert rig.target.keep_alive_expirations == 0
    assert rig.read(namespace, 0, 1) == bytes(4096)


def test_a_command_without_an_answer_ends_the_association() -> None:
    rig = TcpRig()
    relay = Relay(
        rig, change=lambda number, each: each.raw if each.kind is not TcpPduKind.CONTROLLER_DATA or not number else b""
    )
    host = rig.connect(HostConfig(nqn=NQN, command_timeout_ns=SECOND, keep_alive_ms=0), address=relay.address)
    transfer = host.namespace().read(0, memoryview(bytearray(4096)))
    rig.run_until(lambda: host.is_closed)
    assert host.failure.startswith("the controller did not answer a command within 1 seconds")
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_a_new_namespace_appears_at_the_host() -> None:
    rig = TcpRig()
    rig.namespace()
    host = rig.initiator.hosts[0]
    rig.subsystem.add_namespace(MemoryStore(1 << 22))
    rig.target_host.wake()
    rig.run_until(lambda: 2 in host.namespaces)
    assert host.namespace(2).size_bytes == 1 << 22


def test_discovery_lists_the_port() -> None:
    rig = TcpRig()
    host = rig.connect(HostConfig(nqn=DISCOVERY_NQN, keep_alive_ms=0))
    found: list[object] = []
    outcome: list[StackError | None] = []
    host.run(read_discovery_log(host, found), outcome.append, rig.simulation.now)  # type: ignore[arg-type]
    rig.initiator_host.wake()
    rig.run_until(lambda: bool(outcome))
    assert outcome == [None]
    assert "192.0.2.1" in str(found)
    assert "tcp" in str(found).lower()


def test_forgetting_what_is_not_closed_is_misuse() -> None:
    rig = TcpRig()
    rig.namespace()
    with pytest.raises(LocalError, match="not closed yet"):
        rig.initiator.forget(rig.initiator.hosts[0])


@pytest.mark.parametrize(
    "options",
    [
        {"in_capsule_bytes": 8},
        {"in_capsule_bytes": (32 << 10) + 16},
        {"in_capsule_bytes": -16},
        {"host_data_bytes": 4092},
        {"host_data_bytes": 4098},
        {"host_data_bytes": 1 << 32},
        {"alignment": 32},
        {"alignment": -1},
        {"digests": 4},
    ],
)
def test_a_target_that_nobody_could_talk_to_is_misuse(options: dict[str, int]) -> None:
    with pytest.raises(LocalError, match=next(iter(options)).split("_")[0]):
        TcpTargetConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"digests": 4}, {"digests": -1}, {"max_transfer_bytes": 512}])
def test_an_initiator_that_could_not_talk_is_misuse(options: dict[str, int]) -> None:
    with pytest.raises(LocalError, match=next(iter(options))):
        TcpInitiatorConfig(**options)  # type: ignore[arg-type]
