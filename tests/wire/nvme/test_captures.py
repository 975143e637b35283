"""Every NVMe/RDMA command, completion and data page that two Linux 6.1 machines exchanged, decoded and re-encoded."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from tests.captures.frames import CAPTURES, frames
from wire.datagrams import Datagram, datagram_of
from wire.layout import Header
from wire.nvme import (
    DISCOVERY_NQN,
    NSID_BROADCAST,
    AnaGroup,
    AnaHeader,
    AnaState,
    CommandSet,
    CompletionEntry,
    ConnectCommand,
    ConnectCompletion,
    ConnectData,
    ControllerType,
    DataBlockSgl,
    DatasetAttribute,
    DatasetManagement,
    DatasetRange,
    DisconnectCommand,
    DiscoveryEntry,
    DiscoveryHeader,
    EffectsEntry,
    EventConfiguration,
    FeatureId,
    FeaturesCommand,
    GetLogPage,
    IdentifierType,
    IdentifyCns,
    IdentifyCommand,
    IdentifyController,
    IdentifyNamespace,
    IoCommandStatus,
    IoOpcode,
    KeyedSgl,
    LbaFormat,
    LogPage,
    PowerState,
    PropertyGetCommand,
    PropertyGetCompletion,
    PropertyOffset,
    PropertySetCommand,
    QueueCounts,
    RdmaAddress,
    RdmaConnectAccept,
    RdmaConnectionService,
    RdmaConnectRequest,
    RdmaProvider,
    RdmaQpType,
    ReadWrite,
    SglKind,
    SmartLog,
    StatusCode,
    SubmissionEntry,
    SubsystemType,
    TransportType,
    decode_identifiers,
    decode_nsids,
    encode_identifiers,
    encode_nsids,
    is_do_not_retry,
    padded_text,
    status_code,
)
from wire.nvme.rdma_trace import RdmaTrace
from wire.nvme.traced_command import TracedCommand
from wire.udp import ROCE_V2_PORT

each_capture = pytest.mark.parametrize("capture", CAPTURES)
DISK_NQN = "nqn.2026-11.io.baremetal:disk"
HOST_NQN = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000000"
START = "CONNECT PROPERTY_GET PROPERTY_SET PROPERTY_GET PROPERTY_GET PROPERTY_SET PROPERTY_GET PROPERTY_GET IDENTIFY"
STOP = "PROPERTY_SET PROPERTY_GET"
DISCOVERY_QUEUE = f"{START} SET_FEATURES ASYNC_EVENT_REQUEST IDENTIFY GET_LOG_PAGE GET_LOG_PAGE {STOP}"
ADMIN_QUEUE = (
    f"{START} GET_LOG_PAGE GET_LOG_PAGE GET_LOG_PAGE SET_FEATURES SET_FEATURES ASYNC_EVENT_REQUEST IDENTIFY IDENTIFY "
    f"IDENTIFY IDENTIFY IDENTIFY GET_LOG_PAGE IDENTIFY IDENTIFY IDENTIFY IDENTIFY GET_LOG_PAGE IDENTIFY IDENTIFY "
    f"IDENTIFY {STOP}"
)
IO_QUEUE = "CONNECT READ READ READ WRITE READ READ READ READ READ FLUSH WRITE_ZEROES DATASET_MANAGEMENT"


def datagrams(capture: str) -> list[tuple[int, Datagram]]:
    found = ((number, datagram_of(frame)) for number, frame in enumerate(frames(capture), start=1))
    return [(number, datagram) for number, datagram in found if datagram and datagram.destination_port == ROCE_V2_PORT]


def traced(packets: list[tuple[int, Datagram]]) -> RdmaTrace:
    trace = RdmaTrace()
    for number, datagram in packets:
        trace.feed(number, datagram.source, datagram.destination, datagram.payload)
    return trace


@cache
def trace_of(capture: str) -> RdmaTrace:
    return traced(datagrams(capture))


def named(capture: str, name: str) -> list[TracedCommand]:
    return [command for command in trace_of(capture).commands if command.name == name]


def logs(capture: str, page: LogPage) -> list[TracedCommand]:
    return [command for command in named(capture, "GET_LOG_PAGE") if GetLogPage.decode(command.capsule).lid == page]


def identified(capture: str, cns: IdentifyCns) -> list[TracedCommand]:
    return [command for command in named(capture, "IDENTIFY") if IdentifyCommand.decode(command.capsule).cns == cns]


@each_capture
def test_queues_are_opened_as_linux_does(capture: str) -> None:
    discovery, admin, io = trace_of(capture).queues
    assert discovery.request == admin.request == RdmaConnectRequest(qid=0, hrqsize=32, hsqsize=31)
    assert discovery.accept == admin.accept == RdmaConnectAccept(crqsize=32)
    assert io.request == RdmaConnectRequest(qid=1, hrqsize=16, hsqsize=15)
    assert io.accept == RdmaConnectAccept(crqsize=16)
    assert {queue.host for queue in (discovery, admin, io)} == {"10.77.0.3"}
    assert io.mtu_bytes == {"linux-mtu1500": 1024, "linux-mtu9000": 4096}[capture]


@each_capture
def test_commands_come_in_the_order_that_the_readme_tells(capture: str) -> None:
    trace = trace_of(capture)
    names = [" ".join(command.name for command in trace.commands if command.queue is queue) for queue in trace.queues]
    assert names == [DISCOVERY_QUEUE, ADMIN_QUEUE, IO_QUEUE]


VIEWS: dict[str, tuple[type[Header], ...]] = {
    "CONNECT": (ConnectCommand,),
    "PROPERTY_GET": (PropertyGetCommand,),
    "PROPERTY_SET": (PropertySetCommand,),
    "IDENTIFY": (SubmissionEntry, IdentifyCommand),
    "GET_LOG_PAGE": (SubmissionEntry, GetLogPage),
    "SET_FEATURES": (SubmissionEntry, FeaturesCommand),
    "DATASET_MANAGEMENT": (SubmissionEntry, DatasetManagement),
    **dict.fromkeys(("READ", "WRITE", "FLUSH", "WRITE_ZEROES"), (SubmissionEntry, ReadWrite)),
    "ASYNC_EVENT_REQUEST": (SubmissionEntry,),
}


@each_capture
def test_every_command_encodes_to_the_same_bytes_in_each_view(capture: str) -> None:
    for command in trace_of(capture).commands:
        entry = command.capsule[: SubmissionEntry.SIZE]
        for view in VIEWS[command.name]:
            assert view.decode(entry).encode() == entry, (view, command.frame)
        sgl = command.entry.sgl
        kind = KeyedSgl if sgl[15] in (SglKind.KEYED, SglKind.KEYED_INVALIDATE) else DataBlockSgl
        assert kind.decode(sgl).encode() == sgl


@each_capture
def test_every_command_but_the_event_requests_is_completed(capture: str) -> None:
    for command in trace_of(capture).commands:
        if command.name == "ASYNC_EVENT_REQUEST":
            assert command.completion == b""
            continue
        entry = CompletionEntry.decode(command.completion)
        assert entry.encode() == command.completion
        assert (entry.cid, entry.sqid) == (command.entry.cid, command.queue.qid)


@each_capture
def test_only_identify_5_and_write_zeroes_fail(capture: str) -> None:
    failed = {
        command.name: CompletionEntry.decode(command.completion).status
        for command in trace_of(capture).commands
        if command.completion and status_code(CompletionEntry.decode(command.completion).status)
    }
    assert {name: status_code(word) for name, word in failed.items()} == {
        "IDENTIFY": StatusCode.INVALID_FIELD,
        "WRITE_ZEROES": IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED,
    }
    assert all(is_do_not_retry(word) for word in failed.values())


@each_capture
def test_key_of_the_sgl_is_the_one_invalidated(capture: str) -> None:
    for command in trace_of(capture).commands:
        sgl = KeyedSgl.decode(command.entry.sgl)
        expected = sgl.key if sgl.kind == SglKind.KEYED_INVALIDATE else None
        assert command.invalidated == expected


@each_capture
def test_connects_carry_nqns_and_controller_ids(capture: str) -> None:
    connects = named(capture, "CONNECT")
    data = [ConnectData.decode(command.data or command.in_capsule) for command in connects]
    assert [one.encode() for one in data] == [bytes(one.data) or one.in_capsule for one in connects]
    assert [padded_text(one.subnqn) for one in data] == [DISCOVERY_NQN, DISK_NQN, DISK_NQN]
    assert {padded_text(one.hostnqn) for one in data} == {HOST_NQN}
    assert [one.cntlid for one in data] == [0xFFFF, 0xFFFF, 1]
    assert data[1].hostid == data[2].hostid
    commands = [ConnectCommand.decode(command.capsule) for command in connects]
    assert [(one.qid, one.sqsize, one.kato) for one in commands] == [(0, 31, 0), (0, 31, 5000), (1, 15, 0)]
    completions = [ConnectCompletion.decode(command.completion) for command in connects]
    assert [(one.cntlid, one.authreq, one.sqhd) for one in completions] == [(1, 0, 1)] * 3


@each_capture
def test_properties_have_the_values_that_enable_and_shut_down(capture: str) -> None:
    read, written = [], []
    for command in trace_of(capture).commands[:16]:
        if command.name == "PROPERTY_GET":
            offset = PropertyGetCommand.decode(command.capsule).offset
            read.append((offset, PropertyGetCompletion.decode(command.completion).value))
        elif command.name == "PROPERTY_SET":
            setting = PropertySetCommand.decode(command.capsule)
            written.append((setting.offset, setting.value))
    cap = (PropertyOffset.CAP, 0x00000820_0F00007F)
    cc, csts, vs = (PropertyOffset.CC, 0x00460060), (PropertyOffset.CSTS, 1), (PropertyOffset.VS, 0x00010300)
    assert read == [cap, cc, cap, csts, vs, (PropertyOffset.CSTS, 8)]
    assert written == [(PropertyOffset.CC, value) for value in (0x00460060, 0x00460061, 0x00464061)]


@each_capture
def test_identify_controller_pages_tell_linux_nvmet(capture: str) -> None:
    pages = [bytes(command.data) for command in identified(capture, IdentifyCns.CONTROLLER)]
    assert [IdentifyController.decode(page).encode() for page in pages] == pages
    discovery, io = IdentifyController.decode(pages[0]), IdentifyController.decode(pages[-1])
    for page in (discovery, io):
        assert (padded_text(page.mn), page.fr, page.cntlid, page.ver) == ("Linux", b"6.1.0-56", 1, 0x10300)
        assert page.sgls == 0x100005
    assert (discovery.cntrltype, discovery.oaes, discovery.lpa) == (
        ControllerType.DISCOVERY,
        EventConfiguration.DISCOVERY_CHANGE,
        4,
    )
    assert (discovery.nn, discovery.kas, discovery.ioccsz) == (0, 0, 0)
    assert padded_text(discovery.subnqn) == DISCOVERY_NQN
    assert padded_text(io.subnqn) == DISK_NQN
    expected = {
        "rab": 6,
        "cmic": 11,
        "oaes": 0x900,
        "ctratt": 0x41,
        "cntrltype": ControllerType.IO,
        "acl": 3,
        "aerl": 3,
    }
    expected |= {"frmw": 3, "lpa": 7, "elpe": 127, "kas": 10, "anatt": 10, "anacap": 31, "anagrpmax": 128}
    expected |= {"nanagrpid": 128, "sqes": 0x66, "cqes": 0x44, "maxcmd": 1024, "nn": 1024, "oncs": 12, "vwc": 1}
    expected |= {"nwpc": 1, "mnan": 1024, "ioccsz": 4 + 4096 // 16, "iorcsz": 1, "msdbd": 1, "icdoff": 0, "ofcs": 0}
    assert {name: getattr(io, name) for name in expected} == expected
    assert PowerState.decode(io.psd) == PowerState(mp=2500, enlat=16, exlat=4)


@each_capture
def test_namespace_has_16384_blocks_of_4096_bytes(capture: str) -> None:
    pages = [bytes(command.data) for command in identified(capture, IdentifyCns.NAMESPACE)]
    assert len(pages) == 5
    for page in pages:
        namespace = IdentifyNamespace.decode(page)
        assert namespace.encode() == page
        assert (namespace.nsze, namespace.ncap, namespace.nuse) == (16384, 16384, 16384)
        assert (namespace.nlbaf, namespace.flbas, namespace.nmic, namespace.anagrpid) == (0, 0, 1, 1)
        assert LbaFormat.decode(namespace.lbaf) == LbaFormat(lbads=12)


@each_capture
def test_namespace_lists_and_descriptors_encode_to_the_same_bytes(capture: str) -> None:
    [active] = identified(capture, IdentifyCns.ACTIVE_NAMESPACES)
    assert decode_nsids(active.data) == [1]
    assert encode_nsids([1], 4096) == active.data
    for command in identified(capture, IdentifyCns.NAMESPACE_DESCRIPTORS):
        identifiers = decode_identifiers(command.data)
        assert [kind for kind, _ in identifiers] == [IdentifierType.UUID, IdentifierType.CSI]
        assert identifiers[1][1] == bytes([CommandSet.NVM])
        assert encode_identifiers(identifiers) == command.data


@each_capture
def test_discovery_log_lists_itself_and_the_disk(capture: str) -> None:
    head, whole = logs(capture, LogPage.DISCOVERY)
    assert whole.data[: DiscoveryHeader.SIZE] == head.data == DiscoveryHeader(genctr=3, numrec=2).encode()
    assert [GetLogPage.decode(command.capsule).lsp_rae >> 7 for command in (head, whole)] == [1, 0]
    entries = [DiscoveryEntry.decode(whole.data, offset) for offset in (1024, 2048)]
    assert b"".join(entry.encode() for entry in entries) == whole.data[1024:]
    assert [entry.subtype for entry in entries] == [SubsystemType.CURRENT_DISCOVERY, SubsystemType.NVM]
    assert [padded_text(entry.subnqn) for entry in entries] == [DISCOVERY_NQN, DISK_NQN]
    for entry in entries:
        assert (entry.trtype, entry.portid, entry.cntlid, entry.asqsz) == (TransportType.RDMA, 1, 0xFFFF, 32)
        assert (padded_text(entry.traddr), padded_text(entry.trsvcid)) == ("10.77.0.2", "4420")
        address = RdmaAddress.decode(entry.tsas)
        assert (address.qptype, address.cms) == (RdmaQpType.RELIABLE_CONNECTED, RdmaConnectionService.RDMA_CM)
        assert address.prtype == RdmaProvider.NONE


@each_capture
def test_effects_log_names_the_commands_of_nvmet(capture: str) -> None:
    [log] = logs(capture, LogPage.COMMAND_EFFECTS)
    entries = [EffectsEntry.decode(log.data, offset) for offset in range(0, 2048, EffectsEntry.SIZE)]
    assert b"".join(entry.encode() for entry in entries) == log.data[:2048]
    supported = [opcode for opcode, entry in enumerate(entries) if entry.supported]
    assert supported[:7] == [0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18]
    io = [IoOpcode.FLUSH, IoOpcode.WRITE, IoOpcode.READ, IoOpcode.WRITE_ZEROES, IoOpcode.DATASET_MANAGEMENT]
    assert supported[7:] == [256 + opcode for opcode in io]


@each_capture
def test_ana_log_has_one_optimized_group(capture: str) -> None:
    for log in logs(capture, LogPage.ANA):
        assert log.entry.nsid == NSID_BROADCAST
        assert AnaHeader.decode(log.data) == AnaHeader(groups=1)
        assert AnaGroup.decode(log.data, 16) == AnaGroup(group=1, nsids=1, state=AnaState.OPTIMIZED)
        assert decode_nsids(log.data[48:52]) == [1]
        assert len(log.data) == 16 + 128 * 32 + 1024 * 4


@each_capture
def test_smart_log_counts_the_two_errors(capture: str) -> None:
    before, after = (SmartLog.decode(command.data) for command in logs(capture, LogPage.SMART))
    assert before == SmartLog()
    assert after.error_log_entries == 2
    assert [command.data for command in logs(capture, LogPage.SMART)] == [before.encode(), after.encode()]


@each_capture
def test_features_set_queues_and_events(capture: str) -> None:
    commands = [(command, FeaturesCommand.decode(command.capsule)) for command in named(capture, "SET_FEATURES")]
    assert [(feature.fid, feature.cdw11) for _, feature in commands] == [
        (FeatureId.ASYNC_EVENT_CONFIGURATION, EventConfiguration.DISCOVERY_CHANGE),
        (FeatureId.NUMBER_OF_QUEUES, 0),
        (
            FeatureId.ASYNC_EVENT_CONFIGURATION,
            EventConfiguration.ANA_CHANGE | EventConfiguration.NAMESPACE_ATTRIBUTE,
        ),
    ]
    assert QueueCounts.decode(commands[1][0].completion) == QueueCounts(submission=127, completion=127)


@each_capture
def test_what_was_written_is_read_back(capture: str) -> None:
    [write] = named(capture, "WRITE")
    transfer = ReadWrite.decode(write.capsule)
    assert (transfer.slba, transfer.nlb + 1, len(write.data), write.to_host) == (0, 8, 32768, False)
    assert len(set(write.data)) == 256
    reads = named(capture, "READ")
    assert reads[3].data == write.data
    assert all(read.to_host for read in reads)
    single = [read for read in reads[4:] if len(read.data) == 4096]
    assert b"".join(read.data for read in single) == write.data[:16384]
    assert [ReadWrite.decode(read.capsule).slba for read in single] == [0, 1, 2, 3]


@each_capture
def test_dataset_management_deallocates_one_range_given_in_the_capsule(capture: str) -> None:
    [command] = named(capture, "DATASET_MANAGEMENT")
    management = DatasetManagement.decode(command.capsule)
    assert (management.nr, management.attributes) == (0, DatasetAttribute.DEALLOCATE)
    assert DataBlockSgl.decode(management.sgl) == DataBlockSgl(length=16, kind=SglKind.DATA_BLOCK_OFFSET)
    assert DatasetRange.decode(command.in_capsule) == DatasetRange(blocks=8, slba=0)


@each_capture
def test_packets_seen_twice_count_once(capture: str) -> None:
    doubled = [item for packet in datagrams(capture) for item in (packet, packet)]
    again, once = traced(doubled), trace_of(capture)
    assert len(again.queues) == len(once.queues)
    assert [(one.capsule, one.data, one.completion) for one in again.commands] == [
        (one.capsule, one.data, one.completion) for one in once.commands
    ]


@each_capture
def test_damaged_packets_never_raise(capture: str) -> None:
    rng, trace = Random(4), RdmaTrace()
    for number, datagram in datagrams(capture):
        payload = bytearray(datagram.payload)
        if rng.random() < 0.3:
            payload[int(rng.random() * len(payload))] = int(rng.random() * 256)
        if rng.random() < 0.1:
            del payload[int(rng.random() * len(payload)) :]
        trace.feed(number, datagram.source, datagram.destination, payload)


def test_disconnect_is_laid_out_though_linux_never_sends_it() -> None:
    assert DisconnectCommand(cid=3).encode()[:5].hex() == "7f40030008"
