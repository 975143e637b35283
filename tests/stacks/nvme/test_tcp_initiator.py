"""What an initiator makes of a controller's PDUs: data in any number of pieces, R2Ts, early ends, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.bindings.tcp.parameters import TERMINATE_TIMEOUT_NS
from stacks.nvme.host import HostConfig, HostController, Transfer
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_raw import MILLISECOND, RawController, RawCore, Relay
from tests.stacks.nvme.tcp_rig import SECOND, TARGET, TcpRig
from tests.wire.nvme.tcp_pdus import Pdu, pdu, pdus
from wire.nvme.commands_codec import CompletionEntry
from wire.nvme.kinds import TcpDigest, TcpFatalStatus, TcpPduFlag, TcpPduKind
from wire.nvme.status import StatusCode
from wire.nvme.tcp_codec import (
    TcpCompletion,
    TcpControllerData,
    TcpHeader,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)

FIELD, SEQUENCE, HEADER_DIGEST, RANGE, LIMIT, UNSUPPORTED = (
    TcpFatalStatus.INVALID_HEADER_FIELD,
    TcpFatalStatus.SEQUENCE_ERROR,
    TcpFatalStatus.HEADER_DIGEST_ERROR,
    TcpFatalStatus.DATA_OUT_OF_RANGE,
    TcpFatalStatus.LIMIT_EXCEEDED,
    TcpFatalStatus.UNSUPPORTED_PARAMETER,
)
COMPLETION, CONTROLLER_DATA, R2T = (
    TcpPduKind.COMPLETION,
    TcpPduKind.CONTROLLER_DATA,
    TcpPduKind.READY_TO_TRANSFER,
)
LAST, SUCCESS = TcpPduFlag.LAST.value, TcpPduFlag.SUCCESS.value
DATA = bytes(range(256)) * 256
BOTH = int(TcpDigest.HEADER | TcpDigest.DATA)


def head(kind: int, *, flags: int = 0, hlen: int = 0, pdo: int = 0, plen: int = 0) -> bytes:
    return TcpHeader(kind=kind, flags=flags, hlen=hlen, pdo=pdo, plen=plen).encode()


# ICResp


class Answered:
    """An initiator whose ICReq is answered with what a test wants."""

    def __init__(self, *answer: bytes, digests: int = 0) -> None:
        self.rig = TcpRig(initiator=TcpInitiatorConfig(digests=digests))
        self.controller = RawController(self.rig)
        self.host, self.core = self.controller.connect(HostConfig(nqn=NQN))
        [self.request] = list(pdus(self.core.received))
        self.controller.send(self.core, *answer)

    @property
    def termination(self) -> tuple[int, int] | None:
        """FES and FEI of what the initiator said last."""
        return termination_of(self.core)


def termination_of(core: RawCore) -> tuple[int, int] | None:
    found = list(pdus(core.received))
    if not found or found[-1].kind is not TcpPduKind.HOST_TERMINATE:
        return None
    request = found[-1].header
    assert isinstance(request, TcpTerminate)
    return request.fes, request.fei_low | request.fei_high << 16


RESPONSES: dict[str, tuple[bytes, tuple[int, int]]] = {
    "another PFV": (TcpInitializeResponse(pfv=1, maxh2cdata=4096).encode(), (UNSUPPORTED, 8)),
    "CPDA too large": (TcpInitializeResponse(cpda=32, maxh2cdata=4096).encode(), (FIELD, 10)),
    "digests nobody asked for": (TcpInitializeResponse(digests=1, maxh2cdata=4096).encode(), (UNSUPPORTED, 11)),
    "MAXH2CDATA too small": (TcpInitializeResponse(maxh2cdata=4092).encode(), (FIELD, 12)),
    "MAXH2CDATA of no dwords": (TcpInitializeResponse(maxh2cdata=4097).encode(), (FIELD, 12)),
    "MAXH2CDATA 0": (TcpInitializeResponse().encode(), (FIELD, 12)),
    "a short ICResp": (head(1, hlen=128, plen=127), (FIELD, 4)),
    "a long ICResp": (head(1, hlen=128, plen=256), (FIELD, 4)),
    "a short header": (head(1, hlen=24, plen=128), (FIELD, 2)),
    "ICReq from a controller": (head(0, hlen=128, plen=128), (FIELD, 0)),
    "a completion first": (head(5, hlen=24, plen=24), (SEQUENCE, 0)),
    "data first": (head(7, hlen=24, plen=28, pdo=24), (SEQUENCE, 0)),
    "an R2T first": (head(9, hlen=24, plen=24), (SEQUENCE, 0)),
    "text": (b"SSH-2.0-OpenSSH_9.2\r\n", (FIELD, 0)),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_an_answer_that_cannot_be_ends_the_connection_with_its_reason(name: str) -> None:
    raw, expected = RESPONSES[name]
    answered = Answered(raw)
    assert answered.termination == expected
    assert answered.host.is_closed
    assert "sent what is wrong" in answered.host.failure
    answered.controller.run(SECOND)
    assert answered.core.is_ended
    assert answered.rig.initiator.is_quiet


def test_a_controller_that_ends_the_connection_gets_no_answer_and_is_quoted() -> None:
    answered = Answered(TcpTerminate(kind=3, fes=6, fei_low=8).encode())
    assert answered.termination is None
    assert answered.host.failure == (
        "the target at 192.0.2.8:4420: it ended the connection, unsupported parameter"
    )


@pytest.mark.parametrize(
    "raw",
    [
        TcpTerminate(kind=3, fes=1, plen=153).encode() + bytes(129),
        TcpTerminate(kind=3, fes=1, plen=8).encode(),
        TcpTerminate(kind=3, fes=1, hlen=9).encode(),
    ],
)
def test_a_malformed_end_is_an_end(raw: bytes) -> None:
    answered = Answered(raw)
    assert answered.termination is None
    assert answered.host.is_closed
    assert "it ended the connection" in answered.host.failure


def test_what_the_initiator_asks_for_is_what_linux_asks_for() -> None:
    assert Answered(digests=BOTH).request.raw == bytes.fromhex("00008000800000000000000300000000") + bytes(112)


# A live association, with a relay that changes what the target says on the I/O queue


class Changed:
    """An association through a relay; `change` is called with each PDU of the I/O queue once it is set."""

    def __init__(self, *, digests: int = 0, capacity: int = 1 << 18, **initiator: object) -> None:
        self.rig = TcpRig(
            MemoryStore(4 << 20),
            capacity_bytes=capacity,
            initiator=TcpInitiatorConfig(digests=digests, **initiator),  # type: ignore[arg-type]
            target=TcpTargetConfig(host_data_bytes=16384),
        )
        self.digests = digests
        self.change: Callable[[Pdu], bytes] | None = None
        self.seen: list[Pdu] = []
        self.from_host: list[Pdu] = []
        self.relay = Relay(self.rig, change=self._from_target, change_host=self._from_host)
        config = HostConfig(nqn=NQN, keep_alive_ms=0, command_timeout_ns=1000 * SECOND)
        self.host: HostController = self.rig.connect(config, address=self.relay.address)
        assert self.host.is_live, self.host.failure
        self.namespace = self.host.namespace()
        self.from_host.clear()

    def sealed(self, header: object, data: bytes = b"") -> bytes:
        """A PDU as agreed on."""
        return pdu(header, data, digests=self.digests)  # type: ignore[arg-type]

    def read(self, blocks: int = 16) -> tuple[Transfer, bytearray]:
        """Read what is at block 0."""
        into = bytearray(blocks * 4096)
        return self.namespace.read(0, memoryview(into)), into

    def settle(self, duration_ns: int = 20 * MILLISECOND) -> None:
        """Let time pass."""
        self.rig.initiator_host.wake()
        self.rig.run_for(duration_ns)

    @property
    def termination(self) -> tuple[int, int] | None:
        """FES and FEI of the initiator's TermReq on the I/O queue."""
        if not self.from_host or self.from_host[-1].kind is not TcpPduKind.HOST_TERMINATE:
            return None
        request = self.from_host[-1].header
        assert isinstance(request, TcpTerminate)
        return request.fes, request.fei_low | request.fei_high << 16

    def _from_target(self, number: int, each: Pdu) -> bytes:
        if number != 1 or self.change is None:
            return each.raw
        self.seen.append(each)
        return self.change(each)

    def _from_host(self, number: int, each: Pdu) -> bytes:
        if number == 1:
            self.from_host.append(each)
        return each.raw


