"""Datagrams packet by packet: which are taken, in which state, and what our own look like (IBTA 9.6.1, 9.8.3)."""

from __future__ import annotations

import pytest

from stacks.rdma import AddressVector, QpAttributes, QpState, QpType, SendWr, WrOpcode
from tests.stacks.rdma.hand import FIRST_PSN, PEER_QPN, HandRig
from tests.stacks.rdma.rig import QKEY, modify
from wire.roce import Deth, ImmDt, Opcode

DETH = Deth(qkey=QKEY, source_qp=PEER_QPN)


def ud(**options: object) -> HandRig:
    """A UD queue pair in RTS and a peer that is the test."""
    return HandRig(qp_type=QpType.UD, **options)  # type: ignore[arg-type]


def outcome(state: QpState, opcode: Opcode) -> str:
    """What becomes of a packet of some opcode in some state."""
    rig = ud()
    qp = rig.end.qp
    if state in (QpState.RESET, QpState.INIT, QpState.RTR):
        qp.modify(QpAttributes(state=QpState.RESET))
    if state in (QpState.INIT, QpState.RTR):
        modify(qp, QpState.INIT, pkey_index=0, port=1, qkey=QKEY)
    if state is QpState.RTR:
        modify(qp, QpState.RTR)
    if state in (QpState.SQD, QpState.ERR):
        qp.modify(QpAttributes(state=state))
    if state is QpState.SQE:
        qp.enter_send_error()
    assert qp.state is state
    if state not in (QpState.RESET, QpState.ERR):
        rig.end.recv(1, 0, 100)
    headers = [DETH, ImmDt(imm=b"imm!")] if opcode & 1 else [DETH]
    rig.request(opcode, *headers, payload=b"data")
    counters = rig.end.device.counters
    if rig.completed():
        return "received"
    return "no queue pair" if counters.rcvd_qpn_err else "wrong opcode" if counters.rcvd_opcode_err else "dropped"


@pytest.mark.parametrize("state", list(QpState))
def test_both_opcodes_are_received_from_rtr_on_and_others_never(state: QpState) -> None:
    """IBTA 10.3.1: RTR, RTS, SQD and SQE receive."""
    hears = state in (QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE)
    for opcode in Opcode:
        is_datagram = opcode in (Opcode.UD_SEND_ONLY, Opcode.UD_SEND_ONLY_IMM)
        if opcode == 0x81:
            continue
        expected = "no queue pair" if not hears else "received" if is_datagram else "wrong opcode"
        assert outcome(state, opcode) == expected, opcode.name


@pytest.mark.parametrize("operation", [0x60, 0x6A, 0x6C, 0x77, 0x7F])
def test_operations_that_datagrams_do_not_have_are_counted(operation: int) -> None:
    rig = ud()
    rig.end.recv(1, 0, 100)
    rig.request(operation, DETH, payload=bytes(16))
    assert rig.end.device.counters.rcvd_opcode_err == 1


def test_a_packet_shorter_than_its_headers_is_dropped() -> None:
    rig = ud()
    rig.end.recv(1, 0, 100)
    rig.request(Opcode.UD_SEND_ONLY, payload=bytes(4))
    rig.request(Opcode.UD_SEND_ONLY_IMM, DETH)
    assert rig.end.device.counters.rcvd_dropped_messages == 2


@pytest.mark.parametrize("pkey", [0x8001, 0x0001, 0x0000])
def test_another_partitions_p_key_is_dropped_and_counted(pkey: int) -> None:
    """IBTA 9.6.1.3, 10.9.2."""
    rig = ud()
    rig.end.recv(1, 0, 100)
    rig.request(Opcode.UD_SEND_ONLY, DETH, payload=b"data", pkey=pkey)
    assert rig.end.device.counters.rcvd_pkey_err == 1
    assert rig.completed() == []


def test_a_limited_member_of_our_partition_is_heard() -> None:
    rig = ud()
    rig.end.recv(1, 0, 100)
    rig.request(Opcode.UD_SEND_ONLY, DETH, payload=b"data", pkey=0x7FFF)
    assert rig.completed() == [(1, "SUCCESS")]


def test_any_psn_will_do() -> None:
    """IBTA 9.8.3.2.1."""
    rig = ud()
    for number in range(3):
        rig.end.recv(number, 0, 100)
        rig.request(Opcode.UD_SEND_ONLY, DETH, payload=b"data", psn=12345 * number)
    assert [wr_id for wr_id, _ in rig.completed()] == [0, 1, 2]


def test_our_own_carry_the_q_key_the_number_and_psns_that_count_up() -> None:
    rig = ud()
    end = rig.end
    ah = end.pd.create_ah(AddressVector(destination=rig.peer.address[0]))
    for number in range(3):
        wr = SendWr(number, WrOpcode.SEND, [end.sge(0, 16)], ah=ah, remote_qpn=PEER_QPN, remote_qkey=number)
        end.qp.post_send(wr)
    end.host.wake()
    packets = rig.received()
    assert [packet.bth.opcode for packet in packets] == [Opcode.UD_SEND_ONLY] * 3
    assert [(packet.bth.dest_qp, packet.bth.ack_req) for packet in packets] == [(PEER_QPN, 0)] * 3
    assert [packet.bth.psn for packet in packets] == [(FIRST_PSN + number) & 0xFFFFFF for number in range(3)]
    deths = [packet.find(Deth) for packet in packets]
    assert [(deth.qkey, deth.source_qp) for deth in deths if deth] == [(n, end.qp.number) for n in range(3)]
