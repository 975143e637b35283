"""Memory as verbs see it: registering, keys and rights; local errors; pages that come later or never (IBTA 10.6)."""

from __future__ import annotations

import array
import mmap
import random

import pytest

from stacks.dma import PAGE_BYTES, FaultingDma, FlatDma, ScatteredDma
from stacks.dma.contract import Direction, Fault
from stacks.rdma import Access, Device, QpState, RecvWr, SendWr, Sge, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, End, Rig
from transports.datagram import Burst
from wire.roce import Aeth, AtomicAckEth, AtomicEth, Opcode, Reth

HERE = FIRST_PSN


each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def device() -> Device:
    return Device("192.0.2.1", rng=random.Random(1))


def test_any_writable_buffer_is_registered_without_a_copy() -> None:
    pd = device().alloc_pd()
    with mmap.mmap(-1, 8192) as mapped:
        for buffer, length in ((bytearray(5), 5), (array.array("I", range(4)), 16), (mapped, 8192)):
            mr = pd.reg_mr(buffer, FULL_ACCESS)
            assert mr.length == length
            assert mr.lkey == mr.rkey
            assert mr.region.write(mr.address, memoryview(b"abc")) is None
            assert bytes(memoryview(buffer).cast("B")[:3]) == b"abc"
            mr.dereg()
            mr.dereg()


def test_rights_that_contradict_each_other_or_the_buffer_are_refused() -> None:
    pd = device().alloc_pd()
    for right in (Access.REMOTE_WRITE, Access.REMOTE_ATOMIC):
        with pytest.raises(LocalError, match="need LOCAL_WRITE"):
            pd.reg_mr(bytearray(4), right)
    with pytest.raises(LocalError, match="read-only"):
        pd.reg_mr(b"abcd")
    with pytest.raises(LocalError, match="not a buffer"):
        pd.reg_mr("abcd")
    assert pd.objects == set()
    assert pd.reg_mr(b"abcd", Access.REMOTE_READ).access == Access.REMOTE_READ


def test_a_buffer_is_held_until_it_is_deregistered() -> None:
    buffer = bytearray(4)
    mr = device().alloc_pd().reg_mr(buffer)
    with pytest.raises(BufferError):
        buffer.append(0)
    mr.dereg()
    buffer.append(0)


def test_keys_are_not_repeated_soon() -> None:
    pd = device().alloc_pd()
    keys = set()
    for _ in range(100):
        mr = pd.reg_mr(bytearray(1))
        mr.dereg()
        keys.add(mr.rkey)
    assert len(keys) > 50


SPOILS = ("key", "domain", "before", "behind", "right")