def pieces_of(each: Pdu, size: int, *, digests: int, is_success: bool) -> bytes:
    """A C2HData in pieces."""
    raw = b""
    for at in range(0, len(each.data), size):
        data = each.data[at : at + size]
        is_last = at + size >= len(each.data)
        flags = (LAST if is_last else 0) | (SUCCESS if is_last and is_success else 0)
        header = TcpControllerData(flags=flags, cid=each.field("cid"), offset=at, length=len(data))
        raw += pdu(header, data, digests=digests)
    return raw


@pytest.mark.parametrize("digests", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1, 4, 511, 4096, 20000, 65536])
@pytest.mark.parametrize("flow_control", [False, True])
@pytest.mark.parametrize("shortcuts", [True, False])
def test_data_may_come_in_any_number_of_pieces(digests: int, size: int, flow_control: bool, shortcuts: bool) -> None:
    blocks = 1 if size < 511 else 16
    changed = Changed(digests=digests, has_sq_flow_control=flow_control, shortcuts=shortcuts)
    assert changed.rig.do(changed.namespace.write(0, memoryview(DATA))) == 0
    changed.change = lambda each: (
        pieces_of(each, size, digests=digests, is_success=not flow_control)
        if each.kind is CONTROLLER_DATA
        else each.raw
    )
    reads = [changed.read(blocks) for _ in range(3)]
    changed.rig.finish(*(transfer for transfer, _ in reads))
    for transfer, into in reads:
        assert transfer.status == 0
        assert into == DATA[: blocks * 4096]


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.parametrize("digests", [TcpDigest.DATA, BOTH])
def test_one_read_of_many_that_arrives_damaged_fails_alone(digests: int, shortcuts: bool) -> None:
    changed = Changed(digests=digests, shortcuts=shortcuts)
    assert changed.rig.do(changed.namespace.write(0, memoryview(DATA))) == 0

    def damage(each: Pdu) -> bytes:
        is_third = each.kind is CONTROLLER_DATA and len(changed.seen) == 3
        return each.raw[:-1] + bytes([each.raw[-1] ^ 1]) if is_third else each.raw

    changed.seen.clear()
    changed.change = damage
    reads = [changed.read(1) for _ in range(6)]
    changed.rig.finish(*(transfer for transfer, _ in reads))
    assert [transfer.status for transfer, _ in reads] == [0, 0, StatusCode.TRANSIENT_TRANSPORT_ERROR, 0, 0, 0]
    assert all(into == DATA[:4096] for _, into in reads[:2] + reads[3:])
    assert changed.rig.initiator.data_digest_errors == 1


