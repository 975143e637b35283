"""The rules of preempting, each by its name, and when GEN rises."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stacks.nvme.reservation_rig import KEY_A, KEY_B, KEY_C, Hosts, ReservationRig, holders, keys, three_hosts
from wire.nvme.reservations import AcquireAction, ReservationNotice, ReservationType
from wire.nvme.status import StatusCode

CONFLICT, INVALID = StatusCode.RESERVATION_CONFLICT, StatusCode.INVALID_FIELD
PREEMPTED, RELEASED = ReservationNotice.REGISTRATION_PREEMPTED, ReservationNotice.RESERVATION_RELEASED
WE, EA, WE_RO, EA_RO, WE_AR, EA_AR = ReservationType
every_type = pytest.mark.parametrize("kind", ReservationType, ids=lambda kind: kind.name.lower())


@pytest.fixture
def rig() -> ReservationRig:
    return ReservationRig()


@pytest.fixture
def hosts(rig: ReservationRig) -> Hosts:
    return three_hosts(rig)


class TestPreempt:
    """Preempt, as far as it is no abort."""

    @every_type
    def test_the_holders_key_takes_the_reservation_over(
        self, hosts: Hosts, kind: ReservationType
    ) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, WE)
        assert b.preempt(KEY_B, KEY_A, kind) == 0
        assert keys(b) == [KEY_B, KEY_C]
        assert b.report().kind == kind
        assert KEY_B in holders(b)
        # Only a change of the type is news to who stays.
        assert [node.notifications() for node in (a, b, c)] == [[PREEMPTED], [], [] if kind is WE else [RELEASED]]

    def test_every_registration_with_the_holders_key_goes_but_our_own(self, rig: ReservationRig) -> None:
        a, b, c, d = (rig.host(name) for name in "abcd")
        assert [node.register(KEY_A) for node in (a, b, c)] == [0, 0, 0]
        d.register(KEY_B)
        a.acquire(KEY_A, EA)
        assert b.preempt(KEY_A, KEY_A, EA) == 0
        report = b.report()
        assert [(entry.host_id, entry.is_holder) for entry in report.registrants] == [
            (b.host_id, True),
            (d.host_id, False),
        ]
        assert [node.notifications() for node in (a, b, c, d)] == [[PREEMPTED], [], [PREEMPTED], []]

    def test_another_key_than_the_holders_only_unregisters(self, hosts: Hosts) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, WE_RO)
        assert b.preempt(KEY_B, KEY_C, EA) == 0
        assert (holders(a), a.report().kind, keys(a)) == ([KEY_A], WE_RO, [KEY_A, KEY_B])
        assert [node.notifications() for node in (a, b, c)] == [[], [], [PREEMPTED]]
        assert c.write() == CONFLICT

    def test_the_holder_preempts_another_and_keeps_its_type(self, hosts: Hosts) -> None:
        a, _, _ = hosts
        a.acquire(KEY_A, WE)
        assert a.preempt(KEY_A, KEY_C, EA) == 0
        assert (a.report().kind, keys(a)) == (WE, [KEY_A, KEY_B])

    def test_the_holder_preempts_itself_to_change_the_type(self, hosts: Hosts) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, WE)
        assert a.preempt(KEY_A, KEY_A, WE_RO) == 0
        assert (a.report().kind, holders(a), keys(a)) == (WE_RO, [KEY_A], [KEY_A, KEY_B, KEY_C])
        assert [node.notifications() for node in (a, b, c)] == [[], [RELEASED], [RELEASED]]
        assert b.write() == 0

    def test_a_registrant_may_preempt_its_own_registration(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        a.acquire(KEY_A, WE)
        assert b.preempt(KEY_B, KEY_B, EA) == 0
        assert (holders(a), keys(a)) == ([KEY_A], [KEY_A, KEY_C])
        assert b.notifications() == []

    @pytest.mark.parametrize("kind", ReservationType)
    def test_key_zero_preempts_all_who_share_the_reservation(
        self, hosts: Hosts, kind: ReservationType
    ) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, WE_AR)
        assert b.preempt(KEY_B, 0, kind) == 0
        assert (keys(b), holders(b), b.report().kind) == ([KEY_B], [KEY_B], kind)
        assert [node.notifications() for node in (a, b, c)] == [[PREEMPTED], [], [PREEMPTED]]

    def test_one_key_among_all_who_share_only_unregisters(self, hosts: Hosts) -> None:
        a, b, c = hosts
        a.acquire(KEY_A, EA_AR)
        assert b.preempt(KEY_B, KEY_A, WE) == 0
        assert (keys(b), holders(b), b.report().kind) == ([KEY_B, KEY_C], [KEY_B, KEY_C], EA_AR)
        assert [node.notifications() for node in (a, b, c)] == [[PREEMPTED], [], []]

    def test_the_last_who_shares_can_preempt_itself_and_the_reservation_with_it(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        a.register(KEY_A)
        a.acquire(KEY_A, EA_AR)
        assert a.preempt(KEY_A, KEY_A, EA_AR) == 0
        assert (a.report().kind, keys(a)) == (0, [])

    def test_key_zero_means_nothing_to_a_single_holder(self, hosts: Hosts) -> None:
        hosts[0].acquire(KEY_A, WE)
        assert hosts[1].preempt(KEY_B, 0, WE) == INVALID
        assert holders(hosts[1]) == [KEY_A]

    def test_without_a_reservation_the_key_unregisters_and_reserves_nothing(
        self, hosts: Hosts
    ) -> None:
        a, b, c = hosts
        assert a.preempt(KEY_A, KEY_B, EA) == 0
        assert (a.report().kind, keys(a)) == (0, [KEY_A, KEY_C])
        assert [node.notifications() for node in (a, b, c)] == [[], [PREEMPTED], []]

    @pytest.mark.parametrize("kind", [0, WE, WE_AR])
    def test_a_key_that_nobody_has_is_a_conflict(self, hosts: Hosts, kind: int) -> None:
        a, b, _ = hosts
        if kind:
            a.acquire(KEY_A, kind)
        assert b.preempt(KEY_B, 0xDEAD, WE) == CONFLICT
        assert keys(a) == [KEY_A, KEY_B, KEY_C]

    def test_only_registrants_preempt(self, hosts: Hosts, rig: ReservationRig) -> None:
        hosts[0].acquire(KEY_A, WE)
        assert rig.host("stranger").preempt(KEY_A, KEY_A, WE) == CONFLICT
        assert hosts[1].preempt(KEY_A, KEY_A, WE) == CONFLICT


class TestGeneration:
    """GEN rises with what changes registrations, and with every Register."""

    def test_it_rises_with_register_preempt_and_clear_and_not_with_acquire_or_release(
        self, hosts: Hosts
    ) -> None:
        a, b, c = hosts
        steps: tuple[tuple[Callable[[], int], int], ...] = (
            (lambda: a.register(KEY_A), 4),
            (lambda: a.replace(KEY_A, KEY_A), 5),
            (lambda: a.acquire(KEY_A, WE), 5),
            (lambda: a.release(KEY_A, WE), 5),
            (lambda: a.preempt(KEY_A, KEY_B, WE), 6),
            (lambda: c.unregister(KEY_C), 7),
            (lambda: a.send_acquire(KEY_A, KEY_A, WE, AcquireAction.PREEMPT_AND_ABORT).status, 8),
            (lambda: b.replace(0, KEY_B, ignores_key=True), 9),
            (lambda: b.clear(KEY_B), 10),
        )
        assert b.report().generation == 3
        for step, generation in steps:
            assert step() == 0
            assert b.report().generation == generation

    def test_it_does_not_rise_with_what_fails(self, hosts: Hosts) -> None:
        a, _, _ = hosts
        assert a.register(KEY_B) == CONFLICT
        assert a.unregister(KEY_B) == CONFLICT
        assert a.preempt(KEY_A, 0xDEAD, WE) == CONFLICT
        assert a.clear(KEY_B) == CONFLICT
        assert a.report().generation == 3
