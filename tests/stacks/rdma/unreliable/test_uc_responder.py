"""What a UC responder takes and drops, packet by packet (IBTA 9.8.2.2, 9.9.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.rdma import Access, AddressVector, QpAttributes, QpCapacity, QpState, QpType, RecvWr, WrOpcode
from stacks.rdma.opcodes import DATA_OPCODES
from stacks.rdma.work import Sge
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import FIRST_PSN, MTU, HandRig, posted, psns, reth
from tests.stacks.rdma.rig import modify
from wire.header import Header
from wire.roce import ImmDt, Opcode

SNAPSHOT = Path(__file__).with_name("uc_sequences.txt")
HERE = FIRST_PSN
PAGE = bytes(range(256))


def uc(**options: object) -> HandRig:
    """A UC queue pair in RTS whose peer is the test."""
    return HandRig(qp_type=QpType.UC, **options)  # type: ignore[arg-type]


def dropped(rig: HandRig) -> int:
    return rig.end.device.counters.rcvd_dropped_messages


def body_of(rig: HandRig, opcode: Opcode) -> tuple[list[Header], bytes]:
    """Headers and payload that are right for an opcode where it may stand."""
    data = DATA_OPCODES[opcode & 0x1F]
    headers: list[Header] = []
    payload = PAGE if not data.ends else b"tail"
    if data.extension_bytes >= 16:
        headers.append(reth(rig, 0, 4 if data.ends else 3 * MTU + 4))
    if data.has_imm:
        headers.append(ImmDt(imm=b"imm!"))
    return headers, payload


UC_OPCODES = [opcode for opcode in Opcode if opcode >> 5 == 1]
STARTS = {
    "nothing": [],
    "in a SEND": [Opcode.UC_SEND_FIRST],
    "in a WRITE": [Opcode.UC_WRITE_FIRST],
    "dropping": [Opcode.UC_SEND_MIDDLE],
}


def outcome(start: str, opcode: Opcode, *, is_next: bool) -> str:
    """What becomes of one packet behind a start, in sequence or with one missing before it."""
    rig = uc()
    for number in range(3):
        rig.end.recv(number, 4096 * number, 4096)
    for begun in STARTS[start]:
        headers, payload = body_of(rig, begun)
        rig.request(begun, *headers, payload=payload)
    before = dropped(rig)
    rig.psn += not is_next
    headers, payload = body_of(rig, opcode)
    if start == "in a WRITE" and DATA_OPCODES[opcode & 0x1F].ends and not DATA_OPCODES[opcode & 0x1F].starts:
        # The length of a WRITE is known from its start: two Middles first.
        for _ in range(2):
            rig.request(Opcode.UC_WRITE_MIDDLE, payload=PAGE)
    rig.request(opcode, *headers, payload=payload)
    what = "dropped" if rig.end.qp.responder.is_dropping else "begun" if rig.end.qp.responder.kind else "done"  # type: ignore[attr-defined]
    ended = ["received" for _ in rig.completed()]
    assert rig.received() == []
    return " ".join([what, *ended, *(["drop counted"] if dropped(rig) > before else [])])


def test_every_opcode_in_every_state_does_what_the_reviewed_table_says() -> None:
    """IBTA 9.8.2.2.1, 9.8.2.2.2: First and Only always begin; the rest only goes on with its own message."""
    rows = [
        f"{start:11} {'next' if is_next else 'gap':5} {opcode.name:22} {outcome(start, opcode, is_next=is_next)}\n"
        for start in STARTS
        for is_next in (True, False)
        for opcode in UC_OPCODES
    ]
    assert "".join(rows) == SNAPSHOT.read_text()


def test_a_gap_drops_the_message_and_the_next_one_is_received_into_the_same_receive() -> None:
    rig = uc()
    rig.end.recv(1, 0, 4096)
    rig.request(Opcode.UC_SEND_FIRST, payload=PAGE)
    rig.psn += 1
    rig.request(Opcode.UC_SEND_MIDDLE, payload=PAGE)
    rig.request(Opcode.UC_SEND_LAST, payload=b"end")
    assert rig.completed() == []
    rig.request(Opcode.UC_SEND_ONLY, payload=b"next")
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[:4] == b"next"
    assert dropped(rig) == 1
    assert rig.end.device.counters.out_of_seq_request == 1


def test_a_write_behind_an_unfinished_send_leaves_the_receive_in_its_place() -> None:
    rig = uc()
    for number in (1, 2):
        rig.end.recv(number, 0, 4096)
    rig.request(Opcode.UC_SEND_FIRST, payload=PAGE)
    rig.request(Opcode.UC_WRITE_ONLY, reth(rig, 0, 4), payload=b"data")
    rig.request(Opcode.UC_SEND_ONLY, payload=b"next")
    rig.request(Opcode.UC_SEND_ONLY, payload=b"last")
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


@pytest.mark.parametrize("length", [MTU - 4, MTU + 4])
def test_a_first_packet_that_is_not_one_path_mtu_long_is_dropped(length: int) -> None:
    """IBTA 9.8.2.2.4."""
    rig = uc()
    rig.end.recv(1, 0, 4096)
    rig.request(Opcode.UC_SEND_FIRST, payload=bytes(length))
    rig.request(Opcode.UC_SEND_LAST, payload=b"end")
    assert rig.completed() == []
    assert dropped(rig) == 1


def test_a_message_longer_than_its_receive_is_dropped_and_the_receive_stays() -> None:
    """IBTA 9.9.3, class D."""
    rig = uc()
    rig.end.recv(1, 0, 10)
    rig.request(Opcode.UC_SEND_ONLY, payload=bytes(11))
    assert rig.completed() == []
    rig.request(Opcode.UC_SEND_ONLY, payload=bytes(10))
    assert rig.completed() == [(1, "SUCCESS")]
    assert dropped(rig) == 1


def test_a_message_without_a_receive_is_dropped_and_a_later_one_received() -> None:
    """IBTA 9.8.2.2.5: there is no RNR NAK."""
    rig = uc()
    rig.request(Opcode.UC_SEND_ONLY, payload=b"lost")
    rig.end.recv(1, 0, 10)
    rig.request(Opcode.UC_SEND_ONLY, payload=b"come")
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.received() == []


@pytest.mark.parametrize(
    ("access", "key", "offset"),
    [(Access.LOCAL_WRITE, 0, 0), (15, 1, 0), (15, 0, (1 << 16) - 3)],
    ids=["no right", "wrong key", "outside"],
)
def test_a_write_without_the_right_its_key_or_its_range_changes_nothing(access: int, key: int, offset: int) -> None:
    """IBTA 9.8.2.2.6."""
    rig = uc(access=access)
    header = reth(rig, offset, 4)
    header.rkey ^= key
    rig.request(Opcode.UC_WRITE_ONLY, header, payload=b"evil")
    assert not any(rig.end.memory)
    assert dropped(rig) == 1
    assert rig.end.device.poll_async_event() is None
    assert rig.end.qp.state is QpState.RTS


def test_a_write_whose_length_and_packets_disagree_is_dropped() -> None:
    rig = uc()
    rig.request(Opcode.UC_WRITE_ONLY, reth(rig, 0, 8), payload=b"four")
    rig.request(Opcode.UC_WRITE_FIRST, reth(rig, 0, MTU), payload=PAGE)
    rig.request(Opcode.UC_WRITE_ONLY, reth(rig, 0, 4), payload=b"")
    assert dropped(rig) == 3
    assert not any(rig.end.memory)


def test_a_receive_that_names_memory_that_is_not_there_ends_the_queue_pair() -> None:
    """IBTA 9.9.3, class A."""
    rig = uc()
    rig.end.qp.post_recv(RecvWr(1, [Sge(rig.end.mr.address, 16, rig.end.mr.lkey ^ 1)]))
    rig.end.recv(2, 0, 16)
    rig.request(Opcode.UC_SEND_ONLY, payload=b"data")
    assert rig.completed() == [(1, "LOC_PROT_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR


def test_an_unfinished_message_from_a_shared_queue_ends_its_receive_in_error() -> None:
    """IBTA 9.9.3, class E: the order of a shared queue leaves no place to put it back to."""
    rig = uc()
    end = rig.end
    srq = end.pd.create_srq(max_wr=4, max_sge=1)
    end.qp = end.pd.create_qp(QpType.UC, send_cq=end.cq, recv_cq=end.cq, srq=srq)
    rig.connect(15, {})
    for number in (1, 2):
        srq.post_recv(RecvWr(number, [end.sge(0, 4096)]))
    rig.request(Opcode.UC_SEND_FIRST, payload=PAGE)
    rig.request(Opcode.UC_SEND_ONLY, payload=b"next")
    assert rig.completed() == [(1, "REM_INV_REQ_ERR"), (2, "SUCCESS")]


@pytest.mark.parametrize("opcode", [Opcode.RC_SEND_ONLY, Opcode.UD_SEND_ONLY, 0x2C, 0x31, 0x36])
def test_opcodes_that_uc_does_not_have_are_counted_and_dropped(opcode: int) -> None:
    """IBTA 9.6.1.1.2 for another transport's, 9.8.2.2.3 for operations that UC lacks."""
    rig = uc()
    rig.end.recv(1, 0, 100)
    rig.request(opcode, payload=bytes(16))
    assert rig.end.device.counters.rcvd_opcode_err == 1
    assert rig.completed() == []


