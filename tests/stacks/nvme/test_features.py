"""Set Features and Get Features: every feature by a table, and those that do something."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target.feature_table import FEATURES
from tests.stacks.nvme.core_rig import ENABLE, HOST_ID, Answer, CoreHost, connected, make_port, sqe
from wire.nvme.features_codec import HostBehavior, TemperatureThreshold, Timestamp
from wire.nvme.logs_codec import SmartLog
from wire.nvme.opcodes import AdminOpcode, CriticalWarning, FeatureId, ThresholdType
from wire.nvme.status import StatusCode

MILLISECOND = 1_000_000
ALL = 0xFFFFFFFF
ERROR_RECOVERY = FeatureId.ERROR_RECOVERY.value

# (default, capabilities of SEL 3, a value that it can be set to, its CDW11 in Get Features)
TABLE: dict[int, tuple[int | bytes, int, int, int]] = {
    FeatureId.ARBITRATION: (0, 4, 0x03020107, 0),
    FeatureId.POWER_MANAGEMENT: (0, 4, 1 << 5, 0),
    FeatureId.TEMPERATURE_THRESHOLD: (343, 4, 350, 0),
    FeatureId.ERROR_RECOVERY: (0, 6, 100, 0),
    FeatureId.VOLATILE_WRITE_CACHE: (1, 4, 0, 0),
    FeatureId.NUMBER_OF_QUEUES: (0x007F007F, 4, 0x007F007F, 0),
    FeatureId.WRITE_ATOMICITY: (0, 4, 1, 0),
    FeatureId.ASYNC_EVENT_CONFIGURATION: (0, 4, 0x9FF, 0),
    FeatureId.TIMESTAMP: (bytes(8), 4, 0, 0),
    FeatureId.KEEP_ALIVE_TIMER: (120_000, 4, 5000, 0),
    FeatureId.HOST_BEHAVIOR: (bytes(512), 4, 0, 0),
    FeatureId.HOST_IDENTIFIER: (bytes(16), 0, 0, 1),
}
NUMBERS = [fid for fid, (default, *_) in TABLE.items() if isinstance(default, int)]


@pytest.fixture
def admin() -> CoreHost:
    admin = CoreHost(make_port(MemoryStore(1 << 20), MemoryStore(1 << 20)))
    admin.start()
    return admin


def nsid_of(fid: int) -> int:
    return 1 if fid == ERROR_RECOVERY else 0


def get(admin: CoreHost, fid: int, *, select: int = 0, nsid: int | None = None, cdw11: int | None = None) -> Answer:
    default, _, _, parameter = TABLE.get(fid, (0, 0, 0, 0))
    nsid = nsid_of(fid) if nsid is None else nsid
    entry = sqe(AdminOpcode.GET_FEATURES, nsid=nsid, cdw10=fid | select << 8)
    entry.cdw11 = parameter if cdw11 is None else cdw11
    return admin.do(entry, expect=len(default) if isinstance(default, bytes) and select != 3 else 0)


def put(admin: CoreHost, fid: int, value: int = 0, *, nsid: int | None = None, data: bytes = b"") -> int:
    nsid = nsid_of(fid) if nsid is None else nsid
    return admin.do(sqe(AdminOpcode.SET_FEATURES, nsid=nsid, cdw10=fid, cdw11=value), data=data).status


def value(admin: CoreHost, fid: int, *, select: int = 0, nsid: int | None = None, cdw11: int | None = None) -> int:
    answer = get(admin, fid, select=select, nsid=nsid, cdw11=cdw11)
    assert answer.status == 0
    return answer.dw0


def test_the_table_has_every_feature_of_the_target_but_those_of_reservations() -> None:
    assert set(TABLE) == set(FEATURES) - {0x82, 0x83}


@pytest.mark.parametrize("fid", TABLE)
def test_a_feature_has_a_default_and_that_is_its_saved_value(admin: CoreHost, fid: int) -> None:
    default, capabilities, _, _ = TABLE[fid]
    for select in (1, 2):
        answer = get(admin, fid, select=select)
        assert answer.status == 0
        assert (answer.data or answer.dw0) == default
    assert value(admin, fid, select=3) == capabilities


@pytest.mark.parametrize("fid", NUMBERS)
def test_a_feature_keeps_what_it_is_set_to_until_the_controller_is_reset(fid: int) -> None:
    admin = CoreHost(make_port())
    admin.start()
    default, _, new, _ = TABLE[fid]
    assert put(admin, fid, new) == 0
    assert value(admin, fid) == new
    assert value(admin, fid, select=1) == default
    admin.set_property(0x14, 0)
    admin.set_property(0x14, ENABLE)
    outlives = fid in (ERROR_RECOVERY, FeatureId.KEEP_ALIVE_TIMER)
    assert value(admin, fid) == (new if outlives else default)


def test_a_feature_that_is_not_there_is_an_invalid_field(admin: CoreHost) -> None:
    for fid in range(256):
        if fid not in FEATURES:
            assert {get(admin, fid, select=select).status for select in range(4)} == {StatusCode.INVALID_FIELD}
            assert put(admin, fid) == StatusCode.INVALID_FIELD, hex(fid)


@pytest.mark.parametrize("fid", TABLE)
def test_nothing_can_be_saved_and_other_selections_are_reserved(admin: CoreHost, fid: int) -> None:
    assert put(admin, fid | 1 << 31, TABLE[fid][2]) == StatusCode.FEATURE_NOT_SAVEABLE
    for select in range(4, 8):
        assert get(admin, fid, select=select).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize("fid", [fid for fid in TABLE if fid != ERROR_RECOVERY])
def test_a_feature_of_the_controller_is_not_set_through_a_namespace(admin: CoreHost, fid: int) -> None:
    for nsid in (1, 2, 1024):
        assert put(admin, fid, nsid=nsid) == StatusCode.FEATURE_NOT_PER_NAMESPACE
        assert get(admin, fid, nsid=nsid).status == 0
    assert put(admin, fid, nsid=1025) == get(admin, fid, nsid=1025).status == StatusCode.INVALID_NAMESPACE
    assert get(admin, fid, nsid=ALL).status == 0


def test_a_feature_of_a_namespace_has_a_value_for_each(admin: CoreHost) -> None:
    assert put(admin, ERROR_RECOVERY, 30, nsid=2) == 0
    assert [value(admin, ERROR_RECOVERY, nsid=nsid) for nsid in (1, 2)] == [0, 30]
    assert put(admin, ERROR_RECOVERY, 7, nsid=ALL) == 0
    assert [value(admin, ERROR_RECOVERY, nsid=nsid) for nsid in (1, 2)] == [7, 7]
    other = CoreHost(admin.port)
    other.start()
    assert value(other, ERROR_RECOVERY, nsid=1) == 7


@pytest.mark.parametrize(
    ("nsid", "get_status", "set_status"),
    [
        (0, StatusCode.INVALID_NAMESPACE, StatusCode.INVALID_NAMESPACE),
        (3, StatusCode.INVALID_FIELD, StatusCode.INVALID_FIELD),
        (1025, StatusCode.INVALID_NAMESPACE, StatusCode.INVALID_NAMESPACE),
        (ALL, StatusCode.INVALID_NAMESPACE, 0),
    ],
)
def test_a_feature_of_a_namespace_needs_one(admin: CoreHost, nsid: int, get_status: int, set_status: int) -> None:
    assert get(admin, ERROR_RECOVERY, nsid=nsid).status == get_status
    assert put(admin, ERROR_RECOVERY, nsid=nsid) == set_status


@pytest.mark.parametrize(
    ("fid", "value"),
    [
        (FeatureId.ARBITRATION, 1 << 3),
        (FeatureId.POWER_MANAGEMENT, 1),
        (FeatureId.POWER_MANAGEMENT, 1 << 8),
        (FeatureId.TEMPERATURE_THRESHOLD, 300 | 1 << 16),
        (FeatureId.TEMPERATURE_THRESHOLD, 300 | 9 << 16),
        (FeatureId.TEMPERATURE_THRESHOLD, 300 | 2 << 20),
        (FeatureId.TEMPERATURE_THRESHOLD, 300 | 1 << 22),
        (FeatureId.ERROR_RECOVERY, 1 << 16),
        (FeatureId.ERROR_RECOVERY, 1 << 17),
        (FeatureId.VOLATILE_WRITE_CACHE, 2),
        (FeatureId.NUMBER_OF_QUEUES, 0xFFFF),
        (FeatureId.NUMBER_OF_QUEUES, 0xFFFF0000),
        (FeatureId.WRITE_ATOMICITY, 2),
        (FeatureId.ASYNC_EVENT_CONFIGURATION, 1 << 9),
        (FeatureId.ASYNC_EVENT_CONFIGURATION, 1 << 14),
        (FeatureId.ASYNC_EVENT_CONFIGURATION, 1 << 31),
    ],
)
def test_a_value_that_cannot_be_is_an_invalid_field_and_changes_nothing(admin: CoreHost, fid: int, value: int) -> None:
    before = get(admin, fid)
    assert put(admin, fid, value) == StatusCode.INVALID_FIELD
    assert get(admin, fid).dw0 == before.dw0


def test_keep_alive_cannot_be_turned_off(admin: CoreHost) -> None:
    assert put(admin, FeatureId.KEEP_ALIVE_TIMER, 0) == StatusCode.KEEP_ALIVE_INVALID
    assert put(admin, FeatureId.KEEP_ALIVE_TIMER, 1500) == 0
    assert value(admin, FeatureId.KEEP_ALIVE_TIMER) == 2000


def test_the_number_of_queues_is_answered_as_linux_expects_and_settled_once_there_are_any(admin: CoreHost) -> None:
    assert admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=7, cdw11=0x00010001)).dw0 == 0x007F007F
    admin, _ = connected(make_port())
    assert put(admin, FeatureId.NUMBER_OF_QUEUES, 0) == StatusCode.COMMAND_SEQUENCE_ERROR


# The host identifier


def test_the_host_identifier_is_the_one_of_connect_in_128_bits(admin: CoreHost) -> None:
    assert get(admin, FeatureId.HOST_IDENTIFIER).data == HOST_ID
    for select in range(3):
        assert get(admin, FeatureId.HOST_IDENTIFIER, select=select, cdw11=0).status == StatusCode.INVALID_FIELD
    assert put(admin, FeatureId.HOST_IDENTIFIER, 1, data=bytes(16)) == StatusCode.COMMAND_SEQUENCE_ERROR


# The timestamp


def timestamp(admin: CoreHost) -> Timestamp:
    return Timestamp.decode(get(admin, FeatureId.TIMESTAMP).data)


def test_a_timestamp_goes_on_from_where_the_host_set_it(admin: CoreHost) -> None:
    target = admin.port.target
    target.tick(1000 * MILLISECOND)
    assert (timestamp(admin).timestamp, timestamp(admin).origin) == (1000, 0)
    noon = Timestamp(timestamp=1_800_000_000_000)
    assert put(admin, FeatureId.TIMESTAMP, data=noon.encode()) == 0
    target.tick(1250 * MILLISECOND)
    now = timestamp(admin)
    assert (now.timestamp, now.origin, now.synch) == (1_800_000_000_250, 1, 0)


def test_a_timestamp_begins_again_at_a_reset_and_after_48_bits(admin: CoreHost) -> None:
    target = admin.port.target
    target.tick(MILLISECOND)
    put(admin, FeatureId.TIMESTAMP, data=Timestamp(timestamp=(1 << 48) - 3).encode())
    target.tick(6 * MILLISECOND)
    assert timestamp(admin).timestamp == 2
    admin.set_property(0x14, 0)
    admin.set_property(0x14, ENABLE)
    target.tick(9 * MILLISECOND)
    assert (timestamp(admin).timestamp, timestamp(admin).origin) == (3, 0)


@pytest.mark.parametrize("length", [0, 7, 16])
def test_a_timestamp_has_eight_bytes(admin: CoreHost, length: int) -> None:
    assert put(admin, FeatureId.TIMESTAMP, data=bytes(length)) == StatusCode.INVALID_SGL_DATA_LENGTH
    answer = admin.do(sqe(AdminOpcode.GET_FEATURES, cdw10=FeatureId.TIMESTAMP), expect=length)
    assert answer.status == StatusCode.INVALID_SGL_DATA_LENGTH


# Host behavior


def test_what_a_host_says_of_itself_is_kept_until_a_reset(admin: CoreHost) -> None:
    said = HostBehavior(acre=1, lbafee=1)
    assert put(admin, FeatureId.HOST_BEHAVIOR, data=said.encode()) == 0
    assert get(admin, FeatureId.HOST_BEHAVIOR).data == said.encode()
    wrong = HostBehavior(acre=2).encode()
    assert put(admin, FeatureId.HOST_BEHAVIOR, data=wrong) == StatusCode.INVALID_FIELD
    assert get(admin, FeatureId.HOST_BEHAVIOR).data == said.encode()
    admin.set_property(0x14, 0)
    admin.set_property(0x14, ENABLE)
    assert get(admin, FeatureId.HOST_BEHAVIOR).data == bytes(512)


# Temperature and its events


def threshold(kelvin: int, kind: ThresholdType, *, sensor: int = 0) -> int:
    word = TemperatureThreshold(tmpth=kelvin, tmpsel=sensor, thsel=kind).encode()
    return int.from_bytes(word, "little")


def smart(admin: CoreHost, *, rae: bool = False) -> SmartLog:
    return SmartLog.decode(admin.log_page(2, 512, rae=rae).data)


def test_both_thresholds_are_there_and_all_sensors_are_the_composite(admin: CoreHost) -> None:
    for kelvin, kind, sensor in ((350, ThresholdType.OVER, 0), (290, ThresholdType.UNDER, 15)):
        assert put(admin, FeatureId.TEMPERATURE_THRESHOLD, threshold(kelvin, kind, sensor=sensor)) == 0
        assert value(admin, FeatureId.TEMPERATURE_THRESHOLD, cdw11=threshold(0, kind)) == kelvin
        assert value(admin, FeatureId.TEMPERATURE_THRESHOLD, cdw11=threshold(0, kind), select=1) == (
            343 if kind is ThresholdType.OVER else 0
        )
    for sensor in (1, 8, 15):
        wrong = threshold(0, ThresholdType.OVER, sensor=sensor)
        assert get(admin, FeatureId.TEMPERATURE_THRESHOLD, cdw11=wrong).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize(
    ("kelvin", "kind", "is_warning"),
    [
        (314, ThresholdType.OVER, False),
        (313, ThresholdType.OVER, True),
        (312, ThresholdType.UNDER, False),
        (313, ThresholdType.UNDER, True),
    ],
)
def test_a_warning_begins_at_the_threshold(admin: CoreHost, kelvin: int, kind: ThresholdType, is_warning: bool) -> None:
    assert (smart(admin).temperature, smart(admin).critical_warning) == (313, 0)
    put(admin, FeatureId.TEMPERATURE_THRESHOLD, threshold(kelvin, kind))
    assert smart(admin).critical_warning == (CriticalWarning.TEMPERATURE if is_warning else 0)


def request_event(admin: CoreHost) -> int:
    cid = admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST))
    admin.pump()
    return cid


def test_a_warning_is_an_event_for_as_long_as_the_host_wants_to_hear_of_it(admin: CoreHost) -> None:
    put(admin, FeatureId.TEMPERATURE_THRESHOLD, threshold(300, ThresholdType.OVER))
    first = request_event(admin)
    assert first not in admin.answers, "it is not asked for"
    put(admin, FeatureId.ASYNC_EVENT_CONFIGURATION, CriticalWarning.TEMPERATURE)
    assert admin.answers[first].dw0 == 0x00020101
    second = request_event(admin)
    smart(admin, rae=True)
    assert second not in admin.answers, "the host still looks into the first"
    smart(admin)
    admin.pump()
    assert admin.answers[second].dw0 == 0x00020101, "the condition persists"
    put(admin, FeatureId.ASYNC_EVENT_CONFIGURATION, 0)
    third = request_event(admin)
    smart(admin)
    admin.pump()
    assert third not in admin.answers
    put(admin, FeatureId.ASYNC_EVENT_CONFIGURATION, CriticalWarning.TEMPERATURE)
    admin.pump()
    assert admin.answers[third].dw0 == 0x00020101
    put(admin, FeatureId.TEMPERATURE_THRESHOLD, threshold(343, ThresholdType.OVER))
    fourth = request_event(admin)
    smart(admin)
    admin.pump()
    assert fourth not in admin.answers, "it is over"
