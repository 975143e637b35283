"""Every NVMe/TCP PDU that two Linux 6.1 machines exchanged, with both digests: taken apart, checked, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.captures.frames import CAPTURES
from tests.captures.streams import connections
from tests.wire.nvme.tcp_pdus import Pdu, pdu, pdus
from wire.checksum import crc32c
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind, TcpDigest, TcpPduFlag, TcpPduKind
from wire.nvme.sgl_codec import DataBlockSgl
from wire.nvme.tcp_codec import (
    TcpCommand,
    TcpCompletion,
    TcpHeader,
    TcpInitializeRequest,
    TcpInitializeResponse,
    TcpReadyToTransfer,
)

PORT = 4421
each_capture = pytest.mark.parametrize("capture", CAPTURES)
BOTH = TcpDigest.HEADER | TcpDigest.DATA


def conversations(capture: str) -> list[tuple[list[Pdu], list[Pdu]]]:
    """What host and controller said on each connection."""
    return [(list(pdus(each.there.data)), list(pdus(each.back.data))) for each in connections(capture, PORT)]


def with_digests(capture: str) -> Iterator[tuple[int, Pdu]]:
    """Every PDU but those that open a connection, with the digests that are used there."""
    for host, controller in conversations(capture):
        for each in (*host[1:], *controller[1:]):
            yield controller[0].field("digests"), each


def in_order(capture: str) -> list[list[tuple[str, Pdu]]]:
    """The PDUs of each connection in the order in which they were complete on the wire."""
    found = []
    for connection in connections(capture, PORT):
        complete: list[tuple[int, str, Pdu]] = []
        for who, direction in (("host", connection.there), ("controller", connection.back)):
            end = 0
            for each in pdus(direction.data):
                end += each.plen
                frame = next(number for number, length in direction.ends if length >= end)
                complete.append((frame, who, each))
        found.append([(who, each) for _, who, each in sorted(complete, key=lambda item: item[0])])
    return found


@each_capture
def test_the_streams_are_pdus_from_end_to_end(capture: str) -> None:
    found = connections(capture, PORT)
    assert len(found) == 3
    for connection in found:
        for direction in (connection.there, connection.back):
            assert len(direction.data) > 2000
            assert sum(each.plen for each in pdus(direction.data)) == len(direction.data)


@each_capture
def test_every_kind_but_terminations_is_there(capture: str) -> None:
    kinds = Counter(each.kind for both in conversations(capture) for side in both for each in side)
    assert set(kinds) == set(TcpPduKind) - {TcpPduKind.HOST_TERMINATE, TcpPduKind.CONTROLLER_TERMINATE}
    assert kinds[TcpPduKind.INITIALIZE_REQUEST] == kinds[TcpPduKind.INITIALIZE_RESPONSE] == 3
    assert kinds[TcpPduKind.COMMAND] > 40
    assert kinds[TcpPduKind.READY_TO_TRANSFER] == kinds[TcpPduKind.HOST_DATA] == 1


@each_capture
def test_every_pdu_encodes_to_the_same_bytes(capture: str) -> None:
    for digests, each in with_digests(capture):
        assert each.header.encode() == each.raw[: each.hlen]
        assert pdu(each.header, each.data, digests=digests) == each.raw
    for host, controller in conversations(capture):
        for each in (host[0], controller[0]):
            assert pdu(each.header) == each.header.encode() == each.raw


@each_capture
def test_every_digest_is_right_and_is_there_where_it_was_agreed_on(capture: str) -> None:
    checked = 0
    for digests, each in with_digests(capture):
        assert (each.header_digest is not None) == bool(digests & TcpDigest.HEADER)
        assert (each.data_digest is not None) == bool(digests & TcpDigest.DATA and each.data)
        assert each.is_header_intact
        assert each.is_data_intact
        assert not each.padding
        checked += (each.header_digest is not None) + (each.data_digest is not None)
    assert checked > 100


@each_capture
def test_both_sides_ask_for_what_the_reference_says_and_agree(capture: str) -> None:
    # Discovery is asked without digests.
    for digests, (host, controller) in zip((0, BOTH, BOTH), conversations(capture), strict=True):
        request, response = host[0].header, controller[0].header
        assert request == TcpInitializeRequest(digests=digests)
        assert isinstance(response, TcpInitializeResponse)
        assert (response.pfv, response.cpda, response.digests) == (0, 0, digests)
        assert response.maxh2cdata >= 4096
        assert not response.maxh2cdata % 4


@each_capture
def test_sizes_with_both_digests_are_those_of_the_reference(capture: str) -> None:
    sizes = {
        (each.kind, each.hlen, each.pdo, each.plen - len(each.data))
        for digests, each in with_digests(capture)
        if digests == BOTH
    }
    assert sizes == {
        (TcpPduKind.COMMAND, 72, 0, 76),
        (TcpPduKind.COMMAND, 72, 76, 80),
        (TcpPduKind.COMPLETION, 24, 0, 28),
        (TcpPduKind.HOST_DATA, 24, 28, 32),
        (TcpPduKind.CONTROLLER_DATA, 24, 28, 32),
        (TcpPduKind.READY_TO_TRANSFER, 24, 0, 28),
    }


@each_capture
def test_linux_keeps_the_order_of_pdus_that_the_specification_prescribes(capture: str) -> None:
    for conversation in in_order(capture):
        assert [each.kind for _, each in conversation[:2]] == [
            TcpPduKind.INITIALIZE_REQUEST,
            TcpPduKind.INITIALIZE_RESPONSE,
        ]
        order = Order()
        for who, each in conversation[2:]:
            order.take(who, each)
        # What is left is a request for events, which waits for one.
        assert {entry.opcode for entry in order.commands.values()} <= {0x0C}


class Order:
    """The rules about what may come when, of which each is checked as the PDUs come by."""

    def __init__(self) -> None:
        self.commands: dict[int, SubmissionEntry] = {}
        self.came: Counter[int] = Counter()
        self.asked: dict[int, tuple[int, int]] = {}

    def take(self, who: str, each: Pdu) -> None:
        """One more PDU."""
        assert (who == "host") == (each.kind in (TcpPduKind.COMMAND, TcpPduKind.HOST_DATA))
        getattr(self, f"_{each.kind.name.lower()}")(each)

    def _command(self, each: Pdu) -> None:
        entry = SubmissionEntry.decode(each.raw, TcpHeader.SIZE)
        assert entry.cid not in self.commands
        self.commands[entry.cid] = entry
        sgl = DataBlockSgl.decode(entry.sgl)
        assert sgl.kind == (SglKind.DATA_BLOCK_OFFSET if each.data else SglKind.TRANSPORT)
        assert sgl.address == 0
        if each.data:
            assert sgl.length == len(each.data)

    def _ready_to_transfer(self, each: Pdu) -> None:
        cid = each.field("cid")
        assert cid in self.commands
        assert cid not in self.asked
        self.asked[cid] = (each.field("offset"), each.field("offset") + each.field("length"))

    def _host_data(self, each: Pdu) -> None:
        cid, at = each.field("cid"), each.field("offset")
        start, end = self.asked[cid]
        assert at == start
        assert each.field("length") == len(each.data)
        assert bool(each.flags & TcpPduFlag.LAST) == (at + len(each.data) == end)
        self.asked[cid] = (at + len(each.data), end)

    def _controller_data(self, each: Pdu) -> None:
        cid = each.field("cid")
        assert each.field("offset") == self.came[cid]
        assert each.field("length") == len(each.data)
        self.came[cid] += len(each.data)
        length = DataBlockSgl.decode(self.commands[cid].sgl).length
        assert bool(each.flags & TcpPduFlag.LAST) == (self.came[cid] == length)
        assert not each.flags & TcpPduFlag.SUCCESS

    def _completion(self, each: Pdu) -> None:
        entry = CompletionEntry.decode(each.raw, TcpHeader.SIZE)
        command = self.commands.pop(entry.cid)
        if not entry.status >> 1 and self.came[entry.cid]:
            assert self.came.pop(entry.cid) == DataBlockSgl.decode(command.sgl).length
        start, end = self.asked.pop(entry.cid, (0, 0))
        assert start == end


PUBLISHED = {
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
}
"""CRC-32C of RFC 3720 B.4, and the check value of the polynomial."""


@pytest.mark.parametrize("data", PUBLISHED, ids=lambda data: data[:4].hex())
def test_digests_are_crc32c(data: bytes) -> None:
    assert crc32c(data) == PUBLISHED[data]


def test_a_completion_of_the_captures_by_name() -> None:
    raw = bytes.fromhex("050118001c00000001000000000000000100000000000000") + bytes.fromhex("42623332")
    header = TcpCompletion.decode(raw)
    assert (header.cqe_dw0, header.cqe_dw1, header.cqe_sqhd, header.cqe_status) == (1, 0, 1, 0)
    assert pdu(header, digests=TcpDigest.HEADER) == raw
    assert Pdu(raw).is_header_intact


def test_an_r2t_of_the_captures_by_name() -> None:
    raw = bytes.fromhex("090118001c0000000c100300000000000080000000000000") + bytes.fromhex("c0d8c789")
    header = TcpReadyToTransfer.decode(raw)
    assert (header.cid, header.ttag, header.offset, header.length) == (0x100C, 3, 0, 32768)
    assert pdu(header, digests=TcpDigest.HEADER) == raw


@each_capture
def test_the_pdus_named_in_the_reference_are_in_the_captures(capture: str) -> None:
    found = {each.raw for both in conversations(capture) for each in both[1]}
    assert bytes.fromhex("050118001c0000000100000000000000010000000000000042623332") in found


def test_a_capsule_with_data_holds_the_sizes_that_the_captures_have() -> None:
    capsule = pdu(TcpCommand(), bytes(1024), digests=BOTH)
    assert (Pdu(capsule).hlen, Pdu(capsule).pdo, Pdu(capsule).plen) == (72, 76, 1104)
