"""Notifications: log page 80h with its event, the mask, and the persistence feature."""

from __future__ import annotations

import errno

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.reservations import MemoryReservations
from stacks.nvme.target.reservations.notices import NoticeQueue
from tests.stacks.nvme.core_rig import ENABLE, sqe
from tests.stacks.nvme.reservation_rig import KEY_A, KEY_B, KEY_C, NOTICE_EVENT, Hosts, ReservationRig, three_hosts
from wire.nvme.opcodes import DISCOVERY_NQN, NSID_BROADCAST, AdminOpcode, FeatureId, LogPage
from wire.nvme.reservations import PersistenceChange, ReservationNotice, ReservationType, notice_mask
from wire.nvme.reservations_codec import ReservationNotification
from wire.nvme.status import StatusCode

INVALID = StatusCode.INVALID_FIELD
MASK, PERSISTENCE = FeatureId.RESERVATION_NOTIFICATION_MASK, FeatureId.RESERVATION_PERSISTENCE
WE_RO = ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY
PREEMPTED, RELEASED, GONE = ReservationNotice


@pytest.fixture
def rig() -> ReservationRig:
    return ReservationRig()


@pytest.fixture
def hosts(rig: ReservationRig) -> Hosts:
    return three_hosts(rig)


class TestLog:
    """Log page 80h and its event."""

    def test_a_notification_is_told_by_an_event_and_read_from_the_log(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        event = b.await_event()
        assert b.notification() == ReservationNotification()
        a.preempt(KEY_A, KEY_B, WE_RO)
        assert b.admin.answers[event].dw0 == NOTICE_EVENT
        assert b.notification() == ReservationNotification(count=1, kind=PREEMPTED, available=0, nsid=1)
        assert b.notification() == ReservationNotification()

    def test_the_oldest_comes_first_and_says_how_many_follow(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        for _ in range(3):
            a.acquire(KEY_A, WE_RO)
            a.release(KEY_A, WE_RO)
        a.clear(KEY_A)
        pages = [b.notification() for _ in range(5)]
        assert [(page.count, page.kind, page.available) for page in pages] == [
            (1, RELEASED, 3),
            (2, RELEASED, 2),
            (3, RELEASED, 1),
            (4, GONE, 0),
            (0, 0, 0),
        ]

    def test_an_event_is_held_back_until_the_log_was_read_with_rae_zero(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        first, second = b.await_event(), b.await_event()
        a.preempt(KEY_A, KEY_B, WE_RO)
        b.replace(0, KEY_B, ignores_key=True)
        a.preempt(KEY_A, KEY_B, WE_RO)
        assert (first in b.admin.answers, second in b.admin.answers) == (True, False)
        assert b.notification(rae=True).kind == PREEMPTED
        assert second not in b.admin.answers
        assert b.notification().kind == PREEMPTED
        b.rig.pump()
        assert b.admin.answers[second].dw0 == NOTICE_EVENT

    def test_every_controller_of_a_host_is_told(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b", controllers=3)
        a.register(KEY_A)
        b.register(KEY_B)
        a.preempt(KEY_A, KEY_B, WE_RO)
        assert [b.notifications(admin) for admin in b.admins] == [[PREEMPTED]] * 3
        assert a.notifications() == []

    def test_who_does_not_see_the_namespace_any_more_is_not_told(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        a.rig.subsystem.set_visible_to(1, [])
        a.rig.subsystem.sharing.changed(a.rig.subsystem.namespaces[2], [(b.host_id, RELEASED)])
        a.rig.subsystem.sharing.changed(a.rig.subsystem.namespaces[1], [(b.host_id, PREEMPTED)])
        assert b.notifications() == [RELEASED]

    def test_a_log_read_in_pieces_goes_with_the_last(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        a.preempt(KEY_A, KEY_B, WE_RO)
        first = b.admin.log_page(LogPage.RESERVATION_NOTIFICATION, 8).data
        rest = b.admin.log_page(LogPage.RESERVATION_NOTIFICATION, 56, offset=8).data
        assert ReservationNotification.decode(first + rest).kind == PREEMPTED
        assert b.notification().kind == 0

    def test_a_reset_empties_the_log_and_counts_anew(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        a.preempt(KEY_A, KEY_B, WE_RO)
        b.admin.set_property(0x14, 0)
        b.admin.set_property(0x14, ENABLE)
        assert b.notification().kind == 0
        b.admin.rig.subsystem.sharing.changed(
            b.rig.subsystem.namespaces[1], [(b.host_id, ReservationNotice.RESERVATION_RELEASED)]
        )
        assert b.notification().count == 1

    def test_what_does_not_fit_is_counted_into_the_last_that_did(self) -> None:
        notices = NoticeQueue()
        for _ in range(260):
            notices.add(ReservationNotice.RESERVATION_RELEASED, 1)
        pages = []
        while len(notices):
            pages.append(ReservationNotification.decode(notices.page()))
            notices.take()
        assert [page.count for page in pages] == [*range(1, 256), 260]
        assert [page.available for page in pages] == [*range(255, -1, -1)]
        notices.take()
        assert notices.page() == bytes(64)

    def test_a_discovery_controller_has_none_of_it(self, rig: ReservationRig) -> None:
        admin = rig.host("a").admin
        other = type(admin)(rig)
        assert other.connect(nqn=DISCOVERY_NQN).status == 0
        other.set_property(0x14, ENABLE)
        assert other.log_page(LogPage.RESERVATION_NOTIFICATION, 64).status == StatusCode.INVALID_LOG_PAGE
        assert other.do(sqe(AdminOpcode.GET_FEATURES, nsid=1, cdw10=MASK)).status == INVALID


class TestMask:
    """Feature 82h."""

    @pytest.mark.parametrize("masked", ReservationNotice)
    def test_a_masked_notification_is_not_remembered(self, hosts: Hosts, masked: ReservationNotice) -> None:
        a, b, c = hosts
        event = c.await_event()
        assert b.set_feature(MASK, notice_mask([masked])) == 0
        a.acquire(KEY_A, WE_RO)
        a.release(KEY_A, WE_RO)
        a.preempt(KEY_A, KEY_C, WE_RO)
        a.clear(KEY_A)
        everything = {b: [RELEASED, GONE], c: [RELEASED, PREEMPTED]}
        for node, told in everything.items():
            assert node.notifications() == [notice for notice in told if notice is not masked]
        assert c.admin.answers[event].dw0 == NOTICE_EVENT

    def test_it_belongs_to_a_namespace_for_all_controllers(self, hosts: Hosts) -> None:
        a, b, _ = hosts
        assert a.set_feature(MASK, 0b0110, nsid=2) == 0
        assert (b.feature(MASK, nsid=1).dw0, b.feature(MASK, nsid=2).dw0) == (0, 0b0110)
        assert a.set_feature(MASK, 0b1000, nsid=NSID_BROADCAST) == 0
        assert (b.feature(MASK, nsid=1).dw0, b.feature(MASK, nsid=2).dw0) == (0b1000, 0b1000)
        a.admin.set_property(0x14, 0)
        assert b.feature(MASK).dw0 == 0b1000

    @pytest.mark.parametrize("mask", [1, 0x10, 1 << 31])
    def test_bits_of_no_notification_are_refused(self, hosts: Hosts, mask: int) -> None:
        assert hosts[0].set_feature(MASK, mask) == INVALID


class TestPersistence:
    """Feature 83h."""

    def test_it_is_what_register_and_report_know(self) -> None:
        rig = ReservationRig(kept=MemoryReservations())
        a, b = rig.host("a"), rig.host("b")
        assert a.feature(PERSISTENCE).dw0 == 0
        assert a.set_feature(PERSISTENCE, 1) == 0
        assert (b.report().is_persistent, b.report().generation, b.feature(PERSISTENCE).dw0) == (True, 0, 1)
        a.register(KEY_A, persistence=PersistenceChange.CLEAR)
        assert b.feature(PERSISTENCE).dw0 == 0

    def test_it_is_saved_before_the_command_completes(self) -> None:
        kept = MemoryReservations()
        rig = ReservationRig(kept=kept)
        a = rig.host("a")
        a.register(KEY_A)
        rig.is_storing = False
        cid = a.admin.send(sqe(AdminOpcode.SET_FEATURES, nsid=1, cdw10=PERSISTENCE, cdw11=1))
        rig.pump()
        assert (a.admin.status(cid), kept.record) == (None, b"")
        rig.stored()
        rig.pump()
        assert a.admin.status(cid) == 0
        assert kept.record

    def test_all_namespaces_means_those_that_can(self) -> None:
        rig = ReservationRig(kept=MemoryReservations())
        rig.subsystem.add_namespace(MemoryStore(1 << 20), reservations=MemoryReservations())
        a = rig.host("a")
        assert a.set_feature(PERSISTENCE, 1, nsid=NSID_BROADCAST) == 0
        assert [a.feature(PERSISTENCE, nsid=nsid).dw0 for nsid in (1, 2, 3)] == [1, 0, 1]

    def test_one_that_cannot_be_saved_fails_the_command(self) -> None:
        rig = ReservationRig(kept=MemoryReservations())
        rig.subsystem.add_namespace(MemoryStore(1 << 20), reservations=FullDisk())
        a = rig.host("a")
        assert a.set_feature(PERSISTENCE, 1, nsid=NSID_BROADCAST) == StatusCode.CAPACITY_EXCEEDED
        assert [a.feature(PERSISTENCE, nsid=nsid).dw0 for nsid in (1, 3)] == [1, 0]

    def test_where_nothing_keeps_it_it_cannot_be_set(self, hosts: Hosts) -> None:
        a, _, _ = hosts
        assert a.set_feature(PERSISTENCE, 1) == INVALID
        assert a.set_feature(PERSISTENCE, 1, nsid=NSID_BROADCAST) == INVALID
        assert a.feature(PERSISTENCE).dw0 == 0

    @pytest.mark.parametrize("value", [2, 1 << 31])
    def test_reserved_bits_are_refused(self, value: int) -> None:
        assert ReservationRig(kept=MemoryReservations()).host("a").set_feature(PERSISTENCE, value) == INVALID


@pytest.mark.parametrize("fid", [MASK, PERSISTENCE])
class TestBoth:
    """What the two features have in common."""

    def test_a_namespace_that_is_not_there_is_refused(self, hosts: Hosts, fid: FeatureId) -> None:
        for nsid, status in ((9, INVALID), (0, StatusCode.INVALID_NAMESPACE), (5000, StatusCode.INVALID_NAMESPACE)):
            assert hosts[0].set_feature(fid, 0, nsid=nsid) == status
            assert hosts[0].feature(fid, nsid=nsid).status == status

    def test_a_namespace_that_the_host_does_not_see_is_not_there(self, hosts: Hosts, fid: FeatureId) -> None:
        hosts[0].rig.subsystem.set_visible_to(2, [])
        assert hosts[0].feature(fid, nsid=2).status == INVALID
        assert hosts[0].set_feature(fid, 0, nsid=2) == INVALID

    def test_all_namespaces_together_have_no_value_to_read(self, hosts: Hosts, fid: FeatureId) -> None:
        assert hosts[0].feature(fid, nsid=NSID_BROADCAST).status == INVALID

    def test_they_are_changeable_and_of_a_namespace_and_not_saveable(self, hosts: Hosts, fid: FeatureId) -> None:
        assert hosts[0].feature(fid, select=3).dw0 == 0b110
        assert hosts[0].feature(fid, select=1).dw0 == 0
        word = fid | 1 << 31
        answer = hosts[0].admin.do(sqe(AdminOpcode.SET_FEATURES, nsid=1, cdw10=word))
        assert answer.status == StatusCode.FEATURE_NOT_SAVEABLE


class FullDisk(MemoryReservations):
    """Nothing can be saved."""

    def save(self, record: bytes) -> None:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")


