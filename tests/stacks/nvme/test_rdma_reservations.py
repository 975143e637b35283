"""Two hosts on one target over RDMA in virtual time, with the initiator's own calls."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.host import HostConfig, HostController, HostNamespace
from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.reservations import MemoryReservations
from stacks.nvme.target.reservations.state import ReservationState
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.rdma_rig import RdmaRig, random_blocks
from tests.stacks.nvme.transfers import TARGET
from wire.nvme.reservations import (
    AcquireAction,
    PersistenceChange,
    RegisterAction,
    ReleaseAction,
    ReportedRegistrant,
    ReservationType,
)
from wire.nvme.status import StatusCode

CONFLICT, ABORTED = StatusCode.RESERVATION_CONFLICT, StatusCode.ABORTED_PREEMPT
OTHER = "192.0.2.3"
KEY_A, KEY_B = 0xA, 0xB
NQN_A, NQN_B = "nqn.2026-11.io.baremetal:host-a", "nqn.2026-11.io.baremetal:host-b"
WE, EA, WE_RO = ReservationType.WRITE_EXCLUSIVE, ReservationType.EXCLUSIVE_ACCESS, ReservationType(3)
NOTICE_EVENT = 0x00800006


class TwoHosts:
    """A rig whose initiator is host A, and a second initiator, host B."""

    def __init__(self, *, invalidates: bool = False) -> None:
        self.store = MemoryStore(1 << 22)
        config = RdmaInitiatorConfig(invalidates=invalidates)
        self.rig = RdmaRig(self.store, initiator=config)
        self.second = RdmaInitiator(self.rig.device(OTHER, 9), config=config)
        self.second_host = self.rig.network.attach(self.second, self.second.device.address)
        self.a = self.connect(self.rig.initiator, NQN_A)
        self.b = self.connect(self.second, NQN_B)
        self.ns_a: HostNamespace = self.a.namespace()
        self.ns_b: HostNamespace = self.b.namespace()

    def connect(self, initiator: RdmaInitiator, host_nqn: str) -> HostController:
        config = HostConfig(nqn=NQN, host_nqn=host_nqn, io_queues=2)
        host = initiator.connect(TARGET, config, self.rig.simulation.now)
        self.second_host.wake()
        self.rig.run_until(lambda: host.is_live or host.is_closed)
        assert host.is_live, host.failure
        return host

    def do(self, *transfers: object) -> list[int]:
        """Run transfers, and return their statuses."""
        self.second_host.wake()
        self.rig.finish(*transfers)  # type: ignore[arg-type]
        return [transfer.status for transfer in transfers]  # type: ignore[attr-defined]

    def write(self, namespace: HostNamespace, block: int = 0, data: bytes = bytes(4096)) -> int:
        return self.do(namespace.write(block, memoryview(data)))[0]


@pytest.fixture
def hosts() -> TwoHosts:
    return TwoHosts()


def test_hosts_of_different_names_have_different_identifiers(hosts: TwoHosts) -> None:
    ids = {controller.host_id for controller in hosts.rig.target.controllers}
    assert ids == {HostConfig(host_nqn=nqn).host_identifier for nqn in (NQN_A, NQN_B)}
    assert len(ids) == 2


def test_one_host_keeps_the_other_out_and_lets_it_in_again(hosts: TwoHosts) -> None:
    a, b = hosts.ns_a, hosts.ns_b
    assert hosts.do(a.reservation_register(KEY_A)) == [0]
    assert hosts.do(a.reservation_acquire(KEY_A, EA)) == [0]
    # Large writes come with a READ of the host's memory, small ones in the capsule; many are under way at a time.
    data = random_blocks(random.Random(1), 65536)
    refused = [b.write(index * 16, memoryview(data)) for index in range(8)]
    allowed = [a.write(256 + index * 16, memoryview(data)) for index in range(8)]
    assert hosts.do(*refused, *allowed) == [CONFLICT] * 8 + [0] * 8
    into = memoryview(bytearray(4096))
    assert hosts.do(b.read(0, into), b.flush(), b.write_zeroes(0, 1), b.deallocate([(0, 1)])) == [CONFLICT] * 4
    assert hosts.do(b.reservation_acquire(KEY_A, EA), b.reservation_release(KEY_A, EA)) == [CONFLICT] * 2
    assert hosts.do(a.reservation_release(KEY_A, EA)) == [0]
    assert hosts.do(b.read(256, into)) == [0]
    assert into == data[:4096]
    found = bytearray(4096)
    hosts.store.read(0, memoryview(found))
    assert not any(found)


def test_registrants_share_what_is_reserved_for_them(hosts: TwoHosts) -> None:
    a, b = hosts.ns_a, hosts.ns_b
    # One after the other: two queues keep no order.
    hosts.do(a.reservation_register(KEY_A))
    hosts.do(a.reservation_acquire(KEY_A, WE_RO))
    assert hosts.write(b) == CONFLICT
    assert hosts.do(b.reservation_register(KEY_B)) == [0]
    assert hosts.write(b) == 0
    action = RegisterAction.REPLACE
    assert hosts.do(b.reservation_register(0xBB, key=KEY_B, action=action)) == [0]
    assert hosts.do(b.reservation_register(key=KEY_B, action=RegisterAction.UNREGISTER)) == [CONFLICT]
    assert hosts.do(b.reservation_register(action=RegisterAction.UNREGISTER, ignores_key=True)) == [0]
    assert hosts.write(b) == CONFLICT


def test_the_report_is_decoded(hosts: TwoHosts) -> None:
    hosts.do(hosts.ns_a.reservation_register(KEY_A))
    hosts.do(hosts.ns_b.reservation_register(KEY_B))
    hosts.do(hosts.ns_b.reservation_acquire(KEY_B, WE))
    transfer = hosts.ns_a.reservation_report()
    assert hosts.do(transfer) == [0]
    report = transfer.report
    assert (report.generation, report.kind, report.is_persistent, report.registrant_count) == (2, WE, False, 2)
    assert report.registrants == (
        ReportedRegistrant(hosts.a.config.host_identifier, KEY_A, hosts.a.cntlid, False),
        ReportedRegistrant(hosts.b.config.host_identifier, KEY_B, hosts.b.cntlid, True),
    )


@pytest.mark.parametrize("registrants", [15, 16, 300])
def test_a_report_of_many_is_read_to_its_end(hosts: TwoHosts, registrants: int) -> None:
    namespace = hosts.rig.subsystem.namespaces[1]
    many = {number.to_bytes(16, "big"): number for number in range(1, registrants + 1)}
    namespace.reservations.state = ReservationState(many)
    transfer = hosts.ns_a.reservation_report()
    assert hosts.do(transfer) == [0]
    assert [each.key for each in transfer.report.registrants] == [*range(1, registrants + 1)]


@pytest.mark.parametrize("invalidates", [False, True])
def test_preempt_and_abort_stops_what_the_other_host_has_under_way(invalidates: bool) -> None:
    hosts = TwoHosts(invalidates=invalidates)
    a, b = hosts.ns_a, hosts.ns_b
    hosts.do(a.reservation_register(KEY_A), b.reservation_register(KEY_B))
    hosts.do(b.reservation_acquire(KEY_B, WE_RO))
    data = random_blocks(random.Random(2), 262144)
    writes = [b.write(index * 64, memoryview(data)) for index in range(12)]
    hosts.second_host.wake()
    target = hosts.rig.rdma_target.counters
    before = target.capsules_received
    hosts.rig.run_until(lambda: target.capsules_received > before)
    abort = a.reservation_acquire(KEY_A, EA, action=AcquireAction.PREEMPT_AND_ABORT, preempted_key=KEY_B)
    hosts.do(abort)
    written = [hosts.rig.read(a, index * 64, 64) for index in range(12)]
    hosts.do(*writes)
    assert abort.status == 0
    assert {write.status for write in writes} <= {0, ABORTED, CONFLICT}
    assert ABORTED in {write.status for write in writes}
    # What came to the store was there when the abort was answered, and nothing came later.
    assert [hosts.rig.read(a, index * 64, 64) for index in range(12)] == written
    assert all(found == data for found, write in zip(written, writes, strict=True) if not write.status)


def test_the_other_host_hears_of_it(hosts: TwoHosts) -> None:
    events: list[int] = []
    hosts.b.on_event = events.append
    hosts.do(hosts.ns_a.reservation_register(KEY_A), hosts.ns_b.reservation_register(KEY_B))
    hosts.do(hosts.ns_a.reservation_release(KEY_A, action=ReleaseAction.CLEAR))
    hosts.rig.run_until(lambda: bool(events))
    assert events == [NOTICE_EVENT]
    transfer = hosts.ns_b.reservation_report()
    hosts.do(transfer)
    assert transfer.report.registrants == ()


def test_what_is_persistent_is_saved_before_the_answer(hosts: TwoHosts) -> None:
    kept = MemoryReservations()
    hosts.rig.subsystem.add_namespace(MemoryStore(1 << 20), reservations=kept)
    hosts.rig.run_until(lambda: 2 in hosts.a.namespaces)
    register = hosts.a.namespace(2).reservation_register(KEY_A, persistence=PersistenceChange.SET)
    assert hosts.do(register) == [0]
    assert b'"key": 10' in kept.record
    assert hosts.do(hosts.ns_a.reservation_register(KEY_A, persistence=PersistenceChange.SET)) == [
        StatusCode.INVALID_FIELD
    ]


class TestHostIdentifier:
    """Who a host is when it does not say."""

    def test_an_nqn_made_of_a_uuid_has_that_one(self) -> None:
        identity = uuid.UUID("0f01f7e5-8f9a-4f2f-9a3a-6d4c6a1c8f11")
        assert HostConfig(host_nqn=f"nqn.2014-08.org.nvmexpress:uuid:{identity}").host_identifier == identity.bytes

    def test_any_other_nqn_has_one_that_is_always_the_same(self) -> None:
        first, second = HostConfig(host_nqn=NQN_A), HostConfig(host_nqn=NQN_B)
        assert first.host_identifier == HostConfig(host_nqn=NQN_A).host_identifier != second.host_identifier
        assert first.host_identifier.hex() == "35280979c01d59528d6fbc5e4d1cc826"

    def test_it_follows_a_name_that_is_changed(self) -> None:
        assert replace(HostConfig(), host_nqn=NQN_A).host_identifier == HostConfig(host_nqn=NQN_A).host_identifier

    def test_one_that_is_given_is_taken(self) -> None:
        assert HostConfig(host_id=b"sixteen bytes...").host_identifier == b"sixteen bytes..."

    def test_one_of_another_length_is_misuse(self, hosts: TwoHosts) -> None:
        with pytest.raises(LocalError, match="host_id has 3 bytes"):
            _ = HostConfig(host_id=b"abc").host_identifier
        host = hosts.rig.connect(HostConfig(nqn=NQN, host_id=b"abc"))
        assert (host.is_closed, "host_id has 3 bytes" in host.failure) == (True, True)
