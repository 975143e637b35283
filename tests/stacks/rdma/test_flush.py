"""FLUSH and ATOMIC WRITE, asked for and executed (annex A19; Linux rxe since 6.2)."""

from __future__ import annotations

import random
import sys
from typing import Literal

import pytest

from stacks.dma import FaultingDma, FlatDma, PersistentDma
from stacks.rdma import (
    Access,
    AsyncEventType,
    DeviceConfig,
    FlushPlacement,
    FlushSelectivity,
    MemoryConfig,
    MwBind,
    MwType,
    QpState,
    SendFlags,
    SendWr,
    WcOpcode,
    WrOpcode,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, Rig
from transports.simulation import Impairments
from wire.roce import Aeth, Feth, Opcode, Reth

GLOBAL, PERSISTENT = FlushPlacement.GLOBAL, FlushPlacement.PERSISTENT
WHOLE = FlushSelectivity.MEMORY_REGION
FLUSHABLE = FULL_ACCESS | Access.FLUSH_ANY
INVALID, ACCESS_ERROR = NAK | 1, NAK | 2
HERE = FIRST_PSN
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


class Durable:
    """A hand rig over persistent memory, with a region that may be flushed."""

    def __init__(self, *, access: int = FLUSHABLE, qp_access: int = FLUSHABLE, **options: int) -> None:
        self.dma = PersistentDma(FlatDma())
        self.rig = HandRig(dma=self.dma, access=qp_access, timeout=0, **options)  # type: ignore[arg-type]
        self.memory = bytearray(4096)
        self.mr = self.rig.end.pd.reg_mr(self.memory, access)

    def flush(
        self, offset: int = 0, length: int = 4096, *, placement: int = PERSISTENT, whole: int = 0, **more: int
    ) -> None:
        """Ask the device to flush."""
        rkey = more.pop("rkey", self.mr.rkey)
        header = Reth(va=self.mr.address + offset, rkey=rkey, length=length)
        self.rig.request(Opcode.RC_FLUSH, Feth(placement=placement, selectivity=whole), header, **more)

    def write(self, offset: int, data: bytes) -> None:
        """Write without asking for an answer."""
        header = Reth(va=self.mr.address + offset, rkey=self.mr.rkey, length=len(data))
        self.rig.request(Opcode.RC_WRITE_ONLY, header, payload=data, ack=False)


def test_a_flush_is_answered_by_a_read_response_without_data_and_acknowledges_what_came_before() -> None:
    durable = Durable()
    durable.write(8, b"abcd")
    durable.flush(8, 4)
    (packet,) = durable.rig.received()
    assert (packet.bth.opcode, packet.bth.psn, packet.payload) == (Opcode.RC_READ_RESPONSE_ONLY, HERE + 1, b"")
    assert packet.find(Aeth) == Aeth(syndrome=ACK, msn=2)
    assert durable.dma.durable(durable.mr.address, 16) == bytes(8) + b"abcd" + bytes(4)


def test_only_persistent_placement_makes_durable_and_only_the_range_that_it_names() -> None:
    durable = Durable()
    durable.write(0, b"a" * 100)
    durable.flush(placement=GLOBAL)
    assert durable.dma.durable(durable.mr.address, 100) == bytes(100)
    durable.flush(10, 20, placement=GLOBAL | PERSISTENT)
    assert durable.dma.durable(durable.mr.address, 100) == bytes(10) + b"a" * 20 + bytes(70)
    durable.flush(4000, 1 << 20, whole=WHOLE)
    assert durable.dma.durable(durable.mr.address, 100) == b"a" * 100
    assert len(durable.rig.received()) == 3


def test_a_duplicate_flush_is_answered_and_not_executed() -> None:
    """Annex A19, oA19-14."""
    durable = Durable()
    durable.flush(0, 64)
    assert len(durable.rig.received()) == 1
    durable.write(0, b"late")
    durable.flush(0, 64, psn=HERE)
    (packet,) = durable.rig.received()
    assert (packet.bth.opcode, packet.bth.psn) == (Opcode.RC_READ_RESPONSE_ONLY, HERE)
    assert durable.dma.durable(durable.mr.address, 4) == bytes(4)


def test_a_duplicate_of_another_kind_than_what_was_executed_is_dropped() -> None:
    durable = Durable()
    durable.flush(0, 64)
    durable.rig.received()
    header = Reth(va=durable.mr.address, rkey=durable.mr.rkey, length=8)
    durable.rig.request(Opcode.RC_ATOMIC_WRITE, header, payload=bytes(8), psn=HERE)
    assert durable.rig.received() == []


REFUSALS: dict[str, tuple[dict[str, int], dict[str, int], int]] = {
    "queue pair without the right": ({"qp_access": FULL_ACCESS | Access.FLUSH_GLOBAL}, {}, INVALID),
    "queue pair with one right of two": (
        {"qp_access": FULL_ACCESS | Access.FLUSH_GLOBAL}, {"placement": GLOBAL | PERSISTENT}, INVALID,
    ),
    "region without the right": ({"access": FULL_ACCESS | Access.FLUSH_GLOBAL}, {}, ACCESS_ERROR),
    "whole region without the right": ({"access": FULL_ACCESS}, {"whole": WHOLE}, ACCESS_ERROR),
    "unknown key": ({}, {"rkey": 5}, ACCESS_ERROR),
    "unknown key of a whole region": ({}, {"rkey": 5, "whole": WHOLE}, ACCESS_ERROR),
    "beyond the region": ({}, {"offset": 4090, "length": 8}, ACCESS_ERROR),
    "no placement": ({}, {"placement": 0}, INVALID),
    "unknown placement": ({}, {"placement": 4}, INVALID),
    "unknown selectivity": ({}, {"whole": 2}, INVALID),
    "too long": ({}, {"length": (1 << 31) + 1}, INVALID),
    "no responder resources": ({"max_dest_rd_atomic": 0}, {}, INVALID),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_flush_that_must_not_be_is_refused(case: str) -> None:
    options, fields, syndrome = REFUSALS[case]
    durable = Durable(**options)
    durable.flush(**fields)
    assert durable.rig.answers() == [(syndrome, HERE)]
    event = durable.rig.end.device.poll_async_event()
    assert event is not None
    assert event.kind is (AsyncEventType.QP_ACCESS_ERR if syndrome == ACCESS_ERROR else AsyncEventType.QP_REQ_ERR)


def test_a_flush_without_its_headers_is_refused() -> None:
    durable = Durable()
    durable.rig.request(Opcode.RC_FLUSH, Feth(placement=PERSISTENT))
    assert durable.rig.answers() == [(INVALID, HERE)]


def test_a_flush_over_a_page_that_is_out_is_told_to_come_again() -> None:
    paging = FaultingDma(FlatDma())
    rig = HandRig(dma=PersistentDma(paging), access=FLUSHABLE, timeout=0)
    mr = rig.end.pd.reg_mr(bytearray(64), FLUSHABLE)
    headers = Feth(placement=PERSISTENT), Reth(va=mr.address, rkey=mr.rkey, length=8)
    rig.request(Opcode.RC_FLUSH, *headers)
    assert rig.answers() == [(RNR_NAK | 1, HERE)]
    fault = paging.poll_fault()
    assert fault is not None
    assert fault.token is not None
    paging.handle_page_ready(fault.token)
    rig.request(Opcode.RC_FLUSH, *headers, psn=HERE)
    assert [packet.bth.opcode for packet in rig.received()] == [Opcode.RC_READ_RESPONSE_ONLY]


def test_memory_that_is_not_persistent_is_not_registered_for_it() -> None:
    rig = HandRig()
    with pytest.raises(LocalError, match="FLUSH_PERSISTENT needs memory that can be made durable"):
        rig.end.pd.reg_mr(bytearray(8), FLUSHABLE)
    assert rig.end.pd.reg_mr(bytearray(8), FULL_ACCESS | Access.FLUSH_GLOBAL).is_valid


def test_windows_and_fast_registered_regions_pass_a_flush_on() -> None:
    durable = Durable(access=FLUSHABLE | Access.MW_BIND)
    end = durable.rig.end
    durable.write(0, b"a" * 64)
    mw = end.pd.alloc_mw(MwType.TYPE_2)
    access = Access.FLUSH_PERSISTENT | Access.ZERO_BASED
    assert mw.bind(MwBind(durable.mr, durable.mr.address + 16, 8, access), 9, end.qp)
    durable.rig.request(
        Opcode.RC_FLUSH, Feth(placement=PERSISTENT, selectivity=WHOLE), Reth(va=0, rkey=mw.rkey, length=0)
    )
    assert durable.dma.durable(durable.mr.address, 32) == bytes(16) + b"a" * 8 + bytes(8)
    fast = end.pd.alloc_fast_mr(2)
    fast.map_sges([durable.mr.sge(0, 4), durable.mr.sge(30, 2)])
    assert fast.register(fast.rkey, FLUSHABLE, end.qp)
    header = Reth(va=fast.address + 2, rkey=fast.rkey, length=3)
    durable.rig.request(Opcode.RC_FLUSH, Feth(placement=PERSISTENT), header)
    assert len(durable.rig.received()) == 2
    assert durable.dma.durable(durable.mr.address, 32) == b"\0\0aa" + bytes(12) + b"a" * 8 + bytes(6) + b"a\0"


# ATOMIC WRITE


def atomic_write(rig: HandRig, offset: int = 8, data: bytes = b"12345678", length: int = 8, **more: int) -> None:
    rkey = more.pop("rkey", rig.end.mr.rkey)
    header = Reth(va=rig.end.mr.address + offset, rkey=rkey, length=length)
    rig.request(Opcode.RC_ATOMIC_WRITE, header, payload=data, **more)


def test_an_atomic_write_writes_8_bytes_once() -> None:
    rig = HandRig(timeout=0)
    for number in range(2):
        atomic_write(rig, psn=HERE)
        (packet,) = rig.received()
        assert (packet.bth.opcode, packet.bth.psn, packet.payload) == (Opcode.RC_READ_RESPONSE_ONLY, HERE, b"")
        assert packet.find(Aeth) == Aeth(syndrome=ACK, msn=1)
        if not number:
            assert rig.end.memory[8:16] == b"12345678"
            rig.end.memory[8:16] = b"........"
    assert rig.end.memory[8:16] == b"........"


ATOMIC_REFUSALS: dict[str, tuple[int, dict[str, object], int]] = {
    "not aligned": (FULL_ACCESS, {"offset": 4}, INVALID),
    "7 bytes": (FULL_ACCESS, {"data": b"1234567"}, INVALID),
    "length of 16": (FULL_ACCESS, {"length": 16}, INVALID),
    "queue pair without REMOTE_WRITE": (Access.REMOTE_ATOMIC, {}, INVALID),
    "unknown key": (FULL_ACCESS, {"rkey": 3}, ACCESS_ERROR),
    "before the region": (FULL_ACCESS, {"offset": -8}, ACCESS_ERROR),
}


@pytest.mark.parametrize("case", ATOMIC_REFUSALS)
def test_an_atomic_write_that_must_not_be_is_refused(case: str) -> None:
    """Annex A19, A19.4.2 and oA19-28, as in rxe."""
    access, fields, syndrome = ATOMIC_REFUSALS[case]
    rig = HandRig(access=access, timeout=0)
    atomic_write(rig, **fields)  # type: ignore[arg-type]
    assert rig.answers() == [(syndrome, HERE)]
    assert rig.end.qp.state is QpState.ERR


def test_an_atomic_write_to_a_page_that_is_out_is_told_to_come_again() -> None:
    paging = FaultingDma(FlatDma())
    rig = HandRig(dma=paging, timeout=0)
    atomic_write(rig, psn=HERE)
    assert rig.answers() == [(RNR_NAK | 1, HERE)]
    fault = paging.poll_fault()
    assert fault is not None
    assert fault.token is not None
    paging.handle_page_ready(fault.token)
    atomic_write(rig, psn=HERE)
    assert rig.end.memory[8:16] == b"12345678"


# Asking for them


@each_way
def test_requests_say_what_was_posted_and_complete_with_their_answer(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    rig.end.memory[:8] = b"original"
    flush = SendWr(1, WrOpcode.FLUSH, remote_address=0x1122, rkey=7, flush_placement=GLOBAL, flush_length=99)
    rig.end.qp.post_send(flush)
    rig.end.send(2, WrOpcode.ATOMIC_WRITE, 0, 8, remote_address=0x40, rkey=8)
    first, second = rig.received()
    assert (first.bth.opcode, first.bth.psn, first.bth.ack_req) == (Opcode.RC_FLUSH, HERE, 1)
    assert first.headers == (Feth(placement=GLOBAL), Reth(va=0x1122, rkey=7, length=99))
    assert (second.bth.opcode, second.headers) == (Opcode.RC_ATOMIC_WRITE, (Reth(va=0x40, rkey=8, length=8),))
    assert (first.payload, second.payload) == (b"", b"original")
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE, Aeth(syndrome=ACK))
    assert [(wc.wr_id, wc.opcode) for wc in rig.end.cq.poll()] == [(1, WcOpcode.FLUSH)]
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE + 1, Aeth(syndrome=ACK))
    assert [(wc.wr_id, wc.opcode) for wc in rig.end.cq.poll()] == [(2, WcOpcode.ATOMIC_WRITE)]


def test_an_answer_with_data_or_of_another_kind_is_a_bad_response() -> None:
    for opcode, payload in ((Opcode.RC_READ_RESPONSE_ONLY, b"data"), (Opcode.RC_READ_RESPONSE_FIRST, bytes(MTU))):
        rig = HandRig(timeout=0)
        rig.end.send(1, WrOpcode.ATOMIC_WRITE, 0, 8)
        rig.received()
        rig.respond(opcode, HERE, Aeth(syndrome=ACK), payload=payload)
        assert rig.completed() == [(1, "BAD_RESP_ERR")]


def test_an_ack_is_no_answer_to_a_flush() -> None:
    rig = HandRig(timeout=0)
    rig.end.qp.post_send(SendWr(1, WrOpcode.FLUSH, flush_placement=GLOBAL))
    assert len(rig.received()) == 1
    rig.acknowledge(HERE)
    assert [packet.bth.opcode for packet in rig.received()] == [Opcode.RC_FLUSH]
    assert rig.completed() == []


def test_a_fence_waits_for_a_flush() -> None:
    """IBTA 10.8.3.3."""
    rig = HandRig(timeout=0)
    rig.end.qp.post_send(SendWr(1, WrOpcode.FLUSH, flush_placement=GLOBAL))
    rig.end.send(2, WrOpcode.SEND, 0, 4, flags=SendFlags.FENCE)
    assert len(rig.received()) == 1
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE, Aeth(syndrome=ACK))
    assert len(rig.received()) == 1


