"""Our values under tshark's names for features and log pages, and the kinds of frames that it may call malformed."""

from __future__ import annotations

import struct

import pytest

from interop.nvme_data_fields import data_fields, in_capsule_fields
from interop.nvme_feature_fields import feature_data, feature_result, get_features, set_features
from interop.nvme_fields import completion_fields
from interop.nvme_log_fields import log_fields
from interop.tshark_marks import kinds
from wire.nvme import (
    AdminOpcode,
    DiscoveryEntry,
    DiscoveryHeader,
    ErrorLogEntry,
    FeatureId,
    GetLogPage,
    HostBehavior,
    IoOpcode,
    LogPage,
    RdmaConnectAccept,
    RdmaConnectRequest,
    ReservationNotification,
    Timestamp,
)
from wire.nvme.kinds import TransportType
from wire.nvme.rdma_trace import TracedCommand, TracedQueue


def entry(opcode: int, *, cdw10: int = 0, cdw11: int = 0) -> bytes:
    return struct.pack("<BBHI32x6I", opcode, 0x40, 0, 0, cdw10, cdw11, 0, 0, 0, 0)


def command(capsule: bytes, *, qid: int = 0) -> TracedCommand:
    queue = TracedQueue("a", "b", 1, 2, 1024, RdmaConnectRequest(qid=qid), RdmaConnectAccept())
    return TracedCommand(queue, 5, capsule, data_frames=[6, 7], completion_frame=8)


def test_bits_of_a_feature_are_cut_out_where_the_standard_has_them() -> None:
    value = 0x7F << 24 | 0x12 << 16 | 3 << 8 | 5
    fields = feature_result(entry(AdminOpcode.GET_FEATURES, cdw10=FeatureId.ARBITRATION), value)
    prefix = "nvme.cqe.dword0.get_features.arb"
    assert fields == {prefix: [value]} | {
        f"{prefix}.{name}": [bits] for name, bits in {"ab": 5, "lpw": 3, "mpw": 0x12, "hpw": 0x7F}.items()
    }


def test_set_features_and_get_features_show_their_own_parts_of_cdw10() -> None:
    set_fields = set_features(entry(AdminOpcode.SET_FEATURES, cdw10=1 << 31 | FeatureId.KEEP_ALIVE_TIMER, cdw11=5000))
    assert set_fields["nvme.cmd.set_features.dword10.sv"] == [1]
    assert set_fields["nvme.cmd.set_features.dword11.kat.kato"] == [5000]
    get_fields = get_features(entry(AdminOpcode.GET_FEATURES, cdw10=3 << 8 | FeatureId.KEEP_ALIVE_TIMER))
    assert get_fields["nvme.cmd.set_features.dword10.sel"] == [3]


@pytest.mark.parametrize(
    ("fid", "structure", "name", "value"),
    [
        (FeatureId.TIMESTAMP, Timestamp(timestamp=1 << 47), "tst.ms", 1 << 47),
        (FeatureId.HOST_BEHAVIOR, HostBehavior(acre=1), "hbs.acre", 1),
    ],
)
def test_structure_of_a_feature_is_read_in_a_capsule_and_beside_it(
    fid: FeatureId, structure: Timestamp | HostBehavior, name: str, value: int
) -> None:
    expected = {f"nvme.set_features.{name}": [value]}
    capsule, data = entry(AdminOpcode.SET_FEATURES, cdw10=fid), structure.encode()
    assert in_capsule_fields(command(capsule + data)) == expected
    for opcode in (AdminOpcode.SET_FEATURES, AdminOpcode.GET_FEATURES):
        beside = command(entry(opcode, cdw10=fid))
        beside.data.extend(data)
        assert data_fields(beside) == expected
    assert feature_data(entry(AdminOpcode.GET_FEATURES, cdw10=FeatureId.HOST_IDENTIFIER), bytes(16)) == {}


def test_completion_of_verify_has_the_fields_of_an_event_in_tshark_only_on_an_io_queue() -> None:
    verify, admin = command(entry(IoOpcode.VERIFY), qid=1), command(entry(AdminOpcode.DEVICE_SELF_TEST))
    for each in (verify, admin):
        each.completion = bytes(16)
    names = {f"nvme.cqe.dword0.aev.{name}" for name in ("aet", "aei", "lpi")}
    assert names <= set(completion_fields(verify))
    assert not names & set(completion_fields(admin))


