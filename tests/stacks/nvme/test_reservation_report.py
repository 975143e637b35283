"""What a report says, and what is true of reservations whatever the command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.nvme.stores.reservations import MemoryReservations
from tests.stacks.nvme.core_rig import sqe
from tests.stacks.nvme.reservation_rig import KEY_A, KEY_B, Hosts, ReservationRig, three_hosts
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace, IdentifyNamespaceIndependent
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import IoOpcode
from wire.nvme.reservations import CNTLID_NONE, ReportedRegistrant, ReservationType, decode_report
from wire.nvme.reservations_codec import ReservationRegisterData
from wire.nvme.status import DNR, StatusCode

CONFLICT, INVALID = StatusCode.RESERVATION_CONFLICT, StatusCode.INVALID_FIELD
WE, EA = ReservationType.WRITE_EXCLUSIVE, ReservationType.EXCLUSIVE_ACCESS


@pytest.fixture
def rig() -> ReservationRig:
    return ReservationRig()


@pytest.fixture
def hosts(rig: ReservationRig) -> Hosts:
    return three_hosts(rig)


class TestReport:
    """Reservation Report."""

    def test_it_has_an_entry_for_each_registrant_with_the_lowest_of_its_controllers(self, rig: ReservationRig) -> None:
        a, b = rig.host("a", controllers=2), rig.host("b")
        assert [b.register(KEY_B), a.register(KEY_A, io=a.ios[1])] == [0, 0]
        a.acquire(KEY_A, WE)
        assert a.report().registrants == (
            ReportedRegistrant(b.host_id, KEY_B, 3, False),
            ReportedRegistrant(a.host_id, KEY_A, 1, True),
        )

    def test_a_host_that_went_is_reported_without_a_controller(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        a.acquire(KEY_A, EA)
        a.lose()
        assert b.report().registrants == (ReportedRegistrant(a.host_id, KEY_A, CNTLID_NONE, True),)
        assert b.read() == CONFLICT

    def test_host_identifiers_of_64_bits_are_the_wrong_format(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        answer = a.ask_report(length=64, extended=0)
        assert answer.status == StatusCode.HOST_ID_INCONSISTENT_FORMAT
        assert answer.word & DNR
        assert a.last_error().location == 44

    @pytest.mark.parametrize("length", [4, 24, 64, 128, 132, 256, 4096])
    def test_a_short_buffer_gets_the_beginning_and_a_long_one_zeros(
        self, hosts: Hosts, length: int
    ) -> None:
        whole = hosts[0].ask_report(length=4096).data
        answer = hosts[0].ask_report(length=length)
        assert (answer.status, answer.data) == (0, whole[:length])
        assert decode_report(whole).registrant_count == 3
        assert whole[256:] == bytes(4096 - 256)

    def test_more_than_can_be_moved_is_refused_before_it_is_made(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        entry = sqe(IoOpcode.RESERVATION_REPORT, nsid=1, cdw10=0xFFFFFFFF, cdw11=1)
        assert a.io.do(entry, expect=4096).status == INVALID
        entry = sqe(IoOpcode.RESERVATION_REPORT, nsid=1, cdw10=15, cdw11=1)
        assert a.io.do(entry, expect=4096).status == StatusCode.INVALID_SGL_DATA_LENGTH


class TestEverywhere:
    """What does not depend on the command."""

    def test_a_namespace_has_reservations_of_its_own(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        a.acquire(KEY_A, EA)
        assert [b.read(nsid=1), b.read(nsid=2)] == [CONFLICT, 0]
        assert b.report(nsid=2).registrants == ()

    @pytest.mark.parametrize("opcode", [0x0D, 0x11, 0x15])
    @pytest.mark.parametrize("length", [0, 4, 4100])
    def test_keys_of_a_wrong_length_are_refused(self, rig: ReservationRig, opcode: int, length: int) -> None:
        a = rig.host("a")
        answer = a.io.do(sqe(opcode, nsid=1, cdw10=0x100 if opcode == 0x11 else 0), data=bytes(length))
        assert answer.status == StatusCode.INVALID_SGL_DATA_LENGTH

    def test_linux_sends_sixteen_bytes_for_a_release(self, hosts: Hosts) -> None:
        a, _, _ = hosts
        a.acquire(KEY_A, WE)
        entry = sqe(IoOpcode.RESERVATION_RELEASE, nsid=1, cdw10=WE << 8)
        data = KEY_A.to_bytes(8, "little") + bytes(8)
        assert a.io.do(entry, data=data, in_capsule=True).status == 0
        assert a.report().kind == 0

    def test_reservations_outlive_resets_and_connections(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        a.acquire(KEY_A, WE)
        a.admin.set_property(0x14, 0)
        a.lose()
        assert b.write() == CONFLICT
        again = rig.host("a")
        assert again.write() == 0
        assert again.release(KEY_A, WE) == 0
        assert b.write() == 0

    def test_a_conflict_is_not_worth_a_retry_and_names_the_command(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        a.acquire(KEY_A, WE)
        answer = b.io.io(IoOpcode.WRITE, 7, 1, data=bytes(4096))
        assert (answer.status, bool(answer.word & DNR)) == (CONFLICT, True)
        entry = b.last_error()
        assert (entry.lba, entry.nsid, entry.status >> 1 & 0x7FF) == (7, 1, CONFLICT)

    def test_a_namespace_that_goes_takes_its_reservations_along(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        a.register(KEY_A)
        store = rig.subsystem.remove_namespace(1).store
        assert a.register(KEY_A) == INVALID
        rig.subsystem.add_namespace(store)
        assert a.report().registrants == ()

    def test_a_namespace_that_is_not_reached_has_no_reservations_here(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        a.register(KEY_A)
        rig.subsystem.set_ana_state(1, AnaState.INACCESSIBLE)
        assert a.register(KEY_A) == StatusCode.ANA_INACCESSIBLE
        assert a.ask_report(length=64).status == StatusCode.ANA_INACCESSIBLE
        rig.subsystem.set_ana_state(1, AnaState.OPTIMIZED)
        assert a.report().registrant_count == 1

    def test_a_reservation_holds_for_a_namespace_that_is_shown_again(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        a.acquire(KEY_A, WE)
        rig.subsystem.set_visible_to(1, [])
        assert (b.read(), b.write()) == (INVALID, INVALID)
        rig.subsystem.set_visible_to(1, None)
        assert (b.read(), b.write(), a.write()) == (0, CONFLICT, 0)

    def test_a_namespace_that_goes_while_the_keys_come_is_invalid(self, rig: ReservationRig) -> None:
        a = rig.host("a")
        rig.is_fetching = False
        data = ReservationRegisterData(nrkey=KEY_A).encode()
        cid = a.io.send(sqe(IoOpcode.RESERVATION_REGISTER, nsid=1), data=data)
        rig.pump()
        rig.subsystem.remove_namespace(1)
        rig.is_fetching = True
        rig.pump()
        assert a.io.status(cid) == INVALID

    def test_a_write_whose_right_goes_while_its_data_comes_is_a_conflict(self, rig: ReservationRig) -> None:
        a, b = rig.host("a"), rig.host("b")
        a.register(KEY_A)
        rig.is_fetching = False
        cid = b.begin_write()
        entry = sqe(IoOpcode.COMPARE, nsid=1)
        comparing = b.io.send(entry, data=bytes(4096))
        rig.pump()
        held, rig.fetching = rig.fetching, []
        rig.is_fetching = True
        assert a.acquire(KEY_A, WE) == 0
        rig.fetching = held
        rig.pump()
        # A compare only reads, and that is still allowed.
        assert [b.io.status(cid), b.io.status(comparing)] == [CONFLICT, 0]

    def test_what_the_controller_can_do_is_in_its_pages(self) -> None:
        for rig, rescap in ((ReservationRig(), 0xFE), (ReservationRig(kept=MemoryReservations()), 0xFF)):
            a = rig.host("a")
            controller = IdentifyController.decode(a.admin.identify(1).data)
            assert (controller.oncs >> 5 & 1, controller.ctratt & 1) == (1, 1)
            assert IdentifyNamespace.decode(a.admin.identify(0, nsid=1).data).rescap == rescap
            assert IdentifyNamespaceIndependent.decode(a.admin.identify(8, nsid=1).data).rescap == rescap
            assert IdentifyNamespace.decode(a.admin.identify(0, nsid=2).data).rescap == 0xFE


words = st.integers(0, (1 << 32) - 1)
ANSWERS = {0, CONFLICT, INVALID} | {
    StatusCode.INVALID_NAMESPACE,
    StatusCode.INVALID_SGL_DATA_LENGTH,
    StatusCode.INVALID_SGL_TYPE,
    StatusCode.HOST_ID_INCONSISTENT_FORMAT,
}


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x0D, 0x0E, 0x11, 0x15]),
            st.sampled_from([0, 1, 1, 1, 2, 9, 0xFFFFFFFF]),
            words | st.integers(0, 0x6FF),
            words | st.integers(0, 1),
            st.binary(max_size=40) | st.binary(min_size=16, max_size=16),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_whatever_a_host_sends_is_answered(commands: list[tuple[int, int, int, int, bytes, bool]]) -> None:
    a = ReservationRig(kept=MemoryReservations()).host("a")
    for opcode, nsid, cdw10, cdw11, data, in_capsule in commands:
        entry = sqe(opcode, nsid=nsid, cdw10=cdw10, cdw11=cdw11)
        assert a.io.do(entry, data=data, in_capsule=in_capsule and bool(data)).status in ANSWERS
    assert not a.io.queue.in_flight