MISUSES: dict[str, dict[str, object]] = {
    "flush_placement is made of": {"opcode": WrOpcode.FLUSH, "flush_placement": 4},
    "flush_selectivity is": {"opcode": WrOpcode.FLUSH, "flush_placement": 1, "flush_selectivity": 2},
    "covers 0 to 2": {"opcode": WrOpcode.FLUSH, "flush_placement": 1, "flush_length": -1},
    "FLUSH takes no SGEs": {"opcode": WrOpcode.FLUSH, "flush_placement": 1, "size": 4},
    "an ATOMIC WRITE writes 8 bytes, not 4": {"opcode": WrOpcode.ATOMIC_WRITE, "size": 4},
}


@pytest.mark.parametrize("what", MISUSES)
def test_a_request_that_makes_no_sense_is_a_local_error(what: str) -> None:
    rig = HandRig()
    fields = dict(MISUSES[what])
    size = fields.pop("size", 0)
    with pytest.raises(LocalError, match=what):
        rig.end.qp.post_send(SendWr(1, sges=[rig.end.sge(0, size)] if size else (), **fields))  # type: ignore[arg-type]


# Both ends


BAD = Impairments(loss=0.05, duplication=0.05, reordering=0.05, jitter_ns=20_000)


def connected(
    network: Impairments,
    dma: PersistentDma,
    *,
    shortcuts: bool = True,
    config: DeviceConfig | None = None,
    seed: int = 1,
) -> Rig:
    """Two ends whose queue pairs take FLUSHes; the right one has persistent memory."""
    rig = Rig(
        seed=seed, shortcuts=shortcuts, config=config, impairments=network, dmas=(None, dma), timeout=6, connect=False
    )  # fmt: skip
    for end, peer in ((rig.left, rig.right), (rig.right, rig.left)):
        rig.to_init(end, FLUSHABLE)
        rig.to_rtr(end, peer)
        rig.to_rts(end)
    return rig