def test_a_packet_shorter_than_its_headers_is_dropped() -> None:
    rig = uc()
    rig.request(Opcode.UC_WRITE_ONLY, payload=bytes(12))
    assert dropped(rig) == 1


def test_a_local_error_stops_the_send_queue_in_sqe_and_receives_go_on() -> None:
    """IBTA 10.3.1.6: what was posted behind it and what is posted now is flushed, until the queue pair is in RTS."""
    rig = uc()
    qp = rig.end.qp
    for number in (1, 3):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
        if number == 1:
            rig.end.send(2, WrOpcode.SEND, (1 << 16) - 2, 4)
    assert psns(rig.received()) == [0]
    assert rig.completed() == [(1, "SUCCESS"), (2, "LOC_PROT_ERR"), (3, "WR_FLUSH_ERR")]
    assert qp.state is QpState.SQE
    rig.end.send(4, WrOpcode.SEND, 0, 4)
    assert rig.completed() == [(4, "WR_FLUSH_ERR")]
    rig.end.recv(5, 0, 16)
    rig.request(Opcode.UC_SEND_ONLY, payload=b"data")
    assert rig.completed() == [(5, "SUCCESS")]
    qp.modify(QpAttributes(state=QpState.RTS, cur_state=QpState.SQE))
    assert psns(posted(rig, 1)) == [1]
    assert rig.completed() == [(1, "SUCCESS")]