@pytest.mark.parametrize("fid", [0x16, 0xC0])
def test_feature_without_bits_has_no_fields_of_its_own(fid: int) -> None:
    assert feature_result(entry(AdminOpcode.GET_FEATURES, cdw10=fid), 1) == {}


def test_piece_of_the_ana_log_is_read_as_groups_from_its_start() -> None:
    group = struct.pack("<IIQB15xI", 7, 1, 3, 2, 42)
    fields = log_fields(GetLogPage(lid=LogPage.ANA, lpo=4096), group + bytes(12))
    assert fields["nvme.cmd.get_logpage.ana.grp.id"] == [7]
    assert fields["nvme.cmd.get_logpage.ana.grp.nsid"] == [42]
    header = struct.pack("<QH6x", 9, 1)
    assert log_fields(GetLogPage(lid=LogPage.ANA), header + group) == {
        **fields, "nvme.cmd.get_logpage.ana.chcnt": [9], "nvme.cmd.get_logpage.ana.ngd": [1],
    }  # fmt: skip


def test_entries_of_the_error_log_are_columns() -> None:
    entries = [ErrorLogEntry(error_count=2, sqid=1, lba=7, location=0x328, nsid=9), ErrorLogEntry(error_count=1)]
    fields = log_fields(GetLogPage(lid=LogPage.ERROR), b"".join(entry.encode() for entry in entries) + b"digest")
    prefix = "nvme.cmd.get_logpage.errinf."
    assert [fields[prefix + name] for name in ("errcnt", "lba", "nsid")] == [[2, 1], [7, 0], [9, 0]]
    assert (fields[f"{prefix}pel"], fields[f"{prefix}pel.bytee"]) == ([0x328, 0], [0x28, 0])


def test_discovery_entries_have_the_fields_of_their_transport_and_of_a_later_piece_only_the_first_counts() -> None:
    rdma = DiscoveryEntry(trtype=TransportType.RDMA, portid=1, tsas=bytes((1, 4, 1)).ljust(256, b"\0"))
    tcp = DiscoveryEntry(trtype=TransportType.TCP, portid=2, tsas=bytes((2,)).ljust(256, b"\0"))
    entries, prefix = rdma.encode() + tcp.encode(), "nvme.cmd.get_logpage.identify.rcrd."
    whole = log_fields(GetLogPage(lid=LogPage.DISCOVERY), DiscoveryHeader(numrec=2).encode() + entries)
    names = ("portid", "tsas.rdma_prtype", "tsas.tcp_sectype")
    assert [whole[prefix + name] for name in names] == [[1, 2], [4], [2]]
    piece = log_fields(GetLogPage(lid=LogPage.DISCOVERY, lpo=1024), entries)
    assert [piece[prefix + name] for name in names] == [[1], [4], []]


def test_reservation_notification_is_read() -> None:
    log = ReservationNotification(count=3, kind=1, available=2, nsid=5)
    fields = log_fields(GetLogPage(lid=LogPage.RESERVATION_NOTIFICATION), log.encode())
    prefix = "nvme.cmd.get_logpage.reserv_notif."
    assert [fields[prefix + name] for name in ("lpc", "lpt", "nalp", "nsid")] == [[3], [1], [2], [5]]


def test_firmware_slots_are_numbers_with_the_first_byte_lowest() -> None:
    fields = log_fields(GetLogPage(lid=LogPage.FIRMWARE_SLOT), b"\x21" + bytes(7) + b"0.1.0   " + bytes(496))
    assert fields["nvme.cmd.get_logpage.fw_slot.frs.s1"] == [0x202020302E312E30]
    assert fields["nvme.cmd.get_logpage.fw_slot.afi.nfs"] == [2]


def test_frames_of_a_command_are_named_by_what_they_carry() -> None:
    log = command(entry(AdminOpcode.GET_LOG_PAGE, cdw10=LogPage.ERROR))
    name = "GET_LOG_PAGE 0x01"
    parts = ((5, "command"), (6, "data"), (7, "data"), (8, "completion"))
    assert [*kinds(log)] == [(frame, f"{name} {part}") for frame, part in parts]
    assert (5, "KEEP_ALIVE command") in kinds(command(entry(AdminOpcode.KEEP_ALIVE)))
