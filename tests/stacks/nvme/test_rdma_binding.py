"""The RDMA binding's own rules: connecting, being refused, data in and outside of capsules, the end of things."""

from __future__ import annotations

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiatorConfig, RdmaTargetConfig
from stacks.nvme.bindings.rdma.parameters import reject_reason, rejection_text
from stacks.nvme.host import ConnectionFailed, DiscoveredSubsystem, HostConfig, HostState, read_discovery_log
from stacks.nvme.stores import MemoryStore
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.held_stores import HoldingExecutor
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET
from transports.packets import Packet
from transports.simulation import Impairments
from wire.nvme.kinds import RdmaRejectStatus
from wire.nvme.opcodes import DISCOVERY_NQN
from wire.nvme.rdma_codec import RdmaConnectReject, RdmaConnectRequest
from wire.nvme.status import StatusCode

DATA = bytes(range(256)) * 16 * 40


def opcodes(rig: RdmaRig) -> list[tuple[str, int]]:
    """Notes source and BTH opcode of every packet from now on."""
    seen: list[tuple[str, int]] = []

    def note(packet: Packet) -> list[Packet]:
        seen.append((packet.source[0], packet.payload[0]))
        return [packet]

    rig.network.hook = note
    return seen


READ_REQUEST, SEND_ONLY, SEND_ONLY_INV, WRITE_ONLY, WRITE_FIRST = 0x0C, 0x04, 0x17, 0x0A, 0x06


def test_a_small_write_travels_inside_its_capsule() -> None:
    rig = RdmaRig()
    namespace = rig.namespace()
    seen = opcodes(rig)
    assert rig.do(namespace.write(0, memoryview(DATA)[:8192])) == 0
    assert READ_REQUEST not in {opcode for _, opcode in seen}
    assert rig.read(namespace, 0, 2) == DATA[:8192]


def test_a_large_write_is_read_by_the_target() -> None:
    rig = RdmaRig()
    namespace = rig.namespace()
    seen = opcodes(rig)
    assert rig.do(namespace.write(0, memoryview(DATA))) == 0
    assert ("192.0.2.1", READ_REQUEST) in seen
    assert rig.read(namespace, 0, 40) == DATA


@pytest.mark.parametrize("invalidates", [False, True])
def test_a_read_is_written_to_the_host_and_a_lent_key_comes_back_invalid(invalidates: bool) -> None:
    rig = RdmaRig(initiator=RdmaInitiatorConfig(invalidates=invalidates))
    namespace = rig.namespace()
    seen = opcodes(rig)
    into = bytearray(4096)
    assert rig.do(namespace.read(0, memoryview(into))) == 0
    from_target = [opcode for source, opcode in seen if source != INITIATOR]
    assert WRITE_ONLY in from_target
    assert (SEND_ONLY_INV in from_target) == invalidates
    assert (SEND_ONLY in from_target) != invalidates


def test_registered_memory_is_read_and_written_in_place() -> None:
    rig = RdmaRig()
    namespace = rig.namespace()
    memory = bytearray(DATA)
    region = rig.initiator.register(memory)
    view = region.view
    assert rig.do(namespace.write(0, view[:4096], region=region)) == 0
    assert rig.do(namespace.write(1, view[4096:], region=region, offset=4096)) == 0
    memory[:] = bytes(len(memory))
    assert rig.do(namespace.read(0, view, region=region)) == 0
    assert memory == DATA
    del view
    rig.initiator.deregister(region)
    memory.append(0)


def test_io_beyond_mdts_is_split() -> None:
    rig = RdmaRig(MemoryStore(4 << 20), target=RdmaTargetConfig(shelves=((8 << 10, 64), (64 << 10, 8))))
    namespace = rig.namespace()
    host = rig.initiator.hosts[0]
    assert host.max_transfer_bytes == 64 << 10
    before = rig.rdma_target.counters.capsules_received
    data = DATA * 10
    assert rig.do(namespace.write(1, memoryview(data))) == 0
    assert rig.rdma_target.counters.capsules_received - before == 25
    assert rig.read(namespace, 1, 400) == data