def interleaved(changed: Changed, size: int) -> Callable[[Pdu], bytes]:
    """Pieces of the data of two commands in turn."""
    waiting: list[Pdu] = []

    def change(each: Pdu) -> bytes:
        if each.kind is not CONTROLLER_DATA:
            return each.raw
        waiting.append(each)
        if len(waiting) < 2:
            return b""
        cut = [list(pdus(pieces_of(one, size, digests=changed.digests, is_success=True))) for one in waiting]
        waiting.clear()
        return b"".join(piece.raw for pair in zip(*cut, strict=True) for piece in pair)

    return change


@pytest.mark.parametrize("digests", [0, BOTH])
def test_pieces_of_several_commands_may_alternate(digests: int) -> None:
    changed = Changed(digests=digests)
    assert changed.rig.do(changed.namespace.write(0, memoryview(DATA))) == 0
    changed.change = interleaved(changed, 5000)
    reads = [changed.read() for _ in range(4)]
    changed.rig.finish(*(transfer for transfer, _ in reads))
    assert all(into == DATA for _, into in reads)


DATA_ERRORS: dict[str, tuple[Callable[[Pdu], bytes], tuple[int, int]]] = {
    "another CID": (lambda each: data_of(each, cid=each.field("cid") ^ 0x2), (FIELD, 8)),
    "an earlier CID": (lambda each: data_of(each, cid=each.field("cid") ^ 0x1000), (FIELD, 8)),
    "not from the beginning": (lambda each: data_of(each, offset=4), (RANGE, 0)),
    "past the end": (lambda each: data_of(each, more=b"more", flags=0), (RANGE, 0)),
    "a length other than PLEN says": (lambda each: data_of(each, length=4), (FIELD, 16)),
    "SUCCESS without LAST": (lambda each: data_of(each, flags=SUCCESS), (FIELD, 1)),
    "success with too little": (lambda each: data_of(each, keep=4096), (RANGE, 0)),
    "the same twice": (lambda each: data_of(each, flags=0) * 2, (RANGE, 0)),
    "a completion with too little": (
        lambda each: data_of(each, keep=4096, flags=LAST) + pdu(TcpCompletion(cqe_cid=each.field("cid"))),
        (RANGE, 0),
    ),
    "a completion without data": (lambda each: pdu(TcpCompletion(cqe_cid=each.field("cid"))), (RANGE, 0)),
    "an R2T for a read": (lambda each: pdu(TcpReadyToTransfer(cid=each.field("cid"), length=4096)), (FIELD, 8)),
    "an R2T for nothing known": (lambda each: pdu(TcpReadyToTransfer(cid=0x77, length=4096)), (FIELD, 8)),
    "a header digest that nobody agreed on": (lambda each: pdu(each.header, each.data, digests=1), (FIELD, 1)),
    "a data digest that nobody agreed on": (lambda each: pdu(each.header, each.data, digests=2), (FIELD, 1)),
    "data without data": (lambda each: head(7, hlen=24, pdo=24, plen=24), (FIELD, 4)),
    "data in its header": (lambda each: head(7, hlen=24, pdo=20, plen=28), (FIELD, 3)),
    "data behind its end": (lambda each: head(7, hlen=24, pdo=40, plen=30), (FIELD, 4)),
    "a completion with data": (lambda each: head(5, hlen=24, pdo=24, plen=28), (FIELD, 4)),
    "a capsule from a controller": (lambda each: head(4, hlen=72, plen=72), (FIELD, 0)),
    "ICResp again": (lambda each: TcpInitializeResponse(maxh2cdata=4096).encode(), (SEQUENCE, 0)),
    "an unknown type": (lambda each: head(0x20, hlen=24, plen=24), (FIELD, 0)),
}