@each_way
@pytest.mark.parametrize("network", [Impairments(), BAD], ids=["good", "bad"])
def test_a_log_whose_records_are_flushed_before_their_count_survives_a_power_cut(
    network: Impairments, shortcuts: bool
) -> None:
    """The use that annex A19 was made for: WRITE, FLUSH, ATOMIC WRITE of the count, FLUSH, in one queue."""
    dma = PersistentDma(FlatDma())
    rig = connected(network, dma, shortcuts=shortcuts)
    left, right = rig.ends
    mr = right.pd.reg_mr(memory := bytearray(1 << 16), FLUSHABLE)
    rng = random.Random(3)
    left.memory[:COUNT_AT] = content = rng.randbytes(COUNT_AT)
    for number in range(1, RECORDS + 1):
        at = (number - 1) * RECORD
        cell = COUNT_AT + 8 * number
        left.memory[cell : cell + 8] = number.to_bytes(8, sys.byteorder)
        key = {"rkey": mr.rkey}
        left.send(4 * number, WrOpcode.RDMA_WRITE, at, RECORD, remote_address=mr.address + at, **key)
        flush = {"flush_placement": PERSISTENT, "rkey": mr.rkey}
        for opcode_at, length in ((at, RECORD), (COUNT_AT, 8)):
            if opcode_at == COUNT_AT:
                left.send(4 * number, WrOpcode.ATOMIC_WRITE, cell, 8, remote_address=mr.address + COUNT_AT, **key)
            where = mr.address + opcode_at
            left.qp.post_send(SendWr(4 * number, WrOpcode.FLUSH, remote_address=where, flush_length=length, **flush))
        left.host.wake()
        rig.run(int(rng.random() * 200_000))
        survivor = dma.durable(mr.address, len(memory))
        survived = int.from_bytes(survivor[COUNT_AT : COUNT_AT + 8], sys.byteorder)
        assert len(left.completions) // 4 <= survived <= number
        assert survivor[: survived * RECORD] == content[: survived * RECORD]
    rig.run_until_completed(left, 4 * RECORDS)
    assert {wc.status.name for wc in left.completions} == {"SUCCESS"}
    dma.power_cut()
    assert memory[: RECORDS * RECORD] == content[: RECORDS * RECORD]


