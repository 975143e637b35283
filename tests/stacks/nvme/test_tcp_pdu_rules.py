"""What a target makes of PDUs that are not as they should be: the TermReq that each deserves, to the byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.bindings.tcp.parameters import TERMINATE_TIMEOUT_NS
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.tcp_raw import MILLISECOND, RawHost, in_capsule, outside, raw_admin, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from tests.wire.nvme.tcp_pdus import pdu
from wire.checksum import crc32c
from wire.nvme.kinds import TcpDigest, TcpFatalStatus, TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import IoOpcode
from wire.nvme.tcp_codec import TcpHeader, TcpHostData, TcpInitializeRequest, TcpTerminate

FIELD, SEQUENCE, HEADER_DIGEST, RANGE, LIMIT, UNSUPPORTED = (
    TcpFatalStatus.INVALID_HEADER_FIELD,
    TcpFatalStatus.SEQUENCE_ERROR,
    TcpFatalStatus.HEADER_DIGEST_ERROR,
    TcpFatalStatus.DATA_OUT_OF_RANGE,
    TcpFatalStatus.LIMIT_EXCEEDED,
    TcpFatalStatus.UNSUPPORTED_PARAMETER,
)


def head(kind: int, *, flags: int = 0, hlen: int = 0, pdo: int = 0, plen: int = 0) -> bytes:
    return TcpHeader(kind=kind, flags=flags, hlen=hlen, pdo=pdo, plen=plen).encode()


def said(host: RawHost) -> tuple[int, int]:
    """FES and FEI of the TermReq that came, after which the target says nothing more and ends."""
    request = host.termination
    assert request is not None
    return request.fes, request.fei_low | request.fei_high << 16


IC = TcpInitializeRequest()
BEFORE_AGREEMENT: dict[str, tuple[bytes, tuple[int, int]]] = {
    "another PFV": (TcpInitializeRequest(pfv=1).encode(), (UNSUPPORTED, 8)),
    "HPDA too large": (TcpInitializeRequest(hpda=32).encode(), (FIELD, 10)),
    "ICReq with a short header": (head(0, hlen=127, plen=128), (FIELD, 2)),
    "ICReq with a long header": (head(0, hlen=129, plen=128), (FIELD, 2)),
    "ICReq too short": (head(0, hlen=128, plen=127), (FIELD, 4)),
    "ICReq too long": (head(0, hlen=128, plen=129), (FIELD, 4)),
    "ICReq without end": (head(0, hlen=128, plen=0xFFFFFFFF), (FIELD, 4)),
    "a command before ICReq": (head(4, hlen=72, plen=72), (SEQUENCE, 0)),
    "data before ICReq": (head(6, hlen=24, plen=28, pdo=24), (SEQUENCE, 0)),
    "ICResp from a host": (head(1, hlen=128, plen=128), (FIELD, 0)),
    "an unknown type": (head(0x42, hlen=128, plen=128), (FIELD, 0)),
    "text": (b"GET / HTTP/1.1\r\n\r\n", (FIELD, 0)),
}


@pytest.mark.parametrize("name", BEFORE_AGREEMENT)
def test_before_anything_is_agreed_on(name: str) -> None:
    raw, expected = BEFORE_AGREEMENT[name]
    host = RawHost(TcpRig())
    host.send(raw)
    assert said(host) == expected
    assert host.is_closed


H, D = TcpPduFlag.HEADER_DIGEST.value, TcpPduFlag.DATA_DIGEST.value
AFTER_AGREEMENT: dict[str, tuple[Callable[[RawHost], bytes], tuple[int, int]]] = {
    "ICReq again": (lambda host: IC.encode(), (SEQUENCE, 0)),
    "a response from a host": (lambda host: head(5, hlen=24, plen=24), (FIELD, 0)),
    "C2HData from a host": (lambda host: head(7, hlen=24, plen=28, pdo=24), (FIELD, 0)),
    "R2T from a host": (lambda host: head(9, hlen=24, plen=24), (FIELD, 0)),
    "C2HTermReq from a host": (lambda host: head(3, hlen=24, plen=24), (FIELD, 0)),
    "KDReq": (lambda host: head(0x0A, hlen=24, plen=24), (FIELD, 0)),
    "an unknown type": (lambda host: head(0xFF, hlen=24, plen=24), (FIELD, 0)),
    "a command with a short header": (lambda host: head(4, hlen=71, plen=72), (FIELD, 2)),
    "a command with a long header": (lambda host: head(4, hlen=73, plen=73), (FIELD, 2)),
    "a command without length": (lambda host: head(4, hlen=72, plen=0), (FIELD, 4)),
    "a command too short": (lambda host: head(4, hlen=72, plen=71), (FIELD, 4)),
    "a command without end": (lambda host: head(4, hlen=72, pdo=72, plen=0xFFFFFFFF), (LIMIT, 0)),
    "a command with data in its header": (lambda host: head(4, hlen=72, pdo=71, plen=80), (FIELD, 3)),
    "a command with PDO 0 and data": (lambda host: head(4, hlen=72, plen=80), (FIELD, 3)),
    "a command whose data starts at its end": (lambda host: head(4, hlen=72, pdo=80, plen=80), (FIELD, 4)),
    "a command whose data starts behind its end": (lambda host: head(4, hlen=72, pdo=84, plen=80), (FIELD, 4)),
    "a header digest that nobody agreed on": (lambda host: head(4, flags=H, hlen=72, plen=76), (FIELD, 1)),
    "a data digest that nobody agreed on": (lambda host: head(4, flags=D, hlen=72, pdo=72, plen=80), (FIELD, 1)),
    "flags before length": (lambda host: head(4, flags=H, hlen=71, plen=76), (FIELD, 1)),
    "more data than a capsule may have": (
        lambda host: head(4, hlen=72, pdo=72, plen=72 + 8193),
        (LIMIT, 0),
    ),
    "data without data": (lambda host: head(6, hlen=24, pdo=24, plen=24), (FIELD, 4)),
    "data with a short header": (lambda host: head(6, hlen=23, pdo=24, plen=28), (FIELD, 2)),
    "more data than MAXH2CDATA": (lambda host: head(6, hlen=24, pdo=24, plen=24 + 65537), (LIMIT, 0)),
    "data for nothing": (lambda host: pdu(TcpHostData(ttag=0, length=4, flags=4), b"data"), (SEQUENCE, 0)),
    "data for a tag out of range": (lambda host: pdu(TcpHostData(ttag=9999, length=4, flags=4), b"no"), (SEQUENCE, 0)),
}


@pytest.mark.parametrize("name", AFTER_AGREEMENT)
def test_on_a_queue_that_is_connected(name: str) -> None:
    make, expected = AFTER_AGREEMENT[name]
    rig = TcpRig(target=TcpTargetConfig(host_data_bytes=65536))
    host = raw_admin(rig)
    host.send(make(host))
    assert said(host) == expected
    assert host.is_closed
    assert rig.tcp_target.queue_count == 0
    assert rig.tcp_target.counters.terminations_sent == 1


@pytest.mark.parametrize("name", AFTER_AGREEMENT)
def test_the_offending_header_comes_back_as_far_as_it_came(name: str) -> None:
    make, _ = AFTER_AGREEMENT[name]
    rig = TcpRig(target=TcpTargetConfig(host_data_bytes=65536))
    host = raw_admin(rig)
    raw = make(host)
    host.send(raw)
    last = host.pdus[-1]
    assert (last.hlen, last.pdo, last.flags, last.plen) == (24, 0, 0, 24 + len(last.data))
    assert 8 <= len(last.data) <= 128
    assert raw.startswith(last.data)
    # A header of a known type comes back whole, where it came whole.
    size = {4: 72, 6: 24}.get(raw[0], 8)
    assert len(last.data) == min(size, len(raw))


WITH_DIGESTS: dict[str, tuple[Callable[[RawHost], bytes], tuple[int, int]]] = {
    "no header digest flag": (lambda host: head(4, hlen=72, plen=72), (FIELD, 1)),
    "no room for a header digest": (lambda host: head(4, flags=H, hlen=72, plen=72), (FIELD, 4)),
    "a length within the header digest": (lambda host: head(4, flags=H, hlen=72, plen=75), (FIELD, 4)),
    "no data digest flag": (lambda host: sealed(4, 72, flags=H, pdo=76, plen=84), (FIELD, 1)),
    "data in the header digest": (lambda host: sealed(4, 72, flags=H | D, pdo=72, plen=84), (FIELD, 3)),
    "no room for a data digest": (lambda host: sealed(4, 72, flags=H | D, pdo=76, plen=80), (FIELD, 4)),
    "nothing but a data digest": (lambda host: sealed(6, 24, flags=H | D, pdo=28, plen=32), (FIELD, 4)),
}


def sealed(kind: int, hlen: int, *, flags: int, pdo: int, plen: int) -> bytes:
    raw = head(kind, flags=flags, hlen=hlen, pdo=pdo, plen=plen).ljust(hlen, b"\0")
    return raw + crc32c(raw).to_bytes(4, "little")


@pytest.mark.parametrize("name", WITH_DIGESTS)
def test_with_both_digests(name: str) -> None:
    make, expected = WITH_DIGESTS[name]
    host = raw_admin(TcpRig(), digests=TcpDigest.HEADER | TcpDigest.DATA)
    host.send(make(host))
    assert said(host) == expected


@pytest.mark.parametrize("digests", [TcpDigest.HEADER, TcpDigest.HEADER | TcpDigest.DATA])
@pytest.mark.parametrize("at", [9, 40, 71, 72, 75])
def test_a_wrong_header_digest_ends_the_connection_and_comes_back(digests: int, at: int) -> None:
    rig = TcpRig()
    host = raw_admin(rig, digests=digests)
    raw = bytearray(host.capsule(0x06, sgl=outside(4096), cdw10=1))
    raw[at] ^= 0x10
    host.send(bytes(raw))
    assert said(host) == (HEADER_DIGEST, int.from_bytes(raw[72:76], "little"))
    assert rig.tcp_target.counters.header_digest_errors == 1


def test_a_header_digest_is_checked_before_data_is_waited_for() -> None:
    host = raw_admin(TcpRig(), digests=TcpDigest.HEADER)
    raw = bytearray(host.capsule(0x7F, sgl=in_capsule(1024), data=bytes(1024)))
    raw[60] ^= 1
    host.send(bytes(raw[:76]))
    assert said(host)[0] == HEADER_DIGEST


class Fetching:
    """A host whose write of 64 KiB is asked for: `ttag` says how."""

    def __init__(self, **config: int) -> None:
        self.rig = TcpRig(MemoryStore(1 << 20), target=TcpTargetConfig(host_data_bytes=65536, **config))
        self.admin, self.host = raw_io(self.rig)
        self.host.send(self.host.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
        [request] = self.host.take()
        assert request.kind is TcpPduKind.READY_TO_TRANSFER
        assert (request.field("offset"), request.field("length")) == (0, 65536)
        assert request.field("cid") == self.host.cid
        self.cid, self.ttag = self.host.cid, request.field("ttag")

    def data(self, at: int, size: int, *, last: bool, **fields: int) -> bytes:
        """One H2CData."""
        values = {"cid": self.cid, "ttag": self.ttag, "offset": at, "length": size, **fields}
        return self.host.sealed(TcpHostData(flags=4 if last else 0, **values), bytes(size))


DATA_RULES: dict[str, tuple[Callable[[Fetching], bytes], tuple[int, int]]] = {
    "the CID of another command": (lambda f: f.data(0, 65536, last=True, cid=f.cid + 1), (SEQUENCE, 0)),
    "another TTAG": (lambda f: f.data(0, 65536, last=True, ttag=f.ttag + 1), (SEQUENCE, 0)),
    "a length other than PLEN says": (lambda f: f.data(0, 65536, last=True, length=65532), (FIELD, 16)),
    "not from the beginning": (lambda f: f.data(4096, 4096, last=False), (RANGE, 0)),
    "past the end": (lambda f: f.data(0, 32768, last=False) + f.data(32768, 32772, last=True), (RANGE, 0)),
    "an offset without end": (lambda f: f.data(0xFFFFF000, 4096, last=False), (RANGE, 0)),
    "the same twice": (lambda f: f.data(0, 4096, last=False) * 2, (RANGE, 0)),
    "a hole": (lambda f: f.data(0, 4096, last=False) + f.data(8192, 4096, last=False), (RANGE, 0)),
    "LAST too early": (lambda f: f.data(0, 4096, last=True), (FIELD, 1)),
    "LAST missing": (lambda f: f.data(0, 65536, last=False), (FIELD, 1)),
    "more after the last": (
        lambda f: f.data(0, 65536, last=True) + f.data(0, 65536, last=True),
        (SEQUENCE, 0),
    ),
}


@pytest.mark.parametrize("name", DATA_RULES)
def test_data_that_was_asked_for_comes_as_it_was_asked_for(name: str) -> None:
    make, expected = DATA_RULES[name]
    fetching = Fetching()
    free = fetching.rig.tcp_target.port.pool.free_buffers
    fetching.host.send(make(fetching))
    assert said(fetching.host) == expected
    fetching.rig.run_for(SECOND)
    # The buffer that the data was to go to is back.
    assert fetching.rig.tcp_target.port.pool.free_buffers == free + 1


@pytest.mark.parametrize("pieces", [1, 2, 3, 16])
def test_data_may_come_in_any_number_of_pieces(pieces: int) -> None:
    fetching = Fetching()
    size = 65536 // 16
    steps = [(at, min(16 // pieces * size, 65536 - at)) for at in range(0, 65536, 16 // pieces * size)]
    for at, length in steps:
        fetching.host.send(fetching.data(at, length, last=at + length == 65536))
    [answer] = fetching.host.take()
    assert answer.kind is TcpPduKind.COMPLETION
    assert fetching.host.termination is None


TERMINATIONS: dict[str, bytes] = {
    "as it should be": TcpTerminate(fes=2, plen=24 + 8).encode() + bytes(8),
    "without a header": TcpTerminate(fes=1).encode(),
    "with all of a header": TcpTerminate(fes=4, plen=152).encode() + bytes(128),
    "of no known reason": TcpTerminate(fes=999).encode(),
    "too long": TcpTerminate(fes=1, plen=153).encode() + bytes(129),
    "too short": TcpTerminate(fes=1, plen=23).encode(),
    "with a wrong header": TcpTerminate(fes=1, hlen=25, plen=25).encode() + b"x",
    "without end": TcpTerminate(fes=1, plen=0xFFFFFFFF).encode(),
}


@pytest.mark.parametrize("name", TERMINATIONS)
@pytest.mark.parametrize("digests", [0, 3])
def test_a_host_that_ends_the_connection_gets_no_answer(name: str, digests: int) -> None:
    rig = TcpRig()
    host = raw_admin(rig, digests=digests)
    host.send(TERMINATIONS[name])
    assert host.is_closed
    assert host.take() == []
    assert rig.tcp_target.queue_count == 0
    counters = rig.tcp_target.counters
    assert (counters.terminations_received, counters.terminations_sent) == (1, 0)
    assert (counters.connections_lost, counters.connections_closed) == (1, 0)


@pytest.mark.parametrize("before", ["termination", "error"])
def test_nothing_behind_the_end_is_acted_upon(before: str) -> None:
    rig = TcpRig()
    _, io = raw_io(rig)
    end = TcpTerminate(fes=1).encode() if before == "termination" else b"\xff" * 8
    write = io.capsule(IoOpcode.WRITE, sgl=in_capsule(4096), data=b"w" * 4096, nsid=1)
    io.send(end + write * 3)
    rig.run_for(SECOND)
    content = bytearray(4096)
    rig.subsystem.namespaces[1].store.read(0, memoryview(content))
    assert content == bytes(4096)
    assert rig.tcp_target.counters.capsules_received == 3
    assert rig.tcp_target.counters.connections_lost + rig.tcp_target.counters.connections_closed == 1


def test_after_a_term_req_the_host_has_time_to_close_and_no_more() -> None:
    rig = TcpRig()
    host = raw_admin(rig)
    host.core.closes_at_end = False
    start = rig.simulation.now
    host.send(b"\xff" * 8)
    assert said(host) == (FIELD, 0)
    assert host.is_closed
    # What it still says is not listened to, and does not put the end off.
    while rig.target_host.streams.connection_count and rig.simulation.now < start + 10 * SECOND:
        host.send(host.capsule(0x18))
        host.run(100 * MILLISECOND)
    assert TERMINATE_TIMEOUT_NS <= rig.simulation.now - start <= TERMINATE_TIMEOUT_NS + SECOND // 2
    assert len(host.pdus) == len([each for each in host.pdus if each.kind is not TcpPduKind.COMPLETION]) + 2
    assert rig.tcp_target.counters.connections_closed == 1


def test_a_host_that_closes_after_a_term_req_is_gone_at_once() -> None:
    rig = TcpRig()
    host = raw_admin(rig)
    host.send(b"\xff" * 8)
    host.run(10 * MILLISECOND)
    assert rig.target_host.streams.connection_count == 0
    assert rig.tcp_target.counters.connections_closed == 1
    assert rig.tcp_target.poll_deadline() is None or rig.tcp_target.poll_deadline() > rig.simulation.now + SECOND


@pytest.mark.parametrize("entries", [2, 32, 128])
@pytest.mark.parametrize("shortcuts", [True, False])
def test_many_more_commands_than_the_queue_has_entries_end_the_connection(entries: int, shortcuts: bool) -> None:
    rig = TcpRig(target=TcpTargetConfig(shortcuts=shortcuts))
    _, io = raw_io(rig, entries=entries)
    # Data that never comes keeps them under way.
    capsules = [io.capsule(IoOpcode.WRITE, sgl=outside(4096), nsid=1) for _ in range(2 * max(entries, 32) + 2)]
    io.send(*capsules[:entries])
    assert io.termination is None
    io.send(*capsules[entries:])
    assert said(io) == (LIMIT, 0)
    assert io.pdus[-1].data == capsules[-1][:72]


@pytest.mark.parametrize("cut", range(1, 72))
def test_a_command_may_come_in_two_pieces_cut_anywhere(cut: int) -> None:
    host = raw_admin(TcpRig(cuts=False))
    raw = host.capsule(0x0A, cdw10=7)
    host.send(raw[:cut])
    assert host.take() == []
    host.send(raw[cut:])
    assert [each.kind for each in host.take()] == [TcpPduKind.COMPLETION]


@pytest.mark.slow
def test_every_pdu_of_a_session_may_come_byte_by_byte() -> None:
    rig = TcpRig(cuts=False)
    _, io = raw_io(rig, digests=3)
    raw = io.capsule(IoOpcode.WRITE, sgl=in_capsule(4096), data=b"b" * 4096, nsid=1)
    for at in range(len(raw)):
        io.core.output.append(raw[at : at + 1])
        io.run(20_000)
    raw = io.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1)
    for at in range(len(raw)):
        io.core.output.append(raw[at : at + 1])
        io.run(20_000)
    io.run()
    wrote, data, read = io.take()
    assert (wrote.kind, read.kind) == (TcpPduKind.COMPLETION, TcpPduKind.COMPLETION)
    assert data.data == b"b" * 4096
    assert data.is_header_intact
    assert data.is_data_intact
