"""On-demand paging: waiting for pages, implicit regions, advice (libibverbs' ODP)."""

from __future__ import annotations

import random

import pytest

from stacks.dma import PAGE_BYTES, FaultingDma, FlatDma
from stacks.rdma import Access, DeviceConfig, MemoryConfig, MrAdvice, QpState, RecvWr, SendWr, Sge, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, HandRig, reth
from tests.stacks.rdma.rig import FULL_ACCESS, End, Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, Traffic
from transports.datagram import Burst
from transports.simulation import Impairments
from wire.roce import AtomicEth, Opcode, Reth

SEQUENCE = NAK | 0
WAITING = MemoryConfig(page_faults="wait")
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def waiting(*, is_resident: bool = False) -> tuple[FaultingDma, HandRig]:
    """A device that keeps requests whose page is not there."""
    dma = FaultingDma(FlatDma(), is_resident=is_resident)
    return dma, HandRig(dma=dma, config=DeviceConfig(memory=WAITING), timeout=0)


def bring_in(dma: FaultingDma, end: End, *, is_lost: bool = False) -> int:
    """Answer every open fault; how many there were."""
    count = 0
    while (fault := dma.poll_fault()) is not None:
        assert fault.token is not None
        (end.device.handle_page_lost if is_lost else end.device.handle_page_ready)(fault.token)
        end.host.wake()
        count += 1
    return count


@pytest.mark.parametrize("kind", ["WRITE", "SEND", "atomic", "READ", "ATOMIC WRITE"])
def test_a_request_whose_page_is_not_there_is_kept_and_answered_when_it_is(kind: str) -> None:
    dma, rig = waiting()
    rig.end.recv(1, 0, 64)
    if kind == "WRITE":
        rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 8, 4), payload=b"abcd")
    elif kind == "SEND":
        rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd")
    elif kind == "READ":
        rig.request(Opcode.RC_READ_REQUEST, reth(rig, 8, 4))
    elif kind == "atomic":
        rig.request(Opcode.RC_FETCH_ADD, AtomicEth(va=rig.end.mr.address, rkey=rig.end.mr.rkey, swap_add=1))
    else:
        rig.request(Opcode.RC_ATOMIC_WRITE, reth(rig, 8, 8), payload=b"12345678")
    assert rig.received() == []
    assert bring_in(dma, rig.end) == 1
    (answer,) = rig.received()
    assert answer.bth.psn == FIRST_PSN
    assert rig.end.device.counters.send_rnr_err == 0
    assert rig.completed() == ([(1, "SUCCESS")] if kind == "SEND" else [])


def test_what_came_behind_a_kept_request_is_asked_for_again_once() -> None:
    dma, rig = waiting()
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    for _ in range(3):
        rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 4, 4), payload=b"efgh")
    # A repetition of the kept one changes nothing.
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd", psn=FIRST_PSN)
    assert rig.received() == []
    bring_in(dma, rig.end)
    assert rig.answers() == [(SEQUENCE, FIRST_PSN + 1)]
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 4, 4), payload=b"efgh", psn=FIRST_PSN + 1)
    assert rig.answers() == [(ACK, FIRST_PSN + 1)]
    assert rig.end.memory[:8] == b"abcdefgh"


@each_way
@pytest.mark.parametrize("page_faults", ["rnr", "wait"])
def test_a_send_that_comes_again_fills_the_receive_that_waited_for_a_page(shortcuts: bool, page_faults: str) -> None:
    """Receives are taken in order (IBTA 10.8.3.2), also when the next one is in memory that is always there."""
    dma = FaultingDma(FlatDma())
    memory = MemoryConfig(page_faults=page_faults, device_memory_bytes=PAGE_BYTES)  # type: ignore[arg-type]
    rig = HandRig(dma=dma, config=DeviceConfig(shortcuts=shortcuts, memory=memory), timeout=0)
    end = rig.end
    present = end.pd.reg_device_memory(
        end.device.alloc_dm(PAGE_BYTES), 0, PAGE_BYTES, Access.LOCAL_WRITE | Access.ZERO_BASED
    )
    end.recv(1, 0, 64)
    for number in (2, 3):
        end.qp.post_recv(RecvWr(number, [present.sge(64 * number, 64)]))
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd")
    if page_faults == "rnr":
        bring_in(dma, end)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd", psn=FIRST_PSN)
    bring_in(dma, end)
    assert rig.answers()[-1] == (ACK, FIRST_PSN)
    assert rig.completed() == [(1, "SUCCESS")]
    assert end.memory[:4] == b"abcd"
    rig.request(Opcode.RC_SEND_ONLY, payload=b"efgh", psn=FIRST_PSN + 1)
    assert rig.completed() == [(2, "SUCCESS")]