def test_a_count_that_overtakes_its_records_is_found_out_by_a_power_cut() -> None:
    """Without FLUSH between them, lines become durable in no order."""
    torn = 0
    for seed in range(6):
        dma = PersistentDma(FlatDma())
        rig = connected(Impairments(), dma, shortcuts=True)
        left, right = rig.ends
        mr = right.pd.reg_mr(memory := bytearray(1 << 16), FLUSHABLE)
        left.memory[:RECORD] = b"r" * RECORD
        left.send(1, WrOpcode.RDMA_WRITE, 0, RECORD, remote_address=mr.address, rkey=mr.rkey)
        left.send(2, WrOpcode.ATOMIC_WRITE, 0, 8, remote_address=mr.address + COUNT_AT, rkey=mr.rkey)
        rig.run()
        dma.power_cut(random.Random(seed))
        torn += memory[COUNT_AT : COUNT_AT + 8] == b"r" * 8 and memory[:RECORD] != b"r" * RECORD
    assert torn > 0


@each_way
@pytest.mark.parametrize("rd_atomic", [1, 16])
def test_mixed_with_writes_reads_and_atomics_over_a_bad_network_each_is_executed_once_and_in_order(
    rd_atomic: int, shortcuts: bool
) -> None:
    rig = Rig(
        shortcuts=shortcuts, impairments=BAD, timeout=6, max_qp_rd_atomic=rd_atomic, max_dest_rd_atomic=rd_atomic
    )  # fmt: skip
    left, right = rig.ends
    cell = right.mr.address + 4096
    there = {"remote_address": cell, "rkey": right.mr.rkey}
    expected = []
    for number in range(1, 31):
        left.memory[8 * number : 8 * number + 8] = (number << 32).to_bytes(8, sys.byteorder)
        # A READ that is repeated finds what was written behind it, but for a fence (IBTA 10.8.3.3).
        left.send(number, WrOpcode.ATOMIC_WRITE, 8 * number, 8, flags=SendFlags.SIGNALED | SendFlags.FENCE, **there)
        left.send(number, WrOpcode.ATOMIC_FETCH_AND_ADD, 4096, 8, compare_add=number, **there)
        left.send(number, WrOpcode.RDMA_READ, 8192 + 3000 * number, 3000, **there)
        left.send(number, WrOpcode.SEND, 0, 8)
        right.recv(number, 65536, 64)
        expected.append(((number << 32) + number).to_bytes(8, sys.byteorder))
    rig.run_until_completed(left, 120)
    assert {wc.status.name for wc in left.completions} == {"SUCCESS"}
    assert [wc.wr_id for wc in left.completions] == [number for number in range(1, 31) for _ in range(4)]
    assert [bytes(left.memory[8192 + 3000 * number :][:8]) for number in range(1, 31)] == expected