def data_of(each: Pdu, *, keep: int = 1 << 30, more: bytes = b"", flags: int | None = None, **fields: int) -> bytes:
    """A C2HData, changed."""
    data = each.data[:keep] + more
    values = {"cid": each.field("cid"), "offset": each.field("offset"), "length": len(data), **fields}
    return pdu(TcpControllerData(flags=each.flags if flags is None else flags, **values), data)


@pytest.mark.parametrize("name", DATA_ERRORS)
@pytest.mark.parametrize("shortcuts", [True, False])
def test_what_cannot_be_ends_the_association_with_its_reason(name: str, shortcuts: bool) -> None:
    make, expected = DATA_ERRORS[name]
    changed = Changed(shortcuts=shortcuts)
    changed.change = lambda each: make(each) if each.kind is CONTROLLER_DATA else each.raw
    reads = [changed.read() for _ in range(2)]
    changed.settle()
    assert changed.termination == expected
    assert changed.host.is_closed
    assert changed.host.failure.startswith(f"the target at {changed.relay.address}:4420 sent what is wrong: ")
    assert {transfer.status for transfer, _ in reads} == {StatusCode.HOST_PATH_ERROR}
    changed.settle(3 * SECOND)
    assert changed.rig.initiator.is_quiet
    assert changed.rig.initiator_host.streams.connection_count == 0
    changed.rig.initiator.forget(changed.host)