def test_the_send_queue_takes_as_many_as_it_was_made_for() -> None:
    rig = uc(capacity=QpCapacity(max_send_wr=2))
    rig.end.host.transport.is_full = True
    for number in range(2):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    with pytest.raises(LocalError, match="max_send_wr is 2"):
        rig.end.send(2, WrOpcode.SEND, 0, 4)


def test_entering_err_flushes_both_queues() -> None:
    rig = uc()
    rig.end.recv(1, 0, 4096)
    rig.end.recv(2, 0, 4096)
    rig.request(Opcode.UC_SEND_FIRST, payload=PAGE)
    rig.end.qp.modify(QpAttributes(state=QpState.ERR))
    assert rig.completed() == [(1, "WR_FLUSH_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.device.poll_async_event() is None


def test_a_first_packet_in_rtr_is_told_once() -> None:
    rig = uc()
    told: list[object] = []
    qp = rig.end.qp
    qp.modify(QpAttributes(state=QpState.RESET))

    modify(qp, QpState.INIT, pkey_index=0, port=1, access=15)
    qp.on_established = told.append
    av = AddressVector(destination=rig.peer.address[0])
    modify(qp, QpState.RTR, av=av, path_mtu=MTU, dest_qpn=7, rq_psn=HERE)
    for _ in range(2):
        rig.request(Opcode.UC_WRITE_ONLY, reth(rig, 0, 4), payload=b"data")
    assert told == [qp]
    assert rig.end.memory[:4] == b"data"