@each_way
@pytest.mark.parametrize("page_faults", ["rnr", "wait"])
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_each_is_executed_once_and_in_order_while_pages_come_and_go_and_packets_get_lost(
    seed: int, loss: float, page_faults: Literal["rnr", "wait"], shortcuts: bool
) -> None:
    rng = random.Random(seed)
    paging = FaultingDma(FlatDma())
    config = DeviceConfig(shortcuts=shortcuts, memory=MemoryConfig(page_faults=page_faults))
    impairments = Impairments(loss=loss, duplication=loss, reordering=loss, jitter_ns=10_000)
    rig = connected(impairments, PersistentDma(paging), config=config, seed=seed)
    left, right = rig.ends
    mr = right.pd.reg_mr(memory := bytearray(1 << 16), FLUSHABLE)

    def page() -> None:
        while (fault := paging.poll_fault()) is not None:
            assert fault.token is not None
            paging.handle_page_ready(fault.token)
            right.device.handle_page_ready(fault.token)
            right.host.wake()
        if rng.random() < 0.3:
            paging.evict(mr.address + (int(rng.random() * 16) << 12), 2 << 12)
        rig.simulation.after(30_000, page)

    page()
    expected = bytearray(1 << 16)
    for number in range(1, 61):
        at = int(rng.random() * 8000) * 8
        where = {"remote_address": mr.address + at, "rkey": mr.rkey}
        kind, value = int(rng.random() * 4), number.to_bytes(8, sys.byteorder)
        left.memory[8 * number : 8 * number + 8] = value
        if kind == 0:
            left.send(number, WrOpcode.ATOMIC_WRITE, 8 * number, 8, **where)
            expected[at : at + 8] = value
        elif kind == 1:
            left.send(number, WrOpcode.RDMA_WRITE, 8 * number, 8, **where)
            expected[at : at + 8] = value
        elif kind == 2:
            left.send(number, WrOpcode.ATOMIC_FETCH_AND_ADD, 4096, 8, compare_add=number, **where)
            total = int.from_bytes(expected[at : at + 8], sys.byteorder) + number
            expected[at : at + 8] = total.to_bytes(8, sys.byteorder)
        else:
            flush = SendWr(number, WrOpcode.FLUSH, flush_placement=PERSISTENT, flush_length=64, **where)
            left.qp.post_send(flush)
        left.host.wake()
        rig.run(int(rng.random() * 60_000))
    rig.run_until_completed(left, 60)
    assert [(wc.wr_id, wc.status.name) for wc in left.completions] == [(n, "SUCCESS") for n in range(1, 61)]
    assert memory == expected


RECORD, RECORDS, COUNT_AT = 500, 24, 1 << 15