def test_a_controller_that_does_not_close_after_a_term_req_is_left() -> None:
    answered = Answered()
    answered.core.closes_at_end = False
    before = answered.rig.simulation.now
    answered.controller.send(answered.core, b"\xff" * 8)
    answered.rig.run_until(lambda: answered.rig.initiator.is_quiet)
    assert TERMINATE_TIMEOUT_NS <= answered.rig.simulation.now - before < TERMINATE_TIMEOUT_NS + SECOND


@pytest.mark.parametrize("at", [1, 9, 23, 24, 27])
def test_a_wrong_header_digest_ends_the_association(at: int) -> None:
    changed = Changed(digests=BOTH)

    def damage(each: Pdu) -> bytes:
        raw = bytearray(each.raw)
        raw[at] ^= 0x40
        return bytes(raw)

    changed.change = damage
    transfer, _ = changed.read()
    changed.settle()
    assert changed.termination is not None
    assert changed.termination[0] == HEADER_DIGEST
    assert transfer.status == StatusCode.HOST_PATH_ERROR


@pytest.mark.parametrize("flow_control", [False, True])
@pytest.mark.parametrize("digests", [int(TcpDigest.DATA), BOTH])
@pytest.mark.parametrize("size", [65536, 30000])
def test_a_wrong_data_digest_fails_the_read_and_nothing_else(flow_control: bool, digests: int, size: int) -> None:
    changed = Changed(digests=digests, has_sq_flow_control=flow_control)
    damaged: list[Pdu] = []

    def damage(each: Pdu) -> bytes:
        if each.kind is not CONTROLLER_DATA:
            return each.raw
        raw = bytearray(pieces_of(each, size, digests=digests, is_success=not flow_control))
        if not damaged:
            raw[1000] ^= 1
        damaged.append(each)
        return bytes(raw)

    changed.change = damage
    first, second = changed.read()[0], changed.read()[0]
    changed.rig.finish(first, second)
    assert (first.status, second.status) == (StatusCode.TRANSIENT_TRANSPORT_ERROR, 0)
    assert changed.rig.initiator.data_digest_errors == 1
    assert changed.host.is_live


def test_an_answer_that_comes_twice_does_no_harm() -> None:
    changed = Changed(has_sq_flow_control=True)
    changed.change = lambda each: each.raw * (2 if each.kind is COMPLETION else 1)
    for _ in range(300):
        transfer, _ = changed.read(1)
        assert changed.rig.do(transfer) == 0
    changed.settle()
    queue = changed.host.io_queues[0]
    assert queue.unknown_cids + queue.stale_cids == 300
    assert changed.host.is_live


# R2T


@pytest.mark.parametrize("digests", [0, BOTH])
@pytest.mark.parametrize("sizes", [[65536], [32768, 32768], [4, 65532], [20000, 25536, 20000], [1, 65535]])
def test_a_write_may_be_asked_for_in_pieces_one_after_the_other(sizes: list[int], digests: int) -> None:
    rig = TcpRig(initiator=TcpInitiatorConfig(digests=digests))
    controller = Speaking(rig, digests)
    transfer = controller.namespace.write(0, memoryview(DATA))
    received = bytearray()
    cid = controller.command()
    at = 0
    for tag, size in enumerate(sizes):
        controller.say(TcpReadyToTransfer(cid=cid, ttag=0x100 + tag, offset=at, length=size))
        for each in controller.heard():
            assert each.kind is TcpPduKind.HOST_DATA
            assert (each.field("cid"), each.field("ttag"), each.field("offset")) == (cid, 0x100 + tag, len(received))
            assert len(each.data) == each.field("length") <= 16384
            received += each.data
            assert bool(each.flags & LAST) == (len(received) == at + size)
        at += size
        assert len(received) == at
    assert received == DATA
    assert not transfer.is_done
    controller.say(TcpCompletion(cqe_cid=cid))
    assert transfer.status == 0
    assert transfer.is_done


