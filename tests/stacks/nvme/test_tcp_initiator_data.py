"""What an initiator makes of a controller's data: any number of pieces, damage, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.host import HostConfig, HostController, Transfer
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_initiator_rig import (
    BOTH,
    COMPLETION,
    CONTROLLER_DATA,
    DATA,
    FIELD,
    HEADER_DIGEST,
    LAST,
    RANGE,
    SEQUENCE,
    SUCCESS,
    head,
)
from tests.stacks.nvme.tcp_raw import MILLISECOND, Relay
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from tests.wire.nvme.tcp_pdus import Pdu, pdu, pdus
from wire.nvme.kinds import TcpDigest, TcpPduKind
from wire.nvme.status import StatusCode
from wire.nvme.tcp_codec import (
    TcpCompletion,
    TcpControllerData,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)


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
