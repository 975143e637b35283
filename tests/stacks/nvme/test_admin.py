"""Admin commands: pages with true values, features, events, abort."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, make_port, sqe
from wire.nvme.identifiers import decode_identifiers
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace
from wire.nvme.kinds import AnaState
from wire.nvme.logs_codec import AnaGroup, ErrorLogEntry, SmartLog
from wire.nvme.opcodes import AdminOpcode, FeatureId, IoOpcode
from wire.nvme.status import StatusCode
from wire.nvme.text import decode_nsids, padded_text


@pytest.fixture
def hosts() -> tuple[CoreHost, CoreHost]:
    return connected(make_port(MemoryStore(1 << 20), MemoryStore(1 << 21)))


@pytest.fixture
def admin(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[0]


def test_what_linux_insists_on_is_in_the_controller_page(admin: CoreHost) -> None:
    page = IdentifyController.decode(admin.identify(1).data)
    assert page.cntlid == 1
    assert page.kas
    assert page.ioccsz == (64 + 8192) // 16
    assert (page.iorcsz, page.icdoff, page.sqes, page.cqes) == (1, 0, 0x66, 0x44)
    assert page.sgls == 0x100005
    assert padded_text(page.subnqn) == NQN
    assert page.mdts == 5
    assert page.vwc & 1
    assert page.oncs == 0x2D


def test_namespaces_are_listed_and_described(admin: CoreHost) -> None:
    assert decode_nsids(admin.identify(2).data) == [1, 2]
    assert decode_nsids(admin.identify(2, nsid=1).data) == [2]
    assert decode_nsids(admin.identify(7).data) == [1, 2]
    page = IdentifyNamespace.decode(admin.identify(0, nsid=2).data)
    assert (page.nsze, page.ncap, page.nvmcap) == (512, 512, 1 << 21)
    assert page.dlfeat == 9
    kinds = dict(decode_identifiers(admin.identify(3, nsid=2).data))
    assert kinds[2] == kinds[3] == page.nguid
    assert kinds[4] == b"\0"
    assert admin.identify(8, nsid=1).data[14] == 1


def test_an_inactive_namespace_reads_as_zeroes(admin: CoreHost) -> None:
    assert admin.identify(0, nsid=9).data == bytes(4096)


@pytest.mark.parametrize(
    ("cns", "nsid", "cdw11", "status"),
    [
        (0, 0, 0, StatusCode.INVALID_NAMESPACE),
        (0, 5000, 0, StatusCode.INVALID_NAMESPACE),
        (3, 9, 0, StatusCode.INVALID_NAMESPACE),
        (2, 0xFFFFFFFE, 0, StatusCode.INVALID_NAMESPACE),
        (5, 1, 2 << 24, StatusCode.INVALID_FIELD),
        (6, 0, 2 << 24, StatusCode.INVALID_FIELD),
        (0x10, 0, 0, StatusCode.INVALID_FIELD),
        (0xFF, 0, 0, StatusCode.INVALID_FIELD),
    ],
)
def test_identify_data_that_is_not_there_is_refused(
    admin: CoreHost, cns: int, nsid: int, cdw11: int, status: StatusCode
) -> None:
    assert admin.identify(cns, nsid=nsid, cdw11=cdw11).status == status


@pytest.mark.parametrize("cns", [0, 1, 2, 3, 5, 6, 7, 8, 0x1C])
def test_every_identify_page_has_4096_bytes(admin: CoreHost, cns: int) -> None:
    answer = admin.identify(cns | (0xFFFF << 16 if cns == 0x1C else 0), nsid=1 if cns in (0, 3, 5, 8) else 0)
    assert (answer.status, len(answer.data)) == (0, 4096)


def test_identify_into_another_length_is_refused(admin: CoreHost) -> None:
    entry = sqe(AdminOpcode.IDENTIFY, cdw10=1)
    assert admin.do(entry, expect=512).status == StatusCode.INVALID_SGL_DATA_LENGTH


def test_smart_counts_what_was_read_and_written(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    for _ in range(130):
        io.io(IoOpcode.WRITE, 0, 1, data=bytes(4096))
    io.io(IoOpcode.READ, 0, 2, expect=8192, nsid=2)
    log = SmartLog.decode(admin.log_page(2, 512).data)
    assert (log.host_writes, log.host_reads) == (130, 1)
    assert (log.data_units_written, log.data_units_read) == (2, 1)
    assert SmartLog.decode(admin.log_page(2, 512, nsid=2).data).host_writes == 0
    assert admin.log_page(2, 512, nsid=9).status == StatusCode.INVALID_NAMESPACE


def test_the_error_log_holds_real_errors_newest_first(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    io.io(IoOpcode.READ, 1 << 40, 1, expect=4096)
    io.io(0xC0, 7, 1, nsid=2)
    log = admin.log_page(1, 64 * 64).data
    newest, older = ErrorLogEntry.decode(log), ErrorLogEntry.decode(log, 64)
    assert (newest.error_count, newest.sqid, newest.nsid, newest.status >> 1 & 0x7FF) == (2, 1, 2, 1)
    assert (older.error_count, older.lba, older.status >> 1 & 0x7FF) == (1, 1 << 40, 0x80)
    assert (newest.location, older.location) == (0, 40)
    assert SmartLog.decode(admin.log_page(2, 512).data).error_log_entries == 2


def test_the_log_of_supported_logs_is_true(admin: CoreHost) -> None:
    log = admin.log_page(0, 1024).data
    supported = [page for page in range(256) if log[page * 4] & 1]
    for page in range(256):
        status = admin.log_page(page, 4).status
        assert status == (0 if page in supported else StatusCode.INVALID_LOG_PAGE)
    assert {0, 1, 2, 3, 5, 0x12, 0x13} <= set(supported)


def test_the_effects_log_is_true(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    log = admin.log_page(5, 4096).data
    for opcode in range(1, 256):
        if opcode in (0x7F, AdminOpcode.ASYNC_EVENT_REQUEST):
            continue
        for host, at in ((admin, 0), (io, 1024)):
            is_supported = bool(log[at + opcode * 4] & 1)
            status = host.do(sqe(opcode, nsid=1)).status
            assert is_supported == (status != StatusCode.INVALID_OPCODE), (opcode, at)


def test_a_log_page_is_read_in_pieces(admin: CoreHost) -> None:
    whole = admin.log_page(5, 4096).data
    assert b"".join(admin.log_page(5, 512, offset=at).data for at in range(0, 4096, 512)) == whole
    assert admin.log_page(5, 512, offset=4096).data == bytes(512)
    assert admin.log_page(5, 512, offset=4100).status == StatusCode.INVALID_FIELD
    assert admin.log_page(5, 512, offset=2).status == StatusCode.INVALID_FIELD


def test_linux_reads_the_ana_log_in_one_go(admin: CoreHost) -> None:
    log = admin.log_page(0x0C, 16 + 32 + 4 * 1024).data
    group = AnaGroup.decode(log, 16)
    assert (group.group, group.nsids, group.state) == (1, 2, AnaState.OPTIMIZED)
    assert decode_nsids(log[48:]) == [1, 2]


FEATURES = (1, 2, 4, 5, 6, 7, 0x0A, 0x0B, 0x0F)


@pytest.mark.parametrize("fid", FEATURES)
def test_mandatory_features_can_be_read(admin: CoreHost, fid: int) -> None:
    for select in range(4):
        assert admin.do(sqe(AdminOpcode.GET_FEATURES, cdw10=fid | select << 8)).status == 0


def features(admin: CoreHost, fid: int, value: int) -> tuple[int, int]:
    status = admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=fid, cdw11=value)).status
    return status, admin.do(sqe(AdminOpcode.GET_FEATURES, cdw10=fid & 0xFF)).dw0


def test_features_keep_what_they_are_set_to(admin: CoreHost) -> None:
    assert features(admin, FeatureId.VOLATILE_WRITE_CACHE, 0) == (0, 0)
    assert features(admin, FeatureId.ASYNC_EVENT_CONFIGURATION, 0x900) == (0, 0x900)
    assert features(admin, FeatureId.KEEP_ALIVE_TIMER, 1500) == (0, 2000)
    default = admin.do(sqe(AdminOpcode.GET_FEATURES, cdw10=FeatureId.VOLATILE_WRITE_CACHE | 1 << 8))
    assert default.dw0 == 1


@pytest.mark.parametrize(
    ("fid", "value", "status"),
    [
        (FeatureId.POWER_MANAGEMENT, 1, StatusCode.INVALID_FIELD),
        (FeatureId.VOLATILE_WRITE_CACHE, 2, StatusCode.INVALID_FIELD),
        (FeatureId.KEEP_ALIVE_TIMER, 0, StatusCode.KEEP_ALIVE_INVALID),
        (FeatureId.HOST_IDENTIFIER, 1, StatusCode.FEATURE_NOT_CHANGEABLE),
        (FeatureId.VOLATILE_WRITE_CACHE | 1 << 31, 0, StatusCode.FEATURE_NOT_SAVEABLE),
        (0x7E, 0, StatusCode.INVALID_FIELD),
        (FeatureId.NUMBER_OF_QUEUES, 0, StatusCode.COMMAND_SEQUENCE_ERROR),
    ],
)
def test_what_cannot_be_set_is_refused(admin: CoreHost, fid: int, value: int, status: StatusCode) -> None:
    assert admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=fid, cdw11=value)).status == status


def test_the_number_of_queues_is_answered_as_linux_expects() -> None:
    admin = CoreHost(make_port())
    admin.start()
    assert admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=7, cdw11=0x00010001)).dw0 == 0x007F007F


def test_the_host_identifier_is_the_one_of_connect(admin: CoreHost) -> None:
    assert admin.do(sqe(AdminOpcode.GET_FEATURES, cdw10=0x81), expect=16).data == bytes(range(16))


def aer(admin: CoreHost) -> int:
    cid = admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST))
    admin.pump()
    return cid


def enable_events(admin: CoreHost) -> None:
    features(admin, FeatureId.ASYNC_EVENT_CONFIGURATION, 0x900)


def test_a_new_namespace_is_announced_once_until_its_log_is_read(admin: CoreHost) -> None:
    enable_events(admin)
    subsystem = admin.port.target.subsystems[NQN]
    first, second = aer(admin), aer(admin)
    subsystem.add_namespace(MemoryStore(1 << 20))
    admin.pump()
    assert admin.answers[first].dw0 == 0x00040002
    subsystem.remove_namespace(2)
    admin.pump()
    assert second not in admin.answers
    assert decode_nsids(admin.log_page(4, 4096, rae=True).data) == [2, 3]
    assert second not in admin.answers
    assert decode_nsids(admin.log_page(4, 4096).data) == [2, 3]
    admin.pump()
    assert admin.answers[second].dw0 == 0x00040002


def test_an_event_waits_for_a_request(admin: CoreHost) -> None:
    enable_events(admin)
    admin.port.target.subsystems[NQN].set_ana_state(1, AnaState.NON_OPTIMIZED)
    assert admin.answers == {}
    assert admin.answers[aer(admin)].dw0 == 0x000C0302


def test_an_event_that_nobody_asked_for_is_not_told(admin: CoreHost) -> None:
    cid = aer(admin)
    admin.port.target.subsystems[NQN].add_namespace(MemoryStore(1 << 20))
    admin.pump()
    assert cid not in admin.answers


def test_a_fifth_event_request_is_too_many(admin: CoreHost) -> None:
    cids = [aer(admin) for _ in range(5)]
    assert [cid for cid in cids if cid in admin.answers] == cids[-1:]
    assert admin.answers[cids[-1]].status == StatusCode.ASYNC_EVENT_LIMIT_EXCEEDED


def test_abort_takes_a_waiting_event_request_back(admin: CoreHost) -> None:
    cid = aer(admin)
    assert admin.do(sqe(AdminOpcode.ABORT, cdw10=cid << 16)).dw0 == 0
    assert admin.answers[cid].status == StatusCode.ABORTED_BY_REQUEST
    assert admin.do(sqe(AdminOpcode.ABORT, cdw10=cid << 16)).dw0 == 1


def test_keep_alive_is_answered(admin: CoreHost) -> None:
    assert admin.do(sqe(AdminOpcode.KEEP_ALIVE)).status == 0