def spoiled(rig: HandRig, spoil: str) -> Sge:
    """A piece of 8 bytes that cannot be used; "right" only to be written."""
    end = rig.end
    mr = end.mr
    if spoil == "domain":
        mr = end.device.alloc_pd().reg_mr(bytearray(64))
    elif spoil == "right":
        mr = end.pd.reg_mr(bytes(64), 0)
    offset = {"before": -1, "behind": mr.length - 7}.get(spoil, 0)
    return Sge(mr.address + offset, 8, mr.lkey ^ (spoil == "key"))


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
@pytest.mark.parametrize(
    "opcode", [WrOpcode.SEND, WrOpcode.RDMA_WRITE, WrOpcode.RDMA_READ, WrOpcode.ATOMIC_FETCH_AND_ADD]
)
@pytest.mark.parametrize("spoil", SPOILS)
def test_local_memory_that_cannot_be_used_ends_its_request_in_its_turn(
    spoil: str, opcode: WrOpcode, shortcuts: bool
) -> None:
    rig = HandRig(timeout=0, shortcuts=shortcuts)
    rig.end.send(1, WrOpcode.SEND, 0, 8)
    rig.end.qp.post_send(SendWr(2, opcode, [spoiled(rig, spoil)], 0))
    rig.end.send(3, WrOpcode.SEND, 0, 8)
    if spoil == "right" and opcode in (WrOpcode.SEND, WrOpcode.RDMA_WRITE):
        assert len(rig.received()) == 3
        return
    assert len(rig.received()) == 1
    assert rig.completed() == []
    rig.acknowledge(HERE)
    assert rig.completed() == [(1, "SUCCESS"), (2, "LOC_PROT_ERR"), (3, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR
    assert rig.received() == []


def test_a_first_request_with_wrong_memory_fails_at_once() -> None:
    rig = HandRig()
    rig.end.qp.post_send(SendWr(1, WrOpcode.SEND, [rig.end.sge(0, 8), spoiled(rig, "key")]))
    rig.end.host.wake()
    rig.wait(1)
    assert rig.completed() == [(1, "LOC_PROT_ERR")]


def test_memory_that_goes_away_under_a_read_ends_it_with_a_local_protection_error() -> None:
    rig = HandRig(timeout=0)
    rig.end.send(1, WrOpcode.RDMA_READ, 0, 2 * MTU)
    rig.received()
    rig.respond(Opcode.RC_READ_RESPONSE_FIRST, HERE, Aeth(), payload=bytes(MTU))
    rig.end.mr.dereg()
    rig.respond(Opcode.RC_READ_RESPONSE_LAST, HERE + 1, Aeth(), payload=bytes(MTU))
    assert rig.completed() == [(1, "LOC_PROT_ERR")]


def test_memory_that_goes_away_under_a_read_response_is_a_remote_access_error() -> None:
    rig = Rig(retry_cnt=1, memory_bytes=1 << 20)
    left, right = rig.ends
    left.send(1, WrOpcode.RDMA_READ, 0, 1 << 20, remote_address=right.mr.address, rkey=right.mr.rkey)
    rig.run(30_000)
    right.mr.dereg()
    rig.run()
    assert left.completions[0].status.name == "REM_ACCESS_ERR"


def test_a_send_that_must_be_repeated_after_its_region_was_deregistered_is_a_local_protection_error() -> None:
    rig = HandRig(timeout=8)
    rig.end.memory[:4] = b"keep"
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    assert [packet.payload for packet in rig.received()] == [b"keep"]
    rig.end.mr.dereg()
    rig.acknowledge(HERE, NAK)
    assert rig.received() == []
    assert rig.completed() == [(1, "LOC_PROT_ERR")]


def test_a_region_reads_and_writes_nothing_where_there_is_nothing() -> None:
    for dma in (ScatteredDma(), FaultingDma(FlatDma())):
        mr = Device("192.0.2.1", dma=dma, rng=random.Random(1)).alloc_pd().reg_mr(bytearray(64))
        assert mr.region.direct is None
        assert isinstance(mr.region.read(mr.address + 60, 8), Fault)
        assert isinstance(mr.region.write(mr.address + 60, memoryview(bytes(8))), Fault)


# Pages that are not there yet


def bring_in(dma: FaultingDma, end: End | None = None) -> int:
    """Play the host: every page that was asked for comes, and `end` is told. Returns how many there were."""
    count = 0
    while (fault := dma.poll_fault()) is not None:
        assert fault.token is not None
        if end is None:
            dma.handle_page_ready(fault.token)
        else:
            end.device.handle_page_ready(fault.token)
            end.host.wake()
        count += 1
    return count


def faulting() -> tuple[FaultingDma, HandRig]:
    dma = FaultingDma(FlatDma())
    return dma, HandRig(dma=dma, timeout=0)


def reth(rig: HandRig, offset: int, length: int) -> Reth:
    return Reth(va=rig.end.mr.address + offset, rkey=rig.end.mr.rkey, length=length)


def test_a_write_to_a_page_that_is_not_there_is_told_to_come_again() -> None:
    dma, rig = faulting()
    assert bring_in(dma) == 0
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, PAGE_BYTES - 2, 4), payload=b"abcd")
    assert rig.answers() == [(RNR_NAK | 1, HERE)]
    assert bring_in(dma) == 1
    # The second page is found missing only now; nothing has been written yet.
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, PAGE_BYTES - 2, 4), payload=b"abcd", psn=HERE)
    assert rig.answers() == [(RNR_NAK | 1, HERE)]
    assert rig.end.memory[PAGE_BYTES - 2 : PAGE_BYTES + 2] == bytes(4)
    assert dma.take_dirty_pages() == ()
    bring_in(dma)
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, PAGE_BYTES - 2, 4), payload=b"abcd", psn=HERE)
    assert rig.answers() == [(ACK, HERE)]
    assert rig.end.memory[PAGE_BYTES - 2 : PAGE_BYTES + 2] == b"abcd"
    assert len(dma.take_dirty_pages()) == 2


def test_a_receive_on_a_page_that_is_not_there_is_told_to_come_again_and_used_once() -> None:
    dma, rig = faulting()
    rig.end.recv(1, 0, 64)
    rig.end.recv(2, 64, 64)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd")
    assert rig.answers() == [(RNR_NAK | 1, HERE)]
    assert rig.completed() == []
    bring_in(dma)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd", psn=HERE)
    assert rig.answers() == [(ACK, HERE)]
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[:4] == b"abcd"