@each_way
def test_a_kept_request_is_forgotten_when_another_took_its_psn(shortcuts: bool) -> None:
    """Each PSN is executed once (IBTA 9.7.5.1.2), whatever waits for a page."""
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, config=DeviceConfig(shortcuts=shortcuts, memory=WAITING), timeout=0)
    rig.end.recv(1, 0, 64)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd")
    rig.request(Opcode.RC_WRITE_ONLY, Reth(va=0, rkey=0, length=0), psn=FIRST_PSN)
    assert rig.answers() == [(ACK, FIRST_PSN)]
    bring_in(dma, rig.end)
    assert rig.answers() == rig.completed() == []


def test_a_kept_request_waits_for_one_page_after_the_other() -> None:
    dma, rig = waiting()
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, PAGE_BYTES - 2, 4), payload=b"abcd")
    assert rig.received() == []
    # The second page is found missing when the first is there.
    assert bring_in(dma, rig.end) == 2
    assert rig.answers() == [(ACK, FIRST_PSN)]


def test_a_page_that_never_comes_ends_a_kept_request_with_an_access_error() -> None:
    dma, rig = waiting()
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    bring_in(dma, rig.end, is_lost=True)
    assert rig.answers() == [(NAK | 2, FIRST_PSN)]
    assert rig.end.qp.state is QpState.ERR


@each_way
def test_a_read_response_waits_where_its_page_went_away(shortcuts: bool) -> None:
    dma = FaultingDma(FlatDma(), is_resident=True)
    rig = HandRig(dma=dma, config=DeviceConfig(memory=WAITING, shortcuts=shortcuts), timeout=0)
    packet = rig.packet(Opcode.RC_READ_REQUEST, reth(rig, PAGE_BYTES - 2 * MTU, 4 * MTU))
    device = rig.end.device
    device.handle_burst(Burst(memoryview(packet), len(packet), ("192.0.2.1", 4791), device.address), 0)
    dma.evict(rig.end.mr.address + PAGE_BYTES, PAGE_BYTES)
    rig.end.host.wake()
    assert [response.bth.psn for response in rig.received()] == [FIRST_PSN, FIRST_PSN + 1]
    # Behind it, answers keep their order.
    rig.psn += 4
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd", psn=FIRST_PSN + 4)
    assert rig.received() == []
    assert bring_in(dma, rig.end) == 1
    assert [answer.bth.psn for answer in rig.received()] == [0, 1, 2]
    assert rig.end.qp.state is QpState.RTS


def test_a_kept_request_is_forgotten_with_its_queue_pair() -> None:
    dma, rig = waiting()
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    rig.end.qp.enter_error()
    bring_in(dma, rig.end)
    assert rig.received() == []
    assert rig.end.memory[:4] == bytes(4)


@pytest.mark.slow
@each_way
@pytest.mark.parametrize("config", [MemoryConfig(), WAITING], ids=["rnr", "wait"])
@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_mixed_traffic_goes_on_while_pages_come_and_go(loss: float, config: MemoryConfig, shortcuts: bool) -> None:
    dmas = FaultingDma(FlatDma()), FaultingDma(FlatDma())
    rig = Rig(
        config=DeviceConfig(memory=config, shortcuts=shortcuts), impairments=Impairments(loss=loss), dmas=dmas,
        memory_bytes=MEMORY_BYTES, timeout=7, min_rnr_timer=2,
    )  # fmt: skip
    traffic = Traffic(rig, 7)
    rng = random.Random(8)

    def page() -> None:
        for end, dma in zip(rig.ends, dmas, strict=True):
            bring_in(dma, end)
            if rng.random() < 0.2:
                dma.evict(end.mr.address + int(rng.random() * MEMORY_BYTES), 8 * PAGE_BYTES)
        rig.simulation.after(20_000, page)

    page()
    for _ in range(60):
        for side in traffic.sides:
            traffic.post_random(side)
            side.post_receive()
        traffic.run(300_000)
    traffic.finish()
    for end in rig.ends:
        assert end.qp.state is QpState.RTS


