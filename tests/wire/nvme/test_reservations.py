"""Reservation data as the figures draw it, byte by byte, and reports as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.nvme import (
    ReportedRegistrant,
    ReservationAcquireData,
    ReservationNotice,
    ReservationNotification,
    ReservationRegisterData,
    ReservationReleaseData,
    ReservationReport,
    ReservationType,
    decode_report,
)
from wire.nvme.reservations import NOTICES_MASKABLE, notice_mask

HOST = bytes(range(0xA0, 0xB0))


def test_keys_of_the_commands_are_where_the_figures_have_them() -> None:
    assert ReservationRegisterData(crkey=1, nrkey=0x0203).encode().hex() == "0100000000000000" + "0302000000000000"
    assert ReservationAcquireData(crkey=1, prkey=2).encode().hex() == "0100000000000000" + "0200000000000000"
    assert ReservationReleaseData(crkey=0x1122334455667788).encode().hex() == "8877665544332211"


def test_a_notification_is_as_the_figure_draws_it() -> None:
    page = ReservationNotification(count=0x0102, kind=ReservationNotice.RESERVATION_RELEASED, available=3, nsid=4)
    assert page.encode().hex() == "0201000000000000" + "02" + "03" + "0000" + "04000000" + "00" * 48


REPORT = ReservationReport(
    generation=0x01020304,
    kind=ReservationType.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
    is_persistent=True,
    registrant_count=1,
    registrants=(ReportedRegistrant(HOST, 0x0807060504030201, 0x1234, True),),
)


def test_an_extended_report_is_as_the_figures_draw_it() -> None:
    head = "04030201" + "04" + "0100" + "0000" + "01" + "00" * 54
    entry = "3412" + "01" + "00" * 5 + "0102030405060708" + HOST.hex() + "00" * 32
    assert REPORT.encode().hex() == head + entry
    assert decode_report(REPORT.encode()) == REPORT


def test_a_report_with_64_bit_host_identifiers_has_the_host_before_the_key() -> None:
    report = ReservationReport(1, 0, False, 1, (ReportedRegistrant(HOST[:8], 0x0807060504030201, 7, False),))
    data = report.encode(is_extended=False)
    head = "01000000" + "00" + "0100" + "0000" + "00" + "00" * 14
    assert data.hex() == head + "0700" + "00" + "00" * 5 + HOST[:8].hex() + "0102030405060708"
    assert decode_report(data, is_extended=False) == report


registrants = st.builds(
    ReportedRegistrant,
    host_id=st.binary(min_size=16, max_size=16),
    key=st.integers(0, (1 << 64) - 1),
    cntlid=st.integers(0, 0xFFFF),
    is_holder=st.booleans(),
)


@given(st.lists(registrants, max_size=5), st.integers(0, 400))
def test_a_report_that_was_cut_short_gives_the_registrants_that_are_whole(
    entries: list[ReportedRegistrant], cut: int
) -> None:
    report = ReservationReport(9, 1, False, len(entries), tuple(entries))
    data = report.encode()[:cut]
    if len(data) < 64:
        with pytest.raises(WireError):
            decode_report(data)
        return
    read = decode_report(data)
    assert read.registrant_count == len(entries)
    assert list(read.registrants) == entries[: (len(data) - 64) // 64]


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_never_read_past_the_end(data: bytes, is_extended: bool) -> None:
    try:
        report = decode_report(data, is_extended=is_extended)
    except WireError:
        return
    assert len(report.registrants) <= report.registrant_count


def test_masks_are_one_bit_a_notice() -> None:
    assert notice_mask([ReservationNotice.RESERVATION_PREEMPTED]) == 8
    assert NOTICES_MASKABLE == 0b1110