def test_an_atomic_on_a_page_that_is_not_there_is_told_to_come_again_and_executed_once() -> None:
    dma, rig = faulting()
    request = AtomicEth(va=rig.end.mr.address + 8, rkey=rig.end.mr.rkey, swap_add=5)
    rig.request(Opcode.RC_FETCH_ADD, request)
    assert rig.answers() == [(RNR_NAK | 1, HERE)]
    bring_in(dma)
    rig.request(Opcode.RC_FETCH_ADD, request, psn=HERE)
    (answer,) = rig.received()
    assert answer.find(AtomicAckEth) == AtomicAckEth(original=0)


@pytest.mark.parametrize("kind", ["WRITE", "SEND", "atomic"])
def test_a_page_that_never_comes_ends_the_request(kind: str) -> None:
    dma, rig = faulting()
    rig.end.recv(1, 0, 64)
    for _ in range(2):
        if kind == "WRITE":
            rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd", psn=HERE)
        elif kind == "SEND":
            rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd", psn=HERE)
        else:
            rig.request(Opcode.RC_FETCH_ADD, AtomicEth(va=rig.end.mr.address, rkey=rig.end.mr.rkey), psn=HERE)
        if (fault := dma.poll_fault()) is not None:
            assert fault.token is not None
            dma.handle_page_lost(fault.token)
    assert [syndrome for syndrome, _ in rig.answers()] == [RNR_NAK | 1, NAK | (3 if kind == "SEND" else 2)]
    assert rig.end.qp.state is QpState.ERR


@pytest.mark.parametrize(
    ("opcode", "absent"),
    [(WrOpcode.RDMA_WRITE, "peer"), (WrOpcode.SEND, "peer"), (WrOpcode.RDMA_READ, "peer"), (WrOpcode.RDMA_READ, "own")],
)
def test_transfers_over_memory_that_is_paged_in_on_demand_succeed(opcode: WrOpcode, absent: str) -> None:
    dma = FaultingDma(ScatteredDma())
    dmas = (None, dma) if absent == "peer" else (dma, None)
    rig = Rig(dmas=dmas, timeout=5, min_rnr_timer=2, memory_bytes=1 << 16)
    left, right = rig.ends
    content = random.Random(1).randbytes(1 << 16)
    for end, own in zip(rig.ends, dmas, strict=True):
        if own is None:
            end.memory[:] = content
    size = 40_000
    right.recv(9, 0, 1 << 16)
    left.send(1, opcode, 0, size, remote_address=right.mr.address + 8_000, rkey=right.mr.rkey)
    for _ in range(1000):
        rig.run(50_000)
        bring_in(dma, right if absent == "peer" else left)
    assert [wc.status.name for wc in left.completions] == ["SUCCESS"]
    if absent == "peer" and opcode is WrOpcode.RDMA_READ:
        assert left.memory[:size] == bytes(size)
        return
    end = right if absent == "peer" else left
    at = 8_000 if opcode is WrOpcode.RDMA_WRITE else 0
    taken = content[8_000 : 8_000 + size] if opcode is WrOpcode.RDMA_READ else content[:size]
    mapping = dma.map(end.mr.address + at, size, Direction.READ_MEMORY)
    assert not isinstance(mapping, Fault)
    assert b"".join(mapping.views) == taken


@each_way
@pytest.mark.parametrize("opcode", [WrOpcode.SEND, WrOpcode.RDMA_WRITE])
def test_a_request_from_a_page_that_is_not_there_waits_for_it_and_others_behind_it(
    opcode: WrOpcode, shortcuts: bool
) -> None:
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, shortcuts=shortcuts)
    size = PAGE_BYTES + MTU
    rig.end.send(1, opcode, 0, size)
    rig.end.send(2, WrOpcode.SEND, 0, 4)
    for _ in range(2):
        assert rig.received() == []
        assert bring_in(dma, rig.end) == 1
    packets = rig.received()
    assert len(packets) == size // MTU + 1
    assert rig.completed() == []
    rig.acknowledge(packets[-1].bth.psn)
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


