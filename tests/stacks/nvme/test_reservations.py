"""The rules of registering, acquiring and releasing, each by its name, through the commands that hosts send."""

from __future__ import annotations

import pytest

from stacks.nvme.stores.reservations import MemoryReservations
from stacks.nvme.target.reservations.rules import REGISTRANTS_MAX
from tests.stacks.nvme.core_rig import sqe
from tests.stacks.nvme.reservation_rig import (
    KEY_A,
    KEY_B,
    KEY_C,
    Hosts,
    Node,
    ReservationRig,
    holders,
    keys,
    three_hosts,
)
from wire.nvme.opcodes import IoOpcode
from wire.nvme.reservations import AcquireAction, PersistenceChange, ReservationNotice, ReservationType
from wire.nvme.reservations_codec import ReservationRegisterData
from wire.nvme.status import StatusCode

CONFLICT, INVALID = StatusCode.RESERVATION_CONFLICT, StatusCode.INVALID_FIELD
RELEASED, GONE = ReservationNotice.RESERVATION_RELEASED, ReservationNotice.RESERVATION_PREEMPTED
WE, EA, WE_RO, EA_RO, WE_AR, EA_AR = ReservationType
every_type = pytest.mark.parametrize("kind", ReservationType, ids=lambda kind: kind.name.lower())


@pytest.fixture
def rig() -> ReservationRig:
    return ReservationRig()


@pytest.fixture
def hosts(rig: ReservationRig) -> Hosts:
    return three_hosts(rig)


