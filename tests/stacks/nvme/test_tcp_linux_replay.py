"""What a Linux 6.1 host sent to nvmet over TCP, byte by byte, sent to our target over TCP."""

from __future__ import annotations

from functools import cache

import pytest

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.stores import MemoryStore
from tests.captures.frames import CAPTURES, frames
from tests.stacks.nvme.tcp_raw import RawHost
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.test_linux_replay import WE_CAN
from tests.wire.nvme.tcp_pdus import Pdu, pdu
from wire.nvme.commands_codec import CompletionEntry
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.kinds import TcpPduFlag, TcpPduKind
from wire.nvme.status import status_code
from wire.nvme.tcp_codec import TcpHeader, TcpHostData
from wire.nvme.tcp_trace import TcpTrace, TracedPdu
from wire.nvme.traced_command import TracedCommand
from wire.segments import segment_of

each_capture = pytest.mark.parametrize("capture", CAPTURES)


@cache
def trace_of(capture: str) -> TcpTrace:
    trace = TcpTrace(frozenset({4421}))
    for number, frame in enumerate(frames(capture), start=1):
        segment = segment_of(frame)
        if segment is not None:
            trace.feed(number, segment)
    return trace


class Replay:
    """Our target, and a connection for each of a capture; answers: what came for each command."""

    def __init__(self, capture: str, *, shortcuts: bool) -> None:
        self.rig = TcpRig(MemoryStore(64 << 20), target=TcpTargetConfig(shortcuts=shortcuts, in_capsule_bytes=16384))
        self.trace = trace_of(capture)
        self.hosts: list[RawHost] = []
        self.answers: dict[TracedCommand, list[Pdu]] = {}
        self.queues = iter(self.trace.queues)
        self.by_queue: dict[object, RawHost] = {}
        self.ttags: dict[TracedCommand, int] = {}
        self.cntlid = 0
        for each in self.trace.pdus:
            if each.from_host:
                self.send(each)

    def send(self, each: TracedPdu) -> None:
        """Send what the host sent, with what only our own answers can tell put in."""
        if each.header.kind == TcpPduKind.INITIALIZE_REQUEST:
            host = RawHost(self.rig, f"192.0.2.{20 + len(self.hosts)}")
            self.hosts.append(host)
            self.by_queue[next(self.queues)] = host
            host.send(each.raw)
            [answer] = host.take()
            assert answer.kind is TcpPduKind.INITIALIZE_RESPONSE
            host.digests = answer.field("digests")
            return
        command = each.command
        assert command is not None
        host = self.by_queue[command.queue]
        host.send(self._changed(each, command, host))
        found = host.take()
        if found and found[0].kind is TcpPduKind.READY_TO_TRANSFER:
            self.ttags[command] = found[0].field("ttag")
            return
        self.answers[command] = found
        if command.name == "CONNECT":
            self.cntlid = completion_of(found).dw0

    def _changed(self, each: TracedPdu, command: TracedCommand, host: RawHost) -> bytes:
        data = each.data
        header: object = Pdu(each.raw).header
        if command.name == "CONNECT" and command.queue.qid:
            connect = ConnectData.decode(data)
            connect.cntlid = self.cntlid
            data = connect.encode()
        elif isinstance(header, TcpHostData):
            header.ttag = self.ttags[command]
        else:
            return each.raw
        return pdu(header, data, digests=host.digests)  # type: ignore[arg-type]


@cache
def replayed(capture: str, *, shortcuts: bool = True) -> Replay:
    return Replay(capture, shortcuts=shortcuts)


def completion_of(answer: list[Pdu]) -> CompletionEntry:
    assert answer[-1].kind is TcpPduKind.COMPLETION
    return CompletionEntry.decode(answer[-1].raw, TcpHeader.SIZE)


def data_of(answer: list[Pdu]) -> bytes:
    return b"".join(each.data for each in answer if each.kind is TcpPduKind.CONTROLLER_DATA)


@each_capture
@pytest.mark.parametrize("shortcuts", [True, False])
def test_every_command_of_the_host_gets_the_status_that_it_got_from_nvmet(capture: str, shortcuts: bool) -> None:
    replay = replayed(capture, shortcuts=shortcuts)
    assert len(replay.answers) == len(replay.trace.commands) > 50
    for command, answer in replay.answers.items():
        if command.name == "ASYNC_EVENT_REQUEST":
            assert answer == []
            continue
        expected = status_code(int.from_bytes(command.completion[14:16], "little"))
        got = completion_of(answer)
        is_ours = (command.name, command.entry.cdw10 & 0xFF if command.name == "IDENTIFY" else 0) in WE_CAN
        assert status_code(got.status) == (0 if is_ours else expected), f"{command.name}, frame {command.frame}"
        assert (got.cid, got.sqid) == (command.entry.cid, command.queue.qid)


@each_capture
def test_the_connections_agree_on_what_linux_asked_for_and_every_digest_is_right(capture: str) -> None:
    replay = replayed(capture)
    assert [host.digests for host in replay.hosts] == [0, 3, 3]
    for host in replay.hosts:
        assert host.termination is None
        for each in host.pdus[1:]:
            assert (each.header_digest is not None) == bool(host.digests & 1)
            assert (each.data_digest is not None) == bool(host.digests & 2 and each.data)
            assert each.is_header_intact
            assert each.is_data_intact
            # Linux takes SUCCESS only with SQ flow control off, which it does not ask for.
            assert not each.flags & TcpPduFlag.SUCCESS
            assert each.plen % 4 == 0


@each_capture
def test_the_host_reads_what_it_read_from_nvmet(capture: str) -> None:
    replay = replayed(capture)
    reads = [command for command in replay.trace.commands if command.name == "READ"]
    assert len(reads) == 8
    for command in reads:
        assert data_of(replay.answers[command]) == bytes(command.data), f"frame {command.frame}"


@each_capture
def test_pages_have_the_length_that_the_host_asked_for_and_say_what_it_needs(capture: str) -> None:
    replay = replayed(capture)
    for command, answer in replay.answers.items():
        if not command.to_host or not answer or status_code(completion_of(answer).status):
            continue
        page = data_of(answer)
        assert not command.data or len(page) == len(command.data), f"{command.name}, frame {command.frame}"
        if command.name == "IDENTIFY" and command.entry.cdw10 & 0xFF == 1 and not is_discovery(command):
            ours, theirs = IdentifyController.decode(page), IdentifyController.decode(bytes(command.data))
            # As Linux insists on: in-capsule data at its own offset, transport data blocks, room for a command.
            assert ours.sgls & 0x100001 == theirs.sgls & 0x100001 == 0x100001
            assert (ours.ioccsz, ours.iorcsz, ours.icdoff) == (theirs.ioccsz, theirs.iorcsz, theirs.icdoff)


def is_discovery(command: TracedCommand) -> bool:
    return IdentifyController.decode(bytes(command.data)).cntrltype == 2