@each_way
def test_what_went_before_a_request_that_waits_for_its_page_is_still_repeated(shortcuts: bool) -> None:
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, shortcuts=shortcuts)
    rig.end.qp.post_send(SendWr(1, WrOpcode.SEND))
    rig.end.send(2, WrOpcode.SEND, 0, 4)
    assert len(rig.received()) == 1
    rig.acknowledge(HERE, NAK)
    assert [packet.bth.psn for packet in rig.received()] == [HERE]
    bring_in(dma, rig.end)
    assert [packet.bth.psn for packet in rig.received()] == [HERE + 1]
    rig.acknowledge(HERE + 1)
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


def test_a_request_whose_page_never_comes_is_a_local_protection_error() -> None:
    dma, rig = faulting()
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    assert rig.received() == []
    fault = dma.poll_fault()
    assert fault is not None
    assert fault.token is not None
    rig.end.device.handle_page_lost(fault.token)
    rig.end.host.wake()
    rig.wait(1)
    assert rig.completed() == [(1, "LOC_PROT_ERR")]


@each_way
def test_pages_that_move_while_a_message_is_out_are_looked_up_again(shortcuts: bool) -> None:
    dma = FaultingDma(FlatDma(), is_resident=True)
    rig = HandRig(dma=dma, shortcuts=shortcuts)
    rig.end.send(1, WrOpcode.SEND, 0, 4 * MTU)
    assert len(rig.received()) == 4
    dma.evict(rig.end.mr.address, 4 * MTU)
    rig.acknowledge(HERE + 2 & 0xFFFFFF, NAK)
    assert rig.received() == []
    rig.wait(10_000_000_000)
    assert bring_in(dma, rig.end) == 1
    assert [packet.bth.psn for packet in rig.received()] == [0, 1]
    rig.acknowledge(1)
    assert rig.completed() == [(1, "SUCCESS")]


@each_way
def test_a_read_whose_target_is_not_there_is_asked_for_again_when_it_is(shortcuts: bool) -> None:
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, shortcuts=shortcuts, retry_cnt=0)
    rig.end.send(1, WrOpcode.RDMA_READ, PAGE_BYTES - MTU, 2 * MTU)
    assert len(rig.received()) == 1
    rig.respond(Opcode.RC_READ_RESPONSE_FIRST, HERE, Aeth(), payload=b"x" * MTU)
    rig.wait(10_000_000_000)
    assert rig.received() == []
    assert bring_in(dma, rig.end) == 1
    assert [packet.bth.psn for packet in rig.received()] == [HERE]
    rig.respond(Opcode.RC_READ_RESPONSE_FIRST, HERE, Aeth(), payload=b"x" * MTU)
    rig.respond(Opcode.RC_READ_RESPONSE_LAST, HERE + 1, Aeth(), payload=b"y" * MTU)
    rig.wait(10_000_000_000)
    assert bring_in(dma, rig.end) == 1
    assert [packet.bth.psn for packet in rig.received()] == [HERE + 1]
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE + 1, Aeth(), payload=b"y" * MTU)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[PAGE_BYTES - MTU : PAGE_BYTES + MTU] == b"x" * MTU + b"y" * MTU


@each_way
def test_a_read_response_that_meets_a_page_that_went_away_goes_on_after_an_rnr_nak(shortcuts: bool) -> None:
    dma = FaultingDma(FlatDma(), is_resident=True)
    rig = HandRig(dma=dma, shortcuts=shortcuts)
    header = reth(rig, PAGE_BYTES - 2 * MTU, 4 * MTU)
    packet = rig.packet(Opcode.RC_READ_REQUEST, header)
    device = rig.end.device
    device.handle_burst(Burst(memoryview(packet), len(packet), ("192.0.2.1", 4791), device.address), 0)
    dma.evict(rig.end.mr.address + PAGE_BYTES, PAGE_BYTES)
    rig.end.host.wake()
    first, second, nak = rig.received()
    assert (first.bth.opcode, second.bth.opcode) == (Opcode.RC_READ_RESPONSE_FIRST, Opcode.RC_READ_RESPONSE_MIDDLE)
    aeth = nak.find(Aeth)
    assert aeth is not None
    assert (aeth.syndrome, nak.bth.psn) == (RNR_NAK | 1, HERE + 2 & 0xFFFFFF)
    bring_in(dma)
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, PAGE_BYTES, 2 * MTU), psn=HERE + 2)
    assert [packet.bth.psn for packet in rig.received()] == [0, 1]


def test_a_receive_list_may_be_posted_empty() -> None:
    rig = HandRig()
    rig.end.qp.post_recv(RecvWr(1))
    rig.request(Opcode.RC_SEND_ONLY)
    assert rig.completed() == [(1, "SUCCESS")]