class Speaking:
    """An association whose I/O queue a test speaks for: the target brings it up, then nothing of it goes on."""

    def __init__(self, rig: TcpRig, digests: int = 0) -> None:
        self.rig = rig
        self.digests = digests
        self._is_live = False
        self._heard: list[Pdu] = []
        self.relay = Relay(rig, change=self._from_target, change_host=self._from_host)
        config = HostConfig(nqn=NQN, keep_alive_ms=0, command_timeout_ns=1000 * SECOND)
        self.host = rig.connect(config, address=self.relay.address)
        assert self.host.is_live, self.host.failure
        self._is_live = True
        self.relay.ties_ends = False
        self.namespace = self.host.namespace()

    def command(self) -> int:
        """The CID of the one command that the host sent."""
        [each] = self.heard()
        assert each.kind is TcpPduKind.COMMAND
        return each.field("sqe_cid")

    def heard(self) -> list[Pdu]:
        """What the host said since the last call."""
        self.rig.initiator_host.wake()
        self.relay.host.wake()
        self.rig.run_for(20 * MILLISECOND)
        heard, self._heard = self._heard, []
        return heard

    def say(self, header: object, data: bytes = b"") -> None:
        """Say something as the controller."""
        near, _ = self.relay.end.pairs[1]
        near.output.append(pdu(header, data, digests=self.digests))  # type: ignore[arg-type]
        self.relay.host.wake()
        self.rig.run_for(20 * MILLISECOND)

    @property
    def termination(self) -> tuple[int, int] | None:
        """FES and FEI of the initiator's TermReq."""
        found = [each for each in self.heard() if each.kind is TcpPduKind.HOST_TERMINATE]
        return (found[0].field("fes"), found[0].field("fei_low")) if found else None

    def _from_target(self, number: int, each: Pdu) -> bytes:
        if each.kind is TcpPduKind.INITIALIZE_RESPONSE:
            # So that large writes come in several PDUs.
            response = TcpInitializeResponse.decode(each.raw)
            response.maxh2cdata = 16384
            return response.encode()
        return b"" if self._is_live and number == 1 else each.raw

    def _from_host(self, number: int, each: Pdu) -> bytes:
        if self._is_live and number == 1:
            self._heard.append(each)
            return b""
        return each.raw


def request(cid: int, **fields: int) -> TcpReadyToTransfer:
    return TcpReadyToTransfer(cid=cid, **fields)


R2T_ERRORS: dict[str, tuple[Callable[[int], list[TcpReadyToTransfer]], tuple[int, int]]] = {
    "for nothing": (lambda cid: [request(cid)], (FIELD, 16)),
    "past the end": (lambda cid: [request(cid, length=65537)], (RANGE, 0)),
    "without end": (lambda cid: [request(cid, offset=0, length=0xFFFFFFFF)], (RANGE, 0)),
    "not from the beginning": (lambda cid: [request(cid, offset=4096, length=4096)], (RANGE, 0)),
    "the same again": (lambda cid: [request(cid, length=4096)] * 2, (RANGE, 0)),
    "with a hole": (lambda cid: [request(cid, length=4096), request(cid, offset=8192, length=4)], (RANGE, 0)),
    "for another command": (lambda cid: [request(cid + 1, length=4096)], (FIELD, 8)),
    "for an earlier command": (lambda cid: [request(cid ^ 0x1000, length=4096)], (FIELD, 8)),
}


