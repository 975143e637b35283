"""SENDs that were told to come again because of a page, and do not: the peer sends something else at their PSN."""

from __future__ import annotations

import pytest

from stacks.dma import PAGE_BYTES, FaultingDma, FlatDma
from stacks.rdma import QpState
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, RNR_NAK, HandRig, reth
from wire.header import Header
from wire.roce import AtomicAckEth, AtomicEth, ImmDt, Opcode

HERE = FIRST_PSN
RECEIVE_BYTES = 2 * MTU
AT = PAGE_BYTES
"""Where receives lie: on a page of their own, which is not there at first."""
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def page_in(rig: HandRig, dma: FaultingDma) -> None:
    """Every page that was asked for comes."""
    while (fault := dma.poll_fault()) is not None:
        assert fault.token is not None
        rig.end.device.handle_page_ready(fault.token)


def interrupted(opcode: int = Opcode.RC_SEND_ONLY, payload: bytes = b"lost", *, shortcuts: bool) -> HandRig:
    """A SEND has found receive 1 of two on a page that is not there; now the page is, and so is the first one."""
    dma = FaultingDma(FlatDma())
    rig = HandRig(dma=dma, timeout=0, shortcuts=shortcuts)
    rig.end.recv(1, AT, RECEIVE_BYTES)
    rig.end.recv(2, AT + RECEIVE_BYTES, RECEIVE_BYTES)
    # The page that WRITEs go to comes as well.
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"....", psn=HERE)
    page_in(rig, dma)
    rig.request(opcode, payload=payload, psn=HERE)
    assert rig.answers() == [(RNR_NAK | 1, HERE)] * 2
    page_in(rig, dma)
    rig.psn = HERE
    return rig


def write(rig: HandRig, opcode: int, *more: Header) -> None:
    rig.request(opcode, reth(rig, 0, 4), *more, payload=b"abcd")


@each_way
@pytest.mark.parametrize("count", [1, 3])
def test_a_write_in_place_of_the_send_completes_no_receive(count: int, shortcuts: bool) -> None:
    rig = interrupted(shortcuts=shortcuts)
    for number in range(count):
        write(rig, Opcode.RC_WRITE_ONLY)
        assert rig.answers() == [(ACK, HERE + number & 0xFFFFFF)]
    assert rig.completed() == []
    assert rig.end.memory[:4] == b"abcd"
    # The receive that the SEND had taken is still the first.
    rig.request(Opcode.RC_SEND_ONLY, payload=b"one")
    rig.request(Opcode.RC_SEND_ONLY, payload=b"two")
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]
    assert rig.end.memory[AT : AT + 3] == b"one"
    assert rig.end.memory[AT + RECEIVE_BYTES : AT + RECEIVE_BYTES + 3] == b"two"


@each_way
def test_a_write_of_several_packets_in_place_of_the_send_completes_no_receive(shortcuts: bool) -> None:
    rig = interrupted(shortcuts=shortcuts)
    rig.request(Opcode.RC_WRITE_FIRST, reth(rig, 0, 2 * MTU), payload=b"a" * MTU)
    rig.request(Opcode.RC_WRITE_LAST, payload=b"b" * MTU)
    assert rig.completed() == []
    rig.request(Opcode.RC_SEND_ONLY, payload=b"one")
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[: 2 * MTU] == b"a" * MTU + b"b" * MTU


@each_way
def test_a_write_with_immediate_in_place_of_the_send_takes_the_first_receive_once(shortcuts: bool) -> None:
    rig = interrupted(shortcuts=shortcuts)
    write(rig, Opcode.RC_WRITE_ONLY_IMM, ImmDt(imm=b"1234"))
    assert [(wc.wr_id, wc.opcode.name, wc.imm_data) for wc in rig.end.cq.poll()] == [(1, "RECV_RDMA_WITH_IMM", b"1234")]
    rig.request(Opcode.RC_SEND_ONLY, payload=b"two")
    assert rig.completed() == [(2, "SUCCESS")]


@each_way
def test_a_read_and_an_atomic_in_place_of_the_send_leave_its_receive(shortcuts: bool) -> None:
    rig = interrupted(shortcuts=shortcuts)
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, 0, 4))
    rig.request(Opcode.RC_FETCH_ADD, AtomicEth(va=rig.end.mr.address + 8, rkey=rig.end.mr.rkey, swap_add=1))
    packets = rig.received()
    assert [packet.bth.psn for packet in packets] == [HERE, HERE + 1]
    assert packets[1].find(AtomicAckEth) == AtomicAckEth(original=0)
    assert rig.completed() == []
    rig.request(Opcode.RC_SEND_ONLY, payload=b"one")
    assert rig.completed() == [(1, "SUCCESS")]


@each_way
def test_another_send_in_place_of_the_send_goes_into_its_receive(shortcuts: bool) -> None:
    rig = interrupted(Opcode.RC_SEND_FIRST, b"x" * MTU, shortcuts=shortcuts)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"one")
    rig.request(Opcode.RC_SEND_FIRST, payload=b"y" * MTU)
    rig.request(Opcode.RC_SEND_LAST, payload=b"z")
    assert [(wc.wr_id, wc.byte_len) for wc in rig.end.cq.poll()] == [(1, 3), (2, MTU + 1)]
    assert rig.end.memory[AT : AT + 3] == b"one"


@each_way
def test_a_refused_write_in_place_of_the_send_flushes_every_receive_once(shortcuts: bool) -> None:
    rig = interrupted(shortcuts=shortcuts)
    rig.end.mr.dereg()
    write(rig, Opcode.RC_WRITE_ONLY)
    assert rig.end.qp.state is QpState.ERR
    assert rig.completed() == [(1, "WR_FLUSH_ERR"), (2, "WR_FLUSH_ERR")]