def test_more_io_than_buffers_and_cids_waits_its_turn() -> None:
    rig = RdmaRig(MemoryStore(4 << 20), initiator=RdmaInitiatorConfig(shelves=((64 << 10, 4),)))
    namespace = rig.namespace(queue_entries=8)
    data = [memoryview(bytes([number]) * 16384) for number in range(100)]
    rig.finish(*(namespace.write(number * 4, each) for number, each in enumerate(data)))
    for number in range(0, 100, 9):
        assert rig.read(namespace, number * 4, 4) == data[number]


def test_several_io_queues_share_the_work() -> None:
    rig = RdmaRig()
    namespace = rig.namespace(io_queues=4)
    rig.finish(*(namespace.write(block, memoryview(DATA)[:4096]) for block in range(64)))
    host = rig.initiator.hosts[0]
    assert len(host.io_queues) == 4
    assert rig.rdma_target.queue_count == 5
    assert rig.read(namespace, 63, 1) == DATA[:4096]


def test_many_hosts_are_served_side_by_side() -> None:
    rig = RdmaRig()
    hosts = [rig.connect(HostConfig(nqn=NQN, host_nqn=f"nqn.2026-11.io.baremetal:host{n}")) for n in range(5)]
    for number, host in enumerate(hosts):
        assert rig.do(host.namespace().write(number, memoryview(DATA)[:4096])) == 0
    assert len(rig.target.controllers) == 5
    assert rig.read(hosts[0].namespace(), 4, 1) == DATA[:4096]


def test_an_orderly_stop_leaves_nothing_behind() -> None:
    rig = RdmaRig()
    rig.namespace()
    host = rig.initiator.hosts[0]
    host.stop(rig.simulation.now)
    rig.run_until(lambda: host.is_closed and rig.initiator.is_quiet)
    rig.run_for(SECOND)
    assert host.failure == ""
    assert rig.target.controllers == []
    assert rig.rdma_target.queue_count == 0
    assert rig.subsystem.unsafe_shutdowns == 0
    assert rig.rdma_target.device.qps == {}
    rig.initiator.forget(host)
    assert rig.initiator.device.qps == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nqn": NQN + "x"}, f"the target has no subsystem {NQN}x"),
        ({"nqn": NQN, "host_nqn": "nqn.2026-11.io.baremetal:stranger"}, "does not let host .*stranger in"),
    ],
)
def test_a_refused_connect_says_why(options: dict[str, str], message: str) -> None:
    rig = RdmaRig()
    rig.subsystem.allowed_hosts = {"nqn.2026-11.io.baremetal:host"}
    host = rig.connect(HostConfig(**options))  # type: ignore[arg-type]
    assert host.state is HostState.CLOSED
    with pytest.raises(ConnectionFailed, match=message):
        raise ConnectionFailed(host.failure)


def test_a_port_nobody_listens_on_says_so() -> None:
    assert "nobody listens on 192.0.2.1:4421" in RdmaRig().connect(port=4421).failure


def test_a_stop_before_anybody_answered_is_over_at_once() -> None:
    rig = RdmaRig()
    host = rig.initiator.connect("192.0.2.99", HostConfig(nqn=NQN), rig.simulation.now)
    rig.run_for(SECOND)
    assert not host.is_closed
    host.stop(rig.simulation.now)
    rig.run_for(1)
    assert host.is_closed
    assert not host.failure
    assert rig.initiator.is_quiet
    assert rig.initiator.device.qps == {}