@pytest.mark.parametrize("name", R2T_ERRORS)
def test_an_r2t_that_cannot_be_ends_the_association(name: str) -> None:
    make, expected = R2T_ERRORS[name]
    controller = Speaking(TcpRig())
    transfer = controller.namespace.write(0, memoryview(DATA))
    for header in make(controller.command()):
        controller.say(header)
    assert controller.termination == expected
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_a_second_r2t_while_one_is_served_is_one_too_many() -> None:
    rig = TcpRig(capacity_bytes=8192)
    controller = Speaking(rig)
    transfer = controller.namespace.write(0, memoryview(DATA))
    cid = controller.command()
    near, _ = controller.relay.end.pairs[1]
    near.is_reading = False
    controller.say(request(cid, length=32768))
    controller.say(request(cid, offset=32768, length=32768))
    near.is_reading = True
    controller.relay.end.active.append(near)
    assert controller.termination == (LIMIT, 0)
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_an_r2t_for_what_went_inside_the_capsule_is_one_too_many() -> None:
    controller = Speaking(TcpRig())
    controller.namespace.write(0, memoryview(DATA)[:4096])
    controller.say(request(controller.command(), length=4096))
    assert controller.termination == (RANGE, 0)


def test_a_write_that_succeeds_before_its_data_was_asked_for_has_not() -> None:
    controller = Speaking(TcpRig())
    transfer = controller.namespace.write(0, memoryview(DATA))
    cid = controller.command()
    controller.say(request(cid, length=32768))
    controller.heard()
    controller.say(TcpCompletion(cqe_cid=cid))
    assert transfer.status == StatusCode.DATA_TRANSFER_ERROR
    assert controller.host.is_live


def test_a_write_that_fails_before_its_data_was_asked_for_has_failed() -> None:
    controller = Speaking(TcpRig())
    transfer = controller.namespace.write(0, memoryview(DATA))
    controller.say(TcpCompletion(cqe_cid=controller.command(), cqe_status=StatusCode.WRITE_FAULT << 1))
    assert transfer.status == StatusCode.WRITE_FAULT
    assert controller.host.is_live


class Early:
    """A write that is answered while its data is still on its way out, through a connection that holds little."""

    def __init__(self) -> None:
        self.rig = TcpRig(capacity_bytes=8192)
        self.controller = Speaking(self.rig)
        self.data = bytearray(DATA)
        self.done: list[Transfer] = []
        self.transfer = self.controller.namespace.write(0, memoryview(self.data), done=self._finished)
        self.cid = self.controller.command()
        self.near, _ = self.controller.relay.end.pairs[1]
        self.near.is_reading = False
        self.controller.say(request(self.cid, length=65536))

    def _finished(self, transfer: Transfer) -> None:
        self.done.append(transfer)
        # The program has its memory back, and uses it for something else.
        self.data[:] = b"?" * len(self.data)

    def read_on(self) -> bytes:
        """Take what is on its way; the data of the command."""
        self.near.is_reading = True
        self.controller.relay.end.active.append(self.near)
        self.controller.relay.host.wake()
        self.rig.run_for(SECOND)
        return b"".join(each.data for each in self.controller.heard() if each.kind is TcpPduKind.HOST_DATA)


@pytest.mark.parametrize("status", [0, int(StatusCode.WRITE_FAULT)])
def test_a_command_that_ends_early_is_over_when_its_data_has_left(status: int) -> None:
    early = Early()
    early.controller.say(TcpCompletion(cqe_cid=early.cid, cqe_status=status << 1, cqe_dw0=7))
    assert not early.transfer.is_done
    # Another answer changes nothing.
    early.controller.say(TcpCompletion(cqe_cid=early.cid, cqe_status=StatusCode.INTERNAL_ERROR << 1))
    assert early.read_on() == DATA
    assert early.transfer.status == status
    assert early.done == [early.transfer]
    assert early.controller.host.is_live


def test_an_r2t_for_a_command_that_ended_early_is_wrong() -> None:
    early = Early()
    early.controller.say(TcpCompletion(cqe_cid=early.cid, cqe_status=StatusCode.WRITE_FAULT << 1))
    early.controller.say(request(early.cid, length=4))
    assert early.read_on() == DATA
    assert early.transfer.status == StatusCode.HOST_PATH_ERROR


# Memory of commands that are over


def as_it_arrives(rig: TcpRig, act: Callable[[], None]) -> None:
    """Act when what is sent now, or the room for more, has arrived, and its host has not made a pass yet."""
    rig.run_for(0)
    rig.simulation.schedule(rig.simulation.now + 10_000, act)
    rig.run_for(SECOND)


