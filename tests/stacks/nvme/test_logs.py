"""Log pages: true, whole or in pieces, and what reading one changes."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target.handlers import TABLES
from tests.stacks.nvme.core_rig import ENABLE, NQN, CoreHost, connected, make_port, sqe
from wire.nvme.kinds import AnaState, ControllerType, TransportType
from wire.nvme.logs_codec import AnaGroup, EffectsEntry, ErrorLogEntry, FeatureEffectsEntry, LogSupportEntry, SmartLog
from wire.nvme.opcodes import AdminOpcode, IoOpcode, LogPage
from wire.nvme.status import StatusCode, status_code
from wire.nvme.text import decode_nsids

SECOND = 10**9
MORE = 1 << 14


@pytest.fixture
def hosts() -> tuple[CoreHost, CoreHost]:
    return connected(make_port(MemoryStore(1 << 20), MemoryStore(1 << 21)))


@pytest.fixture
def admin(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[0]


def smart(admin: CoreHost, nsid: int = 0xFFFFFFFF) -> SmartLog:
    return SmartLog.decode(admin.log_page(2, 512, nsid=nsid).data)


def errors(admin: CoreHost) -> list[ErrorLogEntry]:
    log = admin.log_page(1, 64 * 64).data
    entries = [ErrorLogEntry.decode(log, at) for at in range(0, len(log), 64)]
    return [entry for entry in entries if entry.error_count]


# Which pages there are


def supported(admin: CoreHost) -> set[int]:
    log = admin.log_page(0, 1024).data
    return {page for page in range(256) if LogSupportEntry.decode(log, page * 4).supported & 1}


def test_the_log_of_supported_logs_is_true(admin: CoreHost) -> None:
    pages = supported(admin)
    for page in range(256):
        assert admin.log_page(page, 4).status == (0 if page in pages else StatusCode.INVALID_LOG_PAGE), hex(page)
    assert pages >= {0, 1, 2, 3, 5, 0x12, 0x13}


def test_no_page_has_an_index(admin: CoreHost) -> None:
    log = admin.log_page(0, 1024).data
    for page in supported(admin):
        assert not LogSupportEntry.decode(log, page * 4).supported & 2
        entry = sqe(AdminOpcode.GET_LOG_PAGE, cdw10=page)
        entry.cdw14 = 1 << 23
        assert admin.do(entry, expect=4).status == StatusCode.INVALID_FIELD


def test_a_log_page_is_read_in_pieces(admin: CoreHost) -> None:
    whole = admin.log_page(5, 4096).data
    assert b"".join(admin.log_page(5, 512, offset=at).data for at in range(0, 4096, 512)) == whole
    assert admin.log_page(5, 512, offset=4096).data == bytes(512)
    assert admin.log_page(5, 512, offset=4100).status == StatusCode.INVALID_FIELD
    assert admin.log_page(5, 512, offset=1 << 40).status == StatusCode.INVALID_FIELD
    assert admin.log_page(5, 512, offset=2).status == StatusCode.INVALID_FIELD
    assert admin.log_page(3, 8192).data[512:] == bytes(8192 - 512)


@pytest.mark.parametrize("page", [LogPage.COMMAND_EFFECTS, LogPage.FEATURE_IDS_EFFECTS])
def test_effects_are_those_of_the_nvm_command_set(admin: CoreHost, page: int) -> None:
    entry = sqe(AdminOpcode.GET_LOG_PAGE, cdw10=page)
    entry.cdw14 = 2 << 24
    assert admin.do(entry, expect=4).status == StatusCode.INVALID_FIELD


# Effects


def test_the_effects_log_is_true_for_every_opcode(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    log = admin.log_page(5, 4096).data
    for opcode in range(256):
        if opcode in (AdminOpcode.FABRICS, AdminOpcode.ASYNC_EVENT_REQUEST):
            continue
        for host, at in ((admin, 0), (io, 1024)):
            is_supported = EffectsEntry.decode(log, at + opcode * 4).supported
            status = host.do(sqe(opcode, nsid=1)).status
            assert is_supported == (status != StatusCode.INVALID_OPCODE), (opcode, at)


@pytest.mark.parametrize("controller_type", ControllerType)
def test_the_effects_log_is_the_handler_tables(admin: CoreHost, controller_type: ControllerType) -> None:
    tables = TABLES[controller_type]
    admin.queue.tables = tables
    log = admin.log_page(5, 4096).data
    for at, table in ((0, tables.admin), (1024, tables.io)):
        told = {opcode for opcode in range(256) if EffectsEntry.decode(log, at + opcode * 4).supported}
        assert told == set(table) - {AdminOpcode.FABRICS}


def test_only_commands_that_change_blocks_say_so(admin: CoreHost) -> None:
    log = admin.log_page(5, 4096).data
    entries = {opcode: EffectsEntry.decode(log, 1024 + opcode * 4) for opcode in range(256)}
    assert {opcode for opcode, entry in entries.items() if entry.lba_content} == {
        IoOpcode.WRITE,
        IoOpcode.WRITE_UNCORRECTABLE,
        IoOpcode.WRITE_ZEROES,
        IoOpcode.DATASET_MANAGEMENT,
        IoOpcode.COPY,
    }
    assert {entry.scope for entry in entries.values() if entry.supported} == {1}, "one namespace each"


def test_the_feature_log_is_true(admin: CoreHost) -> None:
    log = admin.log_page(0x12, 1024).data
    entries = {fid: FeatureEffectsEntry.decode(log, fid * 4) for fid in range(256)}
    for fid, entry in entries.items():
        capabilities = admin.do(sqe(AdminOpcode.GET_FEATURES, cdw10=fid | 3 << 8))
        assert entry.supported == (capabilities.status == 0), hex(fid)
        if entry.supported:
            assert entry.scope == (1 if capabilities.dw0 & 2 else 2), hex(fid)


# Errors


def test_the_error_log_holds_real_errors_newest_first(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    assert io.io(IoOpcode.READ, 1 << 40, 1, expect=4096).word & MORE
    io.io(0xC0, 7, 1, nsid=2)
    newest, older = errors(admin)
    assert (newest.error_count, newest.sqid, newest.nsid, status_code(newest.status)) == (2, 1, 2, 1)
    assert (older.error_count, older.lba, status_code(older.status)) == (1, 1 << 40, 0x80)
    assert (newest.location, older.location) == (0, 40)
    assert (newest.trtype, older.trtype) == (0, 0)
    assert smart(admin).error_log_entries == 2


def test_an_error_of_the_transport_names_it(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    io.send(sqe(IoOpcode.WRITE, nsid=1), expect=4096)
    (command,) = io.port.poll_fetches()
    io.queue.fail(command, StatusCode.TRANSIENT_TRANSPORT_ERROR.value)
    io.pump()
    assert [entry.trtype for entry in errors(admin)] == [TransportType.RDMA]


def test_a_reset_forgets_the_errors_and_goes_on_counting(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    io.io(0xC0, 0, 1)
    admin.set_property(0x14, 0)
    admin.set_property(0x14, ENABLE)
    assert errors(admin) == []
    admin.do(sqe(0xC0))
    assert [entry.error_count for entry in errors(admin)] == [2]


def test_the_oldest_errors_make_room(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    for _ in range(70):
        io.io(0xC0, 0, 1)
    assert [entry.error_count for entry in errors(admin)] == list(range(70, 6, -1))


# SMART


def test_smart_counts_what_was_read_and_written(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    for _ in range(130):
        io.io(IoOpcode.WRITE, 0, 1, data=bytes(4096))
    io.io(IoOpcode.READ, 0, 2, expect=8192, nsid=2)
    log = smart(admin)
    assert (log.host_writes, log.host_reads) == (130, 1)
    assert (log.data_units_written, log.data_units_read) == (2, 1)
    assert smart(admin, 2).host_writes == 0
    assert admin.log_page(2, 512, nsid=9).status == StatusCode.INVALID_FIELD
    assert admin.log_page(2, 512, nsid=2000).status == StatusCode.INVALID_NAMESPACE


def test_a_healthy_target_says_so(admin: CoreHost) -> None:
    log = smart(admin)
    assert (log.critical_warning, log.temperature, log.available_spare, log.percentage_used) == (0, 313, 100, 0)
    assert (log.power_cycles, log.unsafe_shutdowns, log.media_errors, log.sensors) == (1, 0, 0, bytes(16))


def test_hours_of_work_are_counted_and_minutes_of_business(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    target = admin.port.target
    target.tick(0)
    target.tick(7200 * SECOND)
    assert (smart(admin).power_on_hours, smart(admin).busy_minutes) == (2, 0)
    io.send(sqe(IoOpcode.FLUSH, nsid=1))
    flush = target.poll_store_requests()
    target.tick((7200 + 119) * SECOND)
    assert smart(admin).busy_minutes == 1
    target.handle_store_completions(flush, (7200 + 120) * SECOND)
    io.pump()
    target.tick(9999 * SECOND)
    assert smart(admin).busy_minutes == 2


def test_commands_that_come_and_go_between_two_looks_are_a_moment_of_business(
    hosts: tuple[CoreHost, CoreHost]
) -> None:
    admin, io = hosts
    target = admin.port.target
    busy = target.subsystems[NQN].busy_time
    for number in range(5):
        io.io(IoOpcode.READ, 0, 1, expect=4096)
        target.tick((number + 1) * SECOND)
    assert busy.total_ns == 5_000_000


# Pages that somebody relies on


def test_linux_reads_the_ana_log_in_one_go(admin: CoreHost) -> None:
    log = admin.log_page(0x0C, 16 + 32 + 4 * 1024).data
    group = AnaGroup.decode(log, 16)
    assert (group.group, group.nsids, group.state) == (1, 2, AnaState.OPTIMIZED)
    assert decode_nsids(log[48:]) == [1, 2]


def test_a_log_longer_than_a_transfer_is_refused(admin: CoreHost) -> None:
    assert admin.log_page(1, (128 << 10) + 4).status == StatusCode.INVALID_FIELD