@pytest.mark.parametrize("after_ns", [1, 300_000, 600_000, 1_000_000, 2_000_000])
def test_a_stop_while_connecting_leaves_nothing_behind(after_ns: int) -> None:
    rig = RdmaRig(impairments=Impairments(delay_ns=100_000))
    host = rig.initiator.connect(TARGET, HostConfig(nqn=NQN), rig.simulation.now)
    rig.run_for(after_ns)
    assert not host.is_live
    host.stop(rig.simulation.now)
    rig.run_until(lambda: host.is_closed and rig.initiator.is_quiet and not rig.initiator.device.qps)
    assert not host.failure
    rig.run_for(SECOND)
    assert rig.rdma_target.queue_count == 0


def test_an_address_where_nobody_is_says_so() -> None:
    assert "no answer from 192.0.2.9:4420" in RdmaRig().connect(address="192.0.2.9").failure


def test_a_target_with_enough_queues_refuses_more() -> None:
    rig = RdmaRig(target=RdmaTargetConfig(queues_max=2))
    rig.namespace()
    assert "no resources" in rig.connect(HostConfig(nqn=NQN)).failure
    assert rig.rdma_target.counters.connections_rejected == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (RdmaConnectRequest(recfmt=1, hrqsize=32, hsqsize=31), RdmaRejectStatus.INVALID_RECFMT),
        (RdmaConnectRequest(qid=200, hrqsize=32, hsqsize=31), RdmaRejectStatus.INVALID_QID),
        (RdmaConnectRequest(hrqsize=32, hsqsize=0), RdmaRejectStatus.INVALID_HSQSIZE),
        (RdmaConnectRequest(hrqsize=32, hsqsize=999), RdmaRejectStatus.INVALID_HSQSIZE),
        (RdmaConnectRequest(hrqsize=0, hsqsize=31), RdmaRejectStatus.INVALID_HRQSIZE),
        (RdmaConnectRequest(hrqsize=32, hsqsize=31), None),
    ],
)
def test_private_data_is_judged_field_by_field(request_: RdmaConnectRequest, status: RdmaRejectStatus | None) -> None:
    assert reject_reason(request_.encode(), entries_max=257, queues_max=128) is status


def test_private_data_that_is_too_short_is_refused() -> None:
    assert reject_reason(b"\0" * 31, entries_max=257, queues_max=128) is RdmaRejectStatus.INVALID_PRIVATE_DATA_LENGTH


def test_a_rejection_is_explained_in_words() -> None:
    text = rejection_text("10.0.0.1:4420", 28, RdmaConnectReject(status=4).encode())
    assert text == "10.0.0.1:4420 refuses the queue: invalid hsqsize"
    assert "reason 9" in rejection_text("10.0.0.1:4420", 9, b"")


def test_a_target_that_drains_tells_its_hosts() -> None:
    rig = RdmaRig()
    rig.namespace()
    host = rig.initiator.hosts[0]
    rig.rdma_target.drain()
    rig.run_until(lambda: host.is_closed and rig.rdma_target.is_drained)
    assert host.failure == "the target at 192.0.2.1:4420 closed the connection"
    assert "nobody listens" in rig.connect(HostConfig(nqn=NQN)).failure


def test_a_target_that_loses_power_is_noticed_and_io_ends() -> None:
    rig = RdmaRig()
    namespace = rig.namespace()
    host = rig.initiator.hosts[0]
    rig.network.detach(rig.target_host)
    transfers = [namespace.read(block, memoryview(bytearray(4096))) for block in range(200)]
    rig.run_until(lambda: host.is_closed)
    assert host.failure == "the target at 192.0.2.1:4420 stopped answering"
    transfers.append(namespace.read(0, memoryview(bytearray(4096))))
    assert all(transfer.status == StatusCode.HOST_PATH_ERROR for transfer in transfers)
    assert all(transfer.problem == host.failure for transfer in transfers)
    rig.initiator.forget(host)
    assert rig.initiator.device.qps == {}


