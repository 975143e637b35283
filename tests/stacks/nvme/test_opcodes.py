"""Every opcode of both queues of every kind of controller, and every field that can be wrong, by tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from stacks.nvme.target.handlers import TABLES
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, copy_ranges, make_port, ranges, sqe
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.kinds import ControllerType
from wire.nvme.logs_codec import ErrorLogEntry
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FeatureId, IoOpcode, LogPage
from wire.nvme.status import DNR, IoCommandStatus, StatusCode

MANAGEMENT_NQN = "nqn.2026-11.io.baremetal:management"
BLOCK = bytes(4096)

ADMIN = {0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18, 0x7F}
"""What is mandatory for an I/O controller over fabrics (NVMe Base 2.0 figure 28), and nothing else is there."""
IO = {0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x09, 0x0C, 0x0D, 0x0E, 0x11, 0x15, 0x19, 0x7F}
EXPECTED = {
    ControllerType.IO: (ADMIN, IO),
    ControllerType.DISCOVERY: (ADMIN, set()),
    ControllerType.ADMINISTRATIVE: (ADMIN, set()),
}
NQNS = {
    ControllerType.IO: NQN,
    ControllerType.DISCOVERY: DISCOVERY_NQN,
    ControllerType.ADMINISTRATIVE: MANAGEMENT_NQN,
}


@pytest.fixture
def hosts() -> tuple[CoreHost, CoreHost]:
    return connected(make_port())


@pytest.fixture
def admin(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[0]


@pytest.fixture
def io(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[1]


@pytest.mark.parametrize("controller_type", ControllerType)
def test_the_tables_have_these_commands_and_no_others(controller_type: ControllerType) -> None:
    tables = TABLES[controller_type]
    assert (set(tables.admin), set(tables.io)) == EXPECTED[controller_type]


@pytest.mark.parametrize("controller_type", ControllerType)
def test_an_admin_opcode_that_is_not_there_is_invalid(controller_type: ControllerType) -> None:
    port = make_port()
    port.target.add_subsystem(Subsystem(MANAGEMENT_NQN, kind=ADMINISTRATIVE))
    admin = CoreHost(port)
    assert admin.connect(nqn=NQNS[controller_type]).status == 0
    assert admin.set_property(0x14, 0x00460001).status == 0
    for opcode in set(range(256)) - ADMIN:
        answer = admin.do(sqe(opcode, nsid=1))
        assert (answer.status, answer.word & DNR) == (StatusCode.INVALID_OPCODE, DNR), hex(opcode)


def test_an_io_opcode_that_is_not_there_is_invalid(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    for opcode in set(range(256)) - IO:
        answer = io.do(sqe(opcode, nsid=1), data=BLOCK, in_capsule=True)
        assert (answer.status, answer.word & DNR) == (StatusCode.INVALID_OPCODE, DNR), hex(opcode)
        entry = ErrorLogEntry.decode(admin.log_page(1, 64).data)
        assert (entry.sqid, entry.location) == (1, 0)


def test_an_admin_command_before_the_controller_is_enabled_is_out_of_sequence() -> None:
    admin = CoreHost(make_port())
    admin.connect()
    for opcode in ADMIN - {AdminOpcode.FABRICS}:
        assert admin.do(sqe(opcode), expect=4096).status == StatusCode.COMMAND_SEQUENCE_ERROR, hex(opcode)


def with_words(opcode: int, *, nsid: int = 1, **words: int) -> SubmissionEntry:
    entry = sqe(opcode, nsid=nsid)
    for name, value in words.items():
        setattr(entry, name, value)
    return entry


WRITE, READ, COPY = IoOpcode.WRITE, IoOpcode.READ, IoOpcode.COPY
FIELD, LENGTH, RANGE = StatusCode.INVALID_FIELD, StatusCode.INVALID_SGL_DATA_LENGTH, StatusCode.LBA_OUT_OF_RANGE

# (command, data, status, location in the submission entry or 0xFFFF)
WRONG_IO: list[tuple[SubmissionEntry, bytes, int, int]] = [
    (with_words(WRITE, cdw10=255, cdw12=1), BLOCK * 2, RANGE, 40),
    (with_words(WRITE, cdw11=1), BLOCK, RANGE, 40),
    (with_words(WRITE, cdw12=1), BLOCK, LENGTH, 32),
    (with_words(WRITE, cdw12=40), BLOCK * 41, FIELD, 48),
    (with_words(IoOpcode.COMPARE, cdw12=1), BLOCK, LENGTH, 32),
    (with_words(IoOpcode.COMPARE, cdw10=256), BLOCK, RANGE, 40),
    (with_words(IoOpcode.WRITE_ZEROES, cdw10=255, cdw12=1), b"", RANGE, 40),
    (with_words(IoOpcode.WRITE_UNCORRECTABLE, cdw10=255, cdw12=1), b"", RANGE, 40),
    (with_words(IoOpcode.VERIFY, cdw10=255, cdw12=1), b"", RANGE, 40),
    (with_words(IoOpcode.VERIFY, cdw12=1 << 29), b"", FIELD, 51),
    (with_words(IoOpcode.DATASET_MANAGEMENT, cdw10=1, cdw11=4), ranges((0, 1)), LENGTH, 32),
    (with_words(IoOpcode.DATASET_MANAGEMENT, cdw11=4), ranges((256, 1)), RANGE, 0xFFFF),
    (with_words(COPY, cdw12=1 << 8), copy_ranges((0, 1)), FIELD, 49),
    (with_words(COPY, cdw12=1), copy_ranges((0, 1)), LENGTH, 32),
    (with_words(COPY, cdw12=128), copy_ranges(*[(0, 1)] * 129), IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED, 48),
    (with_words(COPY, cdw10=256), copy_ranges((0, 1)), RANGE, 40),
    (with_words(COPY), copy_ranges((256, 1)), RANGE, 0xFFFF),
    (with_words(IoOpcode.FLUSH, nsid=0), b"", StatusCode.INVALID_NAMESPACE, 4),
    (with_words(IoOpcode.FLUSH, nsid=0xFFFFFFFF), b"", StatusCode.INVALID_NAMESPACE, 4),
    (with_words(READ, nsid=2), BLOCK, FIELD, 4),
    (with_words(READ, nsid=1025), BLOCK, StatusCode.INVALID_NAMESPACE, 4),
]


@pytest.mark.parametrize(("entry", "data", "status", "location"), WRONG_IO)
def test_a_wrong_field_of_an_io_command_has_its_status_and_its_place_in_the_error_log(
    hosts: tuple[CoreHost, CoreHost], entry: SubmissionEntry, data: bytes, status: int, location: int
) -> None:
    admin, io = hosts
    assert io.do(entry, data=data).status == status
    logged = ErrorLogEntry.decode(admin.log_page(1, 64).data)
    assert (logged.sqid, logged.location, logged.nsid) == (1, location, entry.nsid)


LOG, IDENTIFY, SET = AdminOpcode.GET_LOG_PAGE, AdminOpcode.IDENTIFY, AdminOpcode.SET_FEATURES

WRONG_ADMIN: list[tuple[SubmissionEntry, int, int]] = [
    (with_words(LOG, cdw10=0x0D), StatusCode.INVALID_LOG_PAGE, 40),
    (with_words(LOG, cdw10=LogPage.ERROR, cdw12=2), FIELD, 48),
    (with_words(LOG, cdw10=LogPage.ERROR, cdw13=1), FIELD, 48),
    (with_words(LOG, cdw10=LogPage.ERROR, cdw14=1 << 23), FIELD, 58),
    (with_words(LOG, cdw10=LogPage.COMMAND_EFFECTS, cdw14=1 << 24), FIELD, 59),
    (with_words(LOG, cdw10=LogPage.FEATURE_IDS_EFFECTS, cdw14=1 << 24), FIELD, 59),
    (with_words(LOG, cdw10=LogPage.SMART, nsid=2), FIELD, 4),
    (with_words(IDENTIFY, cdw10=0x10), FIELD, 40),
    (with_words(IDENTIFY, cdw10=5, cdw11=1 << 24), FIELD, 47),
    (with_words(IDENTIFY, cdw10=0, nsid=0), StatusCode.INVALID_NAMESPACE, 4),
    (with_words(IDENTIFY, cdw10=3, nsid=2), FIELD, 4),
    (with_words(IDENTIFY, cdw10=0x1C | 9 << 16, nsid=0), FIELD, 42),
    (with_words(SET, nsid=0, cdw10=0x7E), FIELD, 40),
    (with_words(SET, nsid=0, cdw10=FeatureId.ARBITRATION | 1 << 31), StatusCode.FEATURE_NOT_SAVEABLE, 43),
    (with_words(SET, nsid=1, cdw10=FeatureId.ARBITRATION), StatusCode.FEATURE_NOT_PER_NAMESPACE, 4),
    (with_words(SET, nsid=0, cdw10=FeatureId.POWER_MANAGEMENT, cdw11=1), FIELD, 44),
    (with_words(AdminOpcode.GET_FEATURES, nsid=0, cdw10=1 | 4 << 8), FIELD, 41),
]


@pytest.mark.parametrize(("entry", "status", "location"), WRONG_ADMIN)
def test_a_wrong_field_of_an_admin_command_has_its_status_and_its_place_in_the_error_log(
    admin: CoreHost, entry: SubmissionEntry, status: int, location: int
) -> None:
    length = 4 if entry.opcode == LOG else 4096 if entry.opcode == IDENTIFY else 0
    assert admin.do(entry, expect=length).status == status
    logged = ErrorLogEntry.decode(admin.log_page(1, 64).data)
    assert (logged.sqid, logged.location) == (0, location)


def ignored() -> Iterator[tuple[int, dict[str, int]]]:
    """Fields that are for protection information, directives and hints, none of which there are here."""
    for opcode in (READ, WRITE, IoOpcode.COMPARE):
        yield opcode, {"cdw12": 0b1111 << 26}
        yield opcode, {"cdw12": 1 << 31}
        yield opcode, {"cdw13": 0xFF, "cdw14": 7, "cdw15": 7}
    yield WRITE, {"cdw12": 0xF << 20, "cdw13": 0xFFFF << 16}


@pytest.mark.parametrize(("opcode", "words"), list(ignored()))
def test_fields_of_what_is_not_there_are_ignored(io: CoreHost, opcode: int, words: dict[str, int]) -> None:
    is_read = opcode == READ
    answer = io.do(with_words(opcode, **words), data=b"" if is_read else BLOCK, expect=4096 if is_read else 0)
    assert answer.status == 0


def test_hints_of_dataset_management_are_taken_and_do_nothing() -> None:
    store = MemoryStore(1 << 20)
    _, io = connected(make_port(store))
    store.write(0, [memoryview(b"\1" * 4096)])
    assert io.do(with_words(IoOpcode.DATASET_MANAGEMENT, cdw11=3), data=ranges((0, 8))).status == 0
    found = bytearray(4096)
    store.read(0, memoryview(found))
    assert found == b"\1" * 4096


def test_zeroes_are_written_with_and_without_deallocating_them(io: CoreHost) -> None:
    for control in (0, 1 << 25):
        io.io(WRITE, 0, 1, data=b"\1" * 4096)
        assert io.do(with_words(IoOpcode.WRITE_ZEROES, cdw12=control)).status == 0
        assert io.io(READ, 0, 1, expect=4096).data == BLOCK
