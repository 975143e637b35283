"""NVMe/TCP in captures: Linux's own connections, PDU by PDU, and what cannot be PDUs."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.captures.frames import CAPTURES, frames
from wire.nvme.kinds import TcpDigest, TcpPduFlag, TcpPduKind
from wire.nvme.tcp_codec import TcpControllerData, TcpHeader
from wire.nvme.tcp_trace import TcpTrace
from wire.segments import Segment, segment_of
from wire.tcp import TcpFlag
from wire.tcp import TcpHeader as Tcp

HOST, CONTROLLER = ("192.0.2.2", 50000), ("192.0.2.1", 4420)
each_capture = pytest.mark.parametrize("capture", CAPTURES)


@cache
def trace_of(capture: str) -> TcpTrace:
    trace = TcpTrace(frozenset({4421}))
    for number, frame in enumerate(frames(capture), start=1):
        if (segment := segment_of(frame)) is not None:
            trace.feed(number, segment)
    return trace


def segment(
    way: tuple[tuple[str, int], tuple[str, int]], payload: bytes = b"", *, seq: int, flags: int = TcpFlag.ACK
) -> Segment:
    (source, source_port), (destination, destination_port) = way
    header = Tcp(source_port=source_port, destination_port=destination_port, sequence=seq, flags=flags)
    return Segment(source, destination, header, memoryview(payload))


def connected() -> TcpTrace:
    trace = TcpTrace()
    trace.feed(1, segment((HOST, CONTROLLER), seq=99, flags=TcpFlag.SYN))
    trace.feed(2, segment((CONTROLLER, HOST), seq=499, flags=TcpFlag.SYN | TcpFlag.ACK))
    return trace


@each_capture
def test_queues_have_the_numbers_and_digests_that_the_hosts_asked_for(capture: str) -> None:
    both = TcpDigest.HEADER | TcpDigest.DATA
    assert [(queue.qid, queue.digests) for queue in trace_of(capture).queues] == [(0, 0), (0, both), (1, both)]


@each_capture
def test_every_pdu_is_intact_and_belongs_to_a_command_but_for_the_first_two(capture: str) -> None:
    trace = trace_of(capture)
    assert all(pdu.is_intact for pdu in trace.pdus)
    lone = Counter(pdu.header.kind for pdu in trace.pdus if pdu.command is None)
    assert lone == {TcpPduKind.INITIALIZE_REQUEST: 3, TcpPduKind.INITIALIZE_RESPONSE: 3}


@each_capture
def test_data_of_commands_is_put_together_from_their_pdus(capture: str) -> None:
    commands = trace_of(capture).commands
    [write] = [command for command in commands if command.name == "WRITE"]
    assert (len(write.data), write.to_host) == (32 << 10, False)
    reads = [command for command in commands if command.name == "READ"]
    assert any(bytes(read.data).startswith(bytes(write.data)[: len(read.data)]) for read in reads)
    assert all(read.to_host for read in reads)
    assert {len(command.in_capsule) for command in commands if command.name == "CONNECT"} == {1024}


@each_capture
def test_a_flipped_bit_under_a_digest_is_noticed(capture: str) -> None:
    pdus = [pdu for pdu in trace_of(capture).pdus if pdu.header_digest is not None and pdu.data_digest is not None]
    for pdu in pdus[:3]:
        for offset in (pdu.header.hlen - 1, pdu.header.pdo + 1):
            raw = bytearray(pdu.raw)
            raw[offset] ^= 1
            assert not type(pdu)(pdu.frame, bytes(raw), pdu.from_host).is_intact


def test_success_with_the_last_data_ends_a_command() -> None:
    trace = connected()
    capsule = bytes([TcpPduKind.COMMAND, 0, 72, 0, 72, 0, 0, 0]) + b"\x02\x40\x05\x00" + bytes(60)
    trace.feed(3, segment((HOST, CONTROLLER), capsule, seq=100))
    flags = TcpPduFlag.LAST | TcpPduFlag.SUCCESS
    answer = TcpControllerData(flags=flags, pdo=24, plen=28, cid=5, length=4).encode() + b"data"
    trace.feed(4, segment((CONTROLLER, HOST), answer, seq=500))
    trace.feed(5, segment((CONTROLLER, HOST), answer, seq=528))
    [command] = trace.commands
    assert (bytes(command.data), command.data_frames, command.completion) == (b"data", [4], b"")
    assert [pdu.command for pdu in trace.pdus] == [command, command, None]


def test_pdu_counts_for_the_packet_that_completes_it() -> None:
    trace, capsule = connected(), bytes([TcpPduKind.COMMAND, 0, 72, 0, 72, 0, 0, 0]) + bytes(64)
    for frame, (start, end) in enumerate(((0, 5), (5, 71), (71, 72)), start=3):
        assert trace.pdus == []
        trace.feed(frame, segment((HOST, CONTROLLER), capsule[start:end], seq=100 + start))
    assert [pdu.frame for pdu in trace.pdus] == [5]


@pytest.mark.parametrize(
    "header",
    [
        TcpHeader(kind=8, hlen=24, plen=24),
        TcpHeader(kind=4, hlen=71, plen=80),
        TcpHeader(kind=7, hlen=24, plen=23),
        TcpHeader(kind=0xFF, hlen=0, plen=0),
    ],
)
def test_nothing_is_read_behind_a_header_that_cannot_be(header: TcpHeader) -> None:
    trace = connected()
    trace.feed(3, segment((HOST, CONTROLLER), header.encode() + bytes(100), seq=100))
    trace.feed(4, segment((HOST, CONTROLLER), bytes([4, 0, 72, 0, 72, 0, 0, 0]) + bytes(64), seq=208))
    assert trace.pdus == []


def test_connection_without_its_beginning_and_other_ports_are_passed_over() -> None:
    trace = TcpTrace()
    trace.feed(1, segment((HOST, CONTROLLER), bytes(100), seq=5))
    trace.feed(2, segment((CONTROLLER, HOST), seq=5, flags=TcpFlag.SYN | TcpFlag.ACK))
    trace.feed(3, segment((HOST, ("192.0.2.1", 80)), seq=5, flags=TcpFlag.SYN))
    assert (trace.queues, trace.pdus) == ([], [])