def test_a_host_that_falls_silent_is_dropped_and_its_memory_comes_back() -> None:
    rig = RdmaRig()
    rig.namespace(keep_alive_ms=2000)
    # So that nothing is left that it has not acknowledged, and keep-alive alone can tell.
    rig.run_for(SECOND // 10)
    rig.network.detach(rig.initiator_host)
    rig.run_until(lambda: rig.rdma_target.queue_count == 0)
    assert rig.target.keep_alive_expirations == 1
    assert rig.target.controllers == []
    assert rig.subsystem.unsafe_shutdowns == 1


def test_an_idle_host_keeps_itself_alive() -> None:
    rig = RdmaRig()
    namespace = rig.namespace(keep_alive_ms=2000)
    rig.run_for(60 * SECOND)
    assert rig.target.keep_alive_expirations == 0
    assert rig.read(namespace, 0, 1) == bytes(4096)


def test_a_command_that_its_store_never_ends_ends_the_association() -> None:
    rig = RdmaRig(executor=HoldingExecutor)
    namespace = rig.namespace(command_timeout_ns=SECOND, keep_alive_ms=0)
    host = rig.initiator.hosts[0]
    executor = rig.executor
    assert isinstance(executor, HoldingExecutor)
    executor.is_holding = True
    transfer = namespace.read(0, memoryview(bytearray(4096)))
    rig.run_until(lambda: host.is_closed)
    assert len(executor.held) == host.watchdog.aborts == 1
    assert host.failure == "the controller did not answer a command within 1 seconds, nor after an Abort"
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_a_late_command_that_no_store_has_is_aborted_and_the_association_lives() -> None:
    rig = RdmaRig(executor=None)
    namespace = rig.namespace(command_timeout_ns=SECOND, keep_alive_ms=0)
    transfer = namespace.read(0, memoryview(bytearray(4096)))
    assert rig.do(transfer) == StatusCode.ABORTED_BY_REQUEST
    rig.run_for(60 * SECOND)
    assert rig.initiator.hosts[0].is_live


def test_a_new_namespace_appears_at_the_host() -> None:
    rig = RdmaRig()
    rig.namespace()
    host = rig.initiator.hosts[0]
    events: list[int] = []
    host.on_event = events.append
    rig.subsystem.add_namespace(MemoryStore(1 << 22))
    rig.run_until(lambda: 2 in host.namespaces)
    assert events == [0x00040002]
    assert host.namespace(2).size_bytes == 1 << 22
    rig.subsystem.remove_namespace(1)
    rig.run_until(lambda: 1 not in host.namespaces)


def test_discovery_finds_the_subsystem() -> None:
    rig = RdmaRig()
    host = rig.connect(HostConfig(nqn=DISCOVERY_NQN, keep_alive_ms=0))
    found: list[DiscoveredSubsystem] = []
    outcome: list[StackError | None] = []
    host.run(read_discovery_log(host, found), outcome.append, rig.simulation.now)
    rig.run_until(lambda: bool(outcome))
    assert outcome == [None]
    assert [entry.url for entry in found if entry.kind == "nvm"] == [f"nvme+rdma://192.0.2.1:4420/{NQN}"]


@pytest.mark.parametrize(("block", "length"), [(256, 4096), (255, 8192), (-1, 4096), (0, 100), (0, 0)])
def test_io_outside_the_namespace_is_the_callers_mistake(block: int, length: int) -> None:
    rig = RdmaRig()
    namespace = rig.namespace()
    with pytest.raises(LocalError):
        namespace.read(block, memoryview(bytearray(length)))


def test_a_namespace_that_is_not_there_is_named() -> None:
    rig = RdmaRig()
    rig.namespace()
    host = rig.initiator.hosts[0]
    with pytest.raises(LocalError, match="has no namespace 7; it has namespace 1"):
        host.namespace(7)
    rig.subsystem.add_namespace(MemoryStore(1 << 20))
    rig.run_until(lambda: 2 in host.namespaces)
    with pytest.raises(LocalError, match="namespaces 1, 2; say which"):
        host.namespace()