# Implicit regions


def test_an_implicit_region_covers_all_that_is_attached_now_or_later() -> None:
    dma = FlatDma()
    rig = HandRig(dma=dma, timeout=0)
    mr = rig.end.pd.reg_odp(FULL_ACCESS)
    assert mr.access & Access.ON_DEMAND
    late = bytearray(8)
    address = dma.attach(late)
    for where in (rig.end.mr.address, address):
        rig.request(Opcode.RC_WRITE_ONLY, Reth(va=where, rkey=mr.rkey, length=4), payload=b"abcd")
    assert [syndrome for syndrome, _ in rig.answers()] == [ACK, ACK]
    assert (late[:4], rig.end.memory[:4]) == (b"abcd", b"abcd")
    rig.end.qp.post_send(SendWr(1, WrOpcode.SEND, [Sge(address, 4, mr.lkey)]))
    rig.end.host.wake()
    assert [packet.payload for packet in rig.received()] == [b"abcd"]
    rig.request(Opcode.RC_WRITE_ONLY, Reth(va=address + 8, rkey=mr.rkey, length=4), payload=b"abcd")
    assert rig.answers() == [(NAK | 2, FIRST_PSN + 2 & 0xFFFFFF)]


def test_an_implicit_region_pages_in_on_demand_and_dies_alone() -> None:
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, timeout=0)
    mr = rig.end.pd.reg_odp(FULL_ACCESS)
    header = Reth(va=rig.end.mr.address, rkey=mr.rkey, length=4)
    rig.request(Opcode.RC_WRITE_ONLY, header, payload=b"abcd", psn=FIRST_PSN)
    assert bring_in(dma, rig.end) == 1
    rig.answers()
    rig.request(Opcode.RC_WRITE_ONLY, header, payload=b"abcd", psn=FIRST_PSN)
    assert rig.answers() == [(ACK, FIRST_PSN)]
    mr.dereg()
    assert rig.end.mr.is_valid
    assert rig.end.memory[:4] == b"abcd"
    with pytest.raises(LocalError, match="cannot be zero-based"):
        rig.end.pd.reg_odp(FULL_ACCESS | Access.ZERO_BASED)


# Advice


def test_advice_asks_for_pages_before_they_are_needed() -> None:
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, timeout=0)
    mr = rig.end.pd.reg_mr(memory := bytearray(8 * PAGE_BYTES), FULL_ACCESS | Access.ON_DEMAND)
    pieces = [mr.sge(PAGE_BYTES - 1, 2), mr.sge(4 * PAGE_BYTES, PAGE_BYTES), mr.sge(0, 0)]
    assert rig.end.pd.advise(MrAdvice.PREFETCH_NO_FAULT, pieces) == 0
    assert rig.end.pd.advise(MrAdvice.PREFETCH_WRITE, pieces) == 3
    assert bring_in(dma, rig.end) == 3
    assert rig.end.pd.advise(MrAdvice.PREFETCH, pieces) == 0
    header = Reth(va=mr.address + PAGE_BYTES - 1, rkey=mr.rkey, length=2)
    rig.request(Opcode.RC_WRITE_ONLY, header, payload=b"ab")
    assert rig.answers() == [(ACK, FIRST_PSN)]
    assert memory[PAGE_BYTES - 1 : PAGE_BYTES + 1] == b"ab"


def test_advice_that_cannot_be_is_a_local_error() -> None:
    rig = HandRig()
    pd = rig.end.pd
    mr = pd.reg_mr(bytearray(8), Access.ON_DEMAND)
    for advice, sge, what in (
        (MrAdvice.PREFETCH, Sge(0, 1, 5), "no region of this protection domain"),
        (MrAdvice.PREFETCH, rig.end.sge(0, 4), "paged on demand"),
        (MrAdvice.PREFETCH_WRITE, mr.sge(), "may not be written"),
        (MrAdvice.PREFETCH, Sge(mr.address + 4, 8, mr.lkey), "not inside"),
    ):
        with pytest.raises(LocalError, match=what):
            pd.advise(advice, [sge])
    assert pd.advise(MrAdvice.PREFETCH, [mr.sge()]) == 0