def test_what_a_term_req_follows_goes_out_as_it_was() -> None:
    early = Early()
    early.controller.say(TcpReadyToTransfer(cid=0x555, length=4))
    # The association is over, the program has its memory back, and what was begun comes to its end unchanged.
    assert early.transfer.status == StatusCode.HOST_PATH_ERROR
    assert set(early.data) == {ord("?")}
    sent = early.read_on()
    assert sent == DATA


@pytest.mark.parametrize("how", ["stop", "lost"])
def test_nothing_of_a_write_that_is_over_is_sent(how: str) -> None:
    early = Early()
    host = early.controller.host
    if how == "stop":
        # There is room for more before the initiator makes another pass.
        early.near.is_reading = True
        early.controller.relay.end.active.append(early.near)
        assert [early.controller.relay.host.pump() for _ in range(2)] == [True, True]
        host.stop(early.rig.simulation.now)
        early.rig.run_for(SECOND)
    else:
        admin, _ = early.controller.relay.end.pairs[0]
        admin.is_over = True
        early.controller.relay.host.wake()
        early.rig.run_for(SECOND // 100)
    assert early.transfer.is_done
    assert set(early.data) == {ord("?")}
    assert b"????" not in early.read_on() + early.near.received


class Landing:
    """A read whose data has begun to land where the program wants it."""

    def __init__(self) -> None:
        self.rig = TcpRig()
        self.controller = Speaking(self.rig)
        self.into = bytearray(1 << 18)
        self.transfer = self.controller.namespace.read(0, memoryview(self.into), done=self._finished)
        self.cid = self.controller.command()
        self.near, _ = self.controller.relay.end.pairs[1]
        header = TcpControllerData(flags=LAST | SUCCESS, cid=self.cid, length=1 << 18)
        self.raw = pdu(header, b"d" * (1 << 18))
        self.say(self.raw[:100_000])
        assert self.into[50_000] == ord("d")

    def say(self, raw: bytes) -> None:
        """Send on as the controller."""
        self.near.output.append(raw)
        self.controller.relay.host.wake()
        self.rig.run_for(20 * MILLISECOND)

    def _finished(self, _: Transfer) -> None:
        self.into[:] = b"?" * len(self.into)


def test_data_lands_where_the_program_wants_it_as_it_comes() -> None:
    landing = Landing()
    landing.say(landing.raw[100_000:])
    assert landing.transfer.status == 0


@pytest.mark.parametrize("how", ["stop", "lost", "late", "garbage"])
def test_nothing_lands_in_memory_of_a_read_that_is_over(how: str) -> None:
    landing = Landing()
    host, rig = landing.controller.host, landing.rig
    landing.near.output.append(landing.raw[100_000:120_000])
    if how == "stop":
        landing.controller.relay.host.wake()
        as_it_arrives(rig, lambda: host.stop(rig.simulation.now))
    elif how == "lost":
        admin, _ = landing.controller.relay.end.pairs[0]
        admin.is_over = True
    elif how == "late":
        rig.world.silence(landing.controller.relay.address, "192.0.2.2")
        rig.run_for(1600 * SECOND)
        rig.world.heal(landing.controller.relay.address, "192.0.2.2")
    else:
        admin, _ = landing.controller.relay.end.pairs[0]
        admin.output.append(b"\xff" * 8)
    landing.controller.relay.host.wake()
    rig.run_for(SECOND)
    assert landing.transfer.is_done
    landing.say(landing.raw[120_000:])
    assert set(landing.into) == {ord("?")}
    assert host.is_closed
    assert TARGET not in host.failure


def test_a_completion_is_what_the_controller_said() -> None:
    controller = Speaking(TcpRig())
    transfer = controller.namespace.flush()
    word = CompletionEntry(status=(StatusCode.WRITE_FAULT | 1 << 14) << 1).status
    controller.say(TcpCompletion(cqe_cid=controller.command(), cqe_status=word))
    assert transfer.status == StatusCode.WRITE_FAULT
