"""Identify data, logs and features look like what nvme-cli 2.11 prints, character by character.

What is expected follows from the formats in its nvme-print-stdout.c, for values that show widths, units and zeroes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.nvme.printing.controller import controller_lines
from apps.nvme.printing.effects import effects_lines
from apps.nvme.printing.errors import error_lines
from apps.nvme.printing.features import feature_lines
from apps.nvme.printing.listing import listing_lines
from apps.nvme.printing.logs import ana_lines, changed_lines, firmware_lines, smart_lines, supported_lines
from apps.nvme.printing.namespace import namespace_lines
from apps.nvme.printing.values import binary_multiple, decimal_multiple, hexadecimal
from stacks.nvme.host.pages import AnaReport
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace, LbaFormat, PowerState
from wire.nvme.logs_codec import AnaGroup, ErrorLogEntry, FirmwareSlotLog, SmartLog


def printed(name: str) -> str:
    """What is expected; in files, since nvme-cli leaves spaces and tabs at the ends of lines."""
    return (Path(__file__).parent / "printed" / f"{name}.txt").read_text()


def text(lines: object) -> str:
    return "".join(f"{line}\n" for line in lines)  # type: ignore[attr-defined]


def test_a_controller() -> None:
    fine = PowerState(mp=500, flags=3, enlat=1000, exlat=2000, rrt=1, rrl=1, rwt=1, rwl=1)
    fine.idlp, fine.ips, fine.actp, fine.apw = 400, 0x40, 825, 0x82
    states = PowerState(mp=2500, enlat=16, exlat=4).encode() + fine.encode()
    data = IdentifyController(
        vid=0x1B36, sn=b"S1\x1b[2J".ljust(20), mn=b"BareMetal NVMe".ljust(40), fr=b"0.1.0   ", rab=6,
        ieee=b"\x00\x54\x52", cmic=0xB, mdts=8, cntlid=0xFFFF, ver=0x20000, oaes=0x900, ctratt=0x41, cntrltype=1,
        fguid=bytes(range(16)), crdt1=1, oacs=0x100, acl=3, aerl=3, frmw=3, lpa=0x27, elpe=63, npss=1, wctemp=343,
        cctemp=353, tnvmcap=1, tnvmcap_high=1, kas=10, anatt=10, anacap=31, anagrpmax=128, nanagrpid=128, sqes=0x66,
        cqes=0x44, maxcmd=128, nn=1024, oncs=0x1FF, fuses=1, vwc=5, acwu=15, ocfs=1, sgls=0x300001,
        subnqn=b"nqn.2026-11.io.baremetal:disk".ljust(256, b"\0"), ioccsz=516, iorcsz=1, msdbd=1, ofcs=1,
        psd=states.ljust(1024, b"\0"),
    )  # fmt: skip
    assert text(controller_lines(data)) == printed("controller")


def test_a_namespace() -> None:
    formats = LbaFormat(lbads=9, rp=2).encode() + LbaFormat(ms=8, lbads=12).encode()
    data = IdentifyNamespace(
        nsze=0x4000, ncap=0x4000, nsfeat=0x18, nlbaf=1, flbas=1, nmic=1, rescap=0xFE, dlfeat=9, nvmcap=1 << 26, npwg=7,
        npdg=15, mssrl=32768, mcl=262144, msrc=127, anagrpid=1, nguid=bytes(range(1, 17)),
        lbaf=formats.ljust(256, b"\0"),
    )  # fmt: skip
    assert text(namespace_lines(data, 17)) == printed("namespace")
    # Bit 5 alone has all of them but the deallocation granularity; neither bit, none.
    data.nsfeat = 0x20
    assert text(namespace_lines(data, 17)) == printed("namespace").replace("npdg    : 15\n", "").replace("0x18", "0x20")
    data.nsfeat = 0
    assert "npwg" not in text(namespace_lines(data, 17))


def test_the_upper_bits_of_a_format_count() -> None:
    data = IdentifyNamespace(nlbaf=15, nulbaf=4, flbas=0x21, lbaf=LbaFormat(lbads=9).encode() * 64)
    found = [line for line in namespace_lines(data, 1) if line.startswith("lbaf")]
    assert len(found) == 20
    assert [line for line in found if line.endswith("(in use)")] == ["lbaf 17 : ms:0   lbads:9  rp:0 (in use)"]


def test_the_smart_log() -> None:
    log = SmartLog(
        critical_warning=4, temperature=313, available_spare=100, spare_threshold=10, data_units_read=3,
        data_units_written=123456789, host_reads_high=1, host_writes=7, power_cycles=1, media_errors=2,
        error_log_entries=5, sensors=(300 << 16).to_bytes(16, "little"),
    )  # fmt: skip
    assert text(smart_lines(log, "nvme+tcp://127.0.0.1:4420", 0xFFFFFFFF)) == printed("smart")


def test_the_ana_log() -> None:
    groups = [
        (AnaGroup(group=1, nsids=2, state=1), [1, 2]),
        (AnaGroup(group=2, change_count=4, state=4), []),
        (AnaGroup(group=3, state=9), []),
    ]
    assert text(ana_lines(AnaReport(4, groups), "nvme0")) == printed("ana")


def test_the_error_log() -> None:
    entry = ErrorLogEntry(
        error_count=9, sqid=1, cid=0x1F, status=0x4005, location=0x28, lba=16, nsid=1, trtype=3, opcode=2, version=1
    )
    assert text(error_lines([entry], "nvme0")) == printed("errors")


def test_the_firmware_log_leaves_empty_slots_out() -> None:
    log = FirmwareSlotLog(active=0x11, slot1=b"0.1.0   ", slot3=b"1\0\0\0\0\0\0\0")
    assert text(firmware_lines(log, "nvme0")) == (
        "Firmware Log for device:nvme0\n"
        "afi  : 0x11\n"
        "frs1 : 0x202020302e312e30 (0.1.0...)\n"
        "frs3 : 0x00000000000031 (1.......)\n"
    )


def test_the_effects_log() -> None:
    admin, io = [0] * 256, [0] * 256
    admin[2], admin[24], admin[193], io[1], io[2] = 0x300001, 0x200001, 1, 0x100003, 0x100002
    assert text(effects_lines(admin, io)) == printed("effects")


@pytest.mark.parametrize(
    ("nsids", "expected"),
    [
        ([], "no ns changed\n"),
        ([1, 17], "[   0]:0x1\n[   1]:0x11\nno ns changed\n"),
        ([0xFFFFFFFF], "more than 1024 ns changed\n"),
    ],
)
def test_the_changed_namespaces(nsids: list[int], expected: str) -> None:
    assert text(changed_lines(nsids)) == expected


def test_a_full_list_of_changed_namespaces_is_not_said_to_be_empty() -> None:
    found = list(changed_lines(range(1, 1025)))
    assert (len(found), found[-1]) == (1024, "[1023]:0x400")


def test_the_supported_log_pages() -> None:
    assert text(supported_lines([0, 2, 0xC0], "nvme0")) == (
        "Support Log Pages Details for nvme0:\n"
        "LID 0 - Supported Log Pages\n"
        "LID 0x2 - SMART / Health Information\n"
        "LID 0xc0 - Unknown\n"
    )


@pytest.mark.parametrize(
    ("fid", "select", "value", "data", "expected"),
    [
        (6, 0, 1, b"", "get-feature:0x06 (Volatile Write Cache), Current value:0x00000001\n"),
        (0x10, 1, 0, b"", "get-feature:0x10 (Host Controlled Thermal Management), Default value:00000000\n"),
        (0, 2, 0, b"", "get-feature:00 (Unknown), Saved value:00000000\n"),
        (
            4,
            3,
            7,
            b"",
            (
                "get-feature:0x04 (Temperature Threshold), Supported capabilities value:0x00000007\n"
                "  Feature is saveable\n  Feature is per-namespace\n  Feature is changeable\n"
            ),
        ),
        (
            0x81,
            0,
            0,
            b"0123456789abcdef",
            (
                "get-feature:0x81 (Host Identifier), Current value:00000000\n"
                "       0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n"
                '0000: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 "0123456789abcdef"\n'
            ),
        ),
        (
            0x0E,
            0,
            0,
            b"\x04 !~\x7f\0\0\0",
            (
                "get-feature:0x0e (Timestamp), Current value:00000000\n"
                "       0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n"
                '0000: 04 20 21 7e 7f 00 00 00                          "..!~...."\n'
            ),
        ),
    ],
)
def test_a_feature(fid: int, select: int, value: int, data: bytes, expected: str) -> None:
    assert text(feature_lines(fid, select, value, data)) == expected


def test_a_list_of_namespaces() -> None:
    row = {"serial": "S1", "model": "BareMetal NVMe", "firmware": "0.1.0"}
    first = {"url": "nvme+tcp://x/1", "nsid": 1, "size_bytes": 1 << 30, "used_bytes": 10**9, "block_bytes": 4096}
    second = {"url": "nvme+tcp://x/10", "nsid": 10, "size_bytes": 5120, "used_bytes": 0, "block_bytes": 512}
    assert text(listing_lines([{**row, **first}, {**row, **second}])) == printed("listing")
    # A longer URL makes its column wider, and nothing else.
    url = "nvme+tcp://192.0.2.1:4420/nqn.2026-11.io.baremetal:disk/1"
    head, dashes, line = listing_lines([{**row, **first, "url": url}])
    assert line.startswith(f"{url} -    ")
    assert head.index("Generic") == dashes.index(" ") + 1 == len(url) + 1


def test_numbers() -> None:
    assert [hexadecimal(value) for value in (0, 1, 255)] == ["0", "0x1", "0xff"]
    assert [decimal_multiple(value) for value in (0.0, 999.0, 1000.0, 1.5e6, 2e30)] == [
        (0.0, ""), (999.0, ""), (1.0, "k"), (1.5, "M"), (2.0, "Q"),
    ]  # fmt: skip
    assert [binary_multiple(value) for value in (512, 1023, 1024, 4096, 1 << 50)] == [
        (512, ""), (1023, ""), (1, "Ki"), (4, "Ki"), (1, "Pi"),
    ]  # fmt: skip