class TestRegister:
    """Register, replace and unregister."""

    def test_a_host_registers_once_for_all_its_controllers(self, rig: ReservationRig) -> None:
        a, b = rig.host("a", controllers=2), rig.host("b")
        assert a.register(KEY_A) == 0
        assert a.acquire(KEY_A, EA, io=a.ios[1]) == 0
        assert [a.write(io=io) for io in a.ios] == [0, 0]
        assert b.read() == CONFLICT
        a.add_controller()
        assert a.write(io=a.ios[2]) == 0

    def test_the_same_key_again_is_no_error_and_another_key_is_a_conflict(self, rig: ReservationRig) -> None:
        a = rig.host("a", controllers=2)
        assert a.register(KEY_A) == 0
        assert a.register(KEY_A, io=a.ios[1]) == 0
        assert a.register(KEY_B) == CONFLICT
        assert keys(a) == [KEY_A]

    def test_ignoring_the_existing_key_does_not_let_register_change_it(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        a.register(KEY_A)
        assert a.register(KEY_B, ignores_key=True) == CONFLICT

    def test_two_hosts_may_register_the_same_key(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        assert [a.register(KEY_A), b.register(KEY_A)] == [0, 0]
        assert keys(a) == [KEY_A, KEY_A]

    def test_zero_is_no_key(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        assert a.register(0) == INVALID
        a.register(KEY_A)
        assert a.replace(KEY_A, 0) == INVALID

    def test_a_key_is_replaced_by_whoever_knows_it(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        assert a.replace(KEY_A, KEY_B) == CONFLICT
        a.register(KEY_A)
        assert a.replace(KEY_C, KEY_B) == CONFLICT
        assert a.replace(KEY_A, KEY_B) == 0
        assert keys(a) == [KEY_B]

    def test_ignoring_the_existing_key_replaces_any_key_and_none(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        assert a.replace(KEY_C, KEY_B, ignores_key=True) == 0
        assert b.replace(0, KEY_C, ignores_key=True) == 0
        assert keys(a) == [KEY_B, KEY_C]

    def test_replacing_the_holders_key_keeps_the_reservation(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        a.acquire(KEY_A, EA)
        assert a.replace(KEY_A, 0xAA) == 0
        assert holders(a) == [0xAA]
        assert b.read() == CONFLICT
        assert a.release(KEY_A, EA) == CONFLICT
        assert a.release(0xAA, EA) == 0

    def test_unregistering_needs_the_key_or_permission_to_ignore_it(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        assert a.unregister(KEY_B) == CONFLICT
        assert a.unregister(KEY_A) == 0
        assert a.unregister(KEY_A) == CONFLICT
        assert b.unregister(0, ignores_key=True) == 0
        # There is nothing left to ignore, and nothing to do.
        assert b.unregister(0, ignores_key=True) == 0
        assert keys(a) == [KEY_C]

    @pytest.mark.parametrize(("word", "location"), [(3, 40), (7, 40), (1 << 30, 43), (3 << 30, 43)])
    def test_a_reserved_value_is_an_invalid_field(self, rig: ReservationRig, word: int, location: int) -> None:
        a = rig.host("a")
        data = ReservationRegisterData(nrkey=KEY_A).encode()
        answer = a.io.do(sqe(IoOpcode.RESERVATION_REGISTER, nsid=1, cdw10=word), data=data)
        assert (answer.status, a.last_error().location) == (INVALID, location)
        assert keys(a) == []

    def test_power_loss_persistence_is_to_be_had_only_where_something_keeps_it(self) -> None:
        plain, kept = ReservationRig(), ReservationRig(kept=MemoryReservations())
        assert plain.host("a").register(KEY_A, persistence=PersistenceChange.SET) == INVALID
        assert plain.host("b").register(KEY_A, persistence=PersistenceChange.CLEAR) == 0
        host = kept.host("a")
        assert host.register(KEY_A, persistence=PersistenceChange.SET) == 0
        assert host.report().is_persistent
        assert host.register(KEY_A) == 0
        assert host.report().is_persistent
        assert host.register(KEY_A, persistence=PersistenceChange.CLEAR) == 0
        assert not host.report().is_persistent

    def test_a_register_that_fails_does_not_change_persistence(self) -> None:
        host = ReservationRig(kept=MemoryReservations()).host("a")
        host.register(KEY_A)
        assert host.register(KEY_B, persistence=PersistenceChange.SET) == CONFLICT
        assert not host.report().is_persistent

    def test_a_host_without_an_identifier_cannot_register(self, rig: ReservationRig) -> None:
        nobody = Node(rig, bytes(16), 1)
        assert nobody.register(KEY_A) == StatusCode.OPERATION_DENIED
        assert nobody.replace(0, KEY_A, ignores_key=True) == StatusCode.OPERATION_DENIED
        assert nobody.report().registrants == ()

    def test_registrants_are_bounded(self, rig: ReservationRig) -> None:
        node = rig.host("first")
        node.register(KEY_A)
        controller = node.admin.queue.controller
        assert controller is not None
        statuses = []
        for number in range(1, REGISTRANTS_MAX + 1):
            # One connection that stands for many hosts.
            controller.host_id = number.to_bytes(16, "big")
            statuses.append(node.register(KEY_A))
        assert statuses == [0] * (REGISTRANTS_MAX - 1) + [StatusCode.INTERNAL_ERROR]
        assert node.report().registrant_count == REGISTRANTS_MAX


class TestAcquire:
    """Acquire."""

    @every_type
    def test_a_registrant_acquires_and_may_ask_again(self, hosts: Hosts, kind: ReservationType) -> None:
        a, b, _ = hosts
        assert a.acquire(KEY_A, kind) == 0
        assert a.acquire(KEY_A, kind) == 0
        assert a.report().kind == kind
        assert holders(b) == ([KEY_A, KEY_B, KEY_C] if kind in (WE_AR, EA_AR) else [KEY_A])

    @every_type
    def test_the_holder_cannot_acquire_another_type(self, hosts: Hosts, kind: ReservationType) -> None:
        a, _, _ = hosts
        a.acquire(KEY_A, kind)
        assert {a.acquire(KEY_A, other) for other in ReservationType if other is not kind} == {CONFLICT}

    @every_type
    def test_others_cannot_acquire_what_is_reserved(self, hosts: Hosts, kind: ReservationType) -> None:
        a, b, _ = hosts
        a.acquire(KEY_A, kind)
        # With all registrants as holders, each of them asks again for what it has.
        assert b.acquire(KEY_B, kind) == (0 if kind in (WE_AR, EA_AR) else CONFLICT)

    def test_only_registrants_with_the_right_key_acquire(self, hosts: Hosts, rig: ReservationRig) -> None:
        assert hosts[0].acquire(KEY_B, WE) == CONFLICT
        assert rig.host("stranger").acquire(0, WE) == CONFLICT
        assert hosts[0].report().kind == 0

    @pytest.mark.parametrize("kind", [0, 7, 255])
    @pytest.mark.parametrize("action", AcquireAction)
    def test_a_reserved_type_is_an_invalid_field(self, hosts: Hosts, kind: int, action: int) -> None:
        assert hosts[0].send_acquire(KEY_A, KEY_B, kind, action).status == INVALID
        assert hosts[0].last_error().location == 41

    def test_a_reserved_action_and_ignoring_the_key_are_invalid_fields(self, hosts: Hosts) -> None:
        assert hosts[0].send_acquire(KEY_A, 0, WE, 3).status == INVALID
        assert hosts[0].send_acquire(KEY_A, 0, WE, AcquireAction.ACQUIRE, flags=8).status == INVALID
        assert hosts[0].release(KEY_A, WE, action=2) == INVALID
        assert hosts[0].release(KEY_A, WE, flags=8) == INVALID


class TestRelease:
    """Release and clear."""

    @every_type
    def test_the_holder_releases_and_keeps_its_registration(
        self, hosts: Hosts, kind: ReservationType
    ) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, kind)
        assert a.release(KEY_A, kind) == 0
        assert (a.report().kind, keys(a)) == (0, [KEY_A, KEY_B, KEY_C])
        # Who had no rights, or shared them, before learns of it only where registering meant something.
        told = [] if kind in (WE, EA) else [RELEASED]
        assert [node.notifications() for node in (a, b, c)] == [[], told, told]

    def test_any_registrant_releases_for_all(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        a.acquire(KEY_A, EA_AR)
        assert b.release(KEY_B, EA_AR) == 0
        assert a.report().kind == 0
        assert a.notifications() == [RELEASED]

    def test_another_type_than_the_reservations_is_an_invalid_field(self, hosts: Hosts) -> None:
        a, _, _ = hosts
        a.acquire(KEY_A, WE)
        assert a.release(KEY_A, EA) == INVALID
        assert a.report().kind == WE

    def test_releasing_what_one_does_not_hold_changes_nothing(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        assert b.release(KEY_B, WE) == 0
        a.acquire(KEY_A, WE)
        assert b.release(KEY_B, WE) == 0
        assert b.release(KEY_B, EA) == 0
        assert b.release(KEY_A, WE) == CONFLICT
        assert a.report().kind == WE

    @pytest.mark.parametrize("kind", [0, *ReservationType])
    def test_clearing_leaves_nothing_and_tells_the_others(self, hosts: Hosts, kind: int) -> None:
        a, b, c = hosts
        if kind:
            a.acquire(KEY_A, kind)
        assert b.clear(KEY_B) == 0
        assert (a.report().kind, keys(a)) == (0, [])
        assert [node.notifications() for node in (a, b, c)] == [[GONE], [], [GONE]]
        assert b.clear(KEY_B) == CONFLICT


class TestUnregisteringTheHolder:
    """A reservation does not outlive its holder's registration."""

    @pytest.mark.parametrize("kind", [WE, EA, WE_RO, EA_RO])
    def test_the_reservation_is_released(self, hosts: Hosts, kind: ReservationType) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, kind)
        assert a.unregister(KEY_A) == 0
        assert b.report().kind == 0
        told = [RELEASED] if kind in (WE_RO, EA_RO) else []
        assert [node.notifications() for node in (a, b, c)] == [[], told, told]

    @pytest.mark.parametrize("kind", [WE_AR, EA_AR])
    def test_what_all_hold_is_held_until_the_last_has_gone(
        self, hosts: Hosts, kind: ReservationType
    ) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, kind)
        assert [a.unregister(KEY_A), b.unregister(KEY_B)] == [0, 0]
        assert (c.report().kind, holders(c)) == (kind, [KEY_C])
        assert a.write() == CONFLICT
        assert c.unregister(KEY_C) == 0
        assert c.report().kind == 0
        assert a.write() == 0
        assert [node.notifications() for node in (a, b, c)] == [[], [], []]
