"""What a responder refuses, with which NAK, and what it then reports (IBTA 9.7.4.1, 9.7.5.2.8, 9.9.2.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.rdma import Access, AsyncEventType, QpAttributes, QpState, RecvWr, Sge
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS
from wire.roce import AtomicEth, Ieth, ImmDt, Opcode, Reth

INVALID, ACCESS_ERROR, OPERATIONAL = NAK | 1, NAK | 2, NAK | 3
HERE = FIRST_PSN
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def reth(rig: HandRig, offset: int = 0, length: int = 4, rkey: int | None = None) -> Reth:
    """A range of the device's memory."""
    mr = rig.end.mr
    return Reth(va=mr.address + offset, rkey=mr.rkey if rkey is None else rkey, length=length)


def atomic(rig: HandRig, offset: int = 0, rkey: int | None = None) -> AtomicEth:
    mr = rig.end.mr
    return AtomicEth(va=mr.address + offset, rkey=mr.rkey if rkey is None else rkey, swap_add=1)


def expect_refusal(rig: HandRig, syndrome: int, psn: int = HERE) -> None:
    """The request was answered with one NAK, and ended the queue pair."""
    assert rig.answers() == [(syndrome, psn & 0xFFFFFF)]
    assert rig.end.qp.state is QpState.ERR
    event = rig.end.device.poll_async_event()
    assert event is not None
    assert event.qp is rig.end.qp
    assert event.kind is (AsyncEventType.QP_ACCESS_ERR if syndrome == ACCESS_ERROR else AsyncEventType.QP_REQ_ERR)
    assert rig.end.device.poll_async_event() is None


Send = Callable[[HandRig], None]
FULL = bytes(MTU)
# Each list of packets ends with the one that is refused.
SEQUENCES: dict[str, list[Send]] = {
    "SEND Middle without First": [lambda rig: rig.request(Opcode.RC_SEND_MIDDLE, payload=FULL)],
    "SEND Last without First": [lambda rig: rig.request(Opcode.RC_SEND_LAST, payload=b"x")],
    "WRITE Middle without First": [lambda rig: rig.request(Opcode.RC_WRITE_MIDDLE, payload=FULL)],
    "WRITE Last without First": [lambda rig: rig.request(Opcode.RC_WRITE_LAST, payload=b"x")],
    "SEND First twice": [lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL)] * 2,
    "SEND Only inside a SEND": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_SEND_ONLY, payload=b"x"),
    ],
    "WRITE Middle inside a SEND": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_WRITE_MIDDLE, payload=FULL),
    ],
    "SEND Last inside a WRITE": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=2 * MTU), payload=FULL),
        lambda rig: rig.request(Opcode.RC_SEND_LAST, payload=b"x"),
    ],
    "READ inside a SEND": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_READ_REQUEST, reth(rig)),
    ],
    "atomic inside a WRITE": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=2 * MTU), payload=FULL),
        lambda rig: rig.request(Opcode.RC_FETCH_ADD, atomic(rig)),
    ],
    "a reserved opcode": [lambda rig: rig.request(0x15)],
    "ATOMIC WRITE inside a SEND": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_ATOMIC_WRITE, reth(rig, length=8), payload=bytes(8)),
    ],
}
LENGTHS: dict[str, list[Send]] = {
    "SEND First below the MTU": [lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL[1:])],
    "SEND Middle below the MTU": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_SEND_MIDDLE, payload=FULL[1:]),
    ],
    "SEND Last of nothing": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_SEND_LAST),
    ],
    "SEND Only above the MTU": [lambda rig: rig.request(Opcode.RC_SEND_ONLY, payload=FULL + b"x")],
    "SEND Last above the MTU": [
        lambda rig: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda rig: rig.request(Opcode.RC_SEND_LAST, payload=FULL + b"x"),
    ],
    "WRITE Only shorter than its RETH": [
        lambda rig: rig.request(Opcode.RC_WRITE_ONLY, reth(rig, length=9), payload=bytes(8))
    ],
    "WRITE Only longer than its RETH": [
        lambda rig: rig.request(Opcode.RC_WRITE_ONLY, reth(rig, length=7), payload=bytes(8))
    ],
    "WRITE First whose RETH fits one packet": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=MTU), payload=FULL)
    ],
    "WRITE of more than 2^31 bytes": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=(1 << 31) + 1), payload=FULL)
    ],
    "WRITE that goes on past its RETH": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=2 * MTU), payload=FULL),
        lambda rig: rig.request(Opcode.RC_WRITE_MIDDLE, payload=FULL),
    ],
    "WRITE that ends before its RETH": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=2 * MTU), payload=FULL),
        lambda rig: rig.request(Opcode.RC_WRITE_LAST, payload=FULL[1:]),
    ],
    "WRITE that ends behind its RETH": [
        lambda rig: rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=2 * MTU - 1), payload=FULL),
        lambda rig: rig.request(Opcode.RC_WRITE_LAST, payload=FULL),
    ],
    "WRITE Only without a RETH": [lambda rig: rig.request(Opcode.RC_WRITE_ONLY, payload=bytes(8))],
    "SEND with immediate without it": [lambda rig: rig.request(Opcode.RC_SEND_ONLY_IMM)],
    "READ request with data behind it": [lambda rig: rig.request(Opcode.RC_READ_REQUEST, reth(rig), payload=bytes(4))],
    "READ of more than 2^31 bytes": [lambda rig: rig.request(Opcode.RC_READ_REQUEST, reth(rig, length=(1 << 31) + 1))],
    "atomic without its header": [lambda rig: rig.request(Opcode.RC_COMPARE_SWAP, reth(rig))],
    "atomic at an address that is no multiple of 8": [lambda rig: rig.request(Opcode.RC_FETCH_ADD, atomic(rig, 4))],
}


@each_way
@pytest.mark.parametrize("name", [*SEQUENCES, *LENGTHS])
def test_wrong_sequences_and_lengths_are_invalid_requests(name: str, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    rig.end.recv(1, 0, 4 * MTU)
    rig.end.recv(2, 0, 4 * MTU)
    packets = (SEQUENCES | LENGTHS)[name]
    for packet in packets[:-1]:
        packet(rig)
    rig.received()
    packets[-1](rig)
    expect_refusal(rig, INVALID, HERE + len(packets) - 1)
    # What the message had taken ends in error; what it had not taken is flushed.
    statuses = dict(rig.completed())
    assert statuses[2] == "WR_FLUSH_ERR"
    assert statuses[1] in ("REM_INV_REQ_ERR", "WR_FLUSH_ERR")


OUTSIDE = {
    "a WRITE one byte before the region": lambda rig: rig.request(
        Opcode.RC_WRITE_ONLY, reth(rig, -1), payload=bytes(4)
    ),
    "a WRITE one byte past the region": lambda rig: rig.request(
        Opcode.RC_WRITE_ONLY, reth(rig, rig.end.mr.length - 3), payload=bytes(4)
    ),
    "a long WRITE that would end past the region": lambda rig: rig.request(
        Opcode.RC_WRITE_FIRST, reth(rig, rig.end.mr.length - 2 * MTU + 1, 2 * MTU), payload=FULL
    ),
    "a READ one byte before the region": lambda rig: rig.request(Opcode.RC_READ_REQUEST, reth(rig, -1)),
    "a READ one byte past the region": lambda rig: rig.request(
        Opcode.RC_READ_REQUEST, reth(rig, rig.end.mr.length - 3)
    ),
    "an atomic before the region": lambda rig: rig.request(Opcode.RC_FETCH_ADD, atomic(rig, -8)),
    "an atomic past the region": lambda rig: rig.request(Opcode.RC_FETCH_ADD, atomic(rig, rig.end.mr.length)),
    "an address that wraps": lambda rig: rig.request(
        Opcode.RC_WRITE_ONLY, Reth(va=(1 << 64) - 2, rkey=rig.end.mr.rkey, length=4), payload=bytes(4)
    ),
    "a key that nobody has": lambda rig: rig.request(
        Opcode.RC_WRITE_ONLY, reth(rig, rkey=rig.end.mr.rkey ^ 0x100), payload=bytes(4)
    ),
    "a key with another tag": lambda rig: rig.request(
        Opcode.RC_WRITE_ONLY, reth(rig, rkey=rig.end.mr.rkey ^ 1), payload=bytes(4)
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_ranges_and_keys_that_are_not_there_are_remote_access_errors(name: str) -> None:
    rig = HandRig()
    before = bytes(rig.end.memory)
    OUTSIDE[name](rig)
    expect_refusal(rig, ACCESS_ERROR)
    assert rig.end.memory == before


def test_the_first_and_the_last_byte_of_a_region_may_be_reached() -> None:
    rig = HandRig()
    last = rig.end.mr.length
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig), payload=b"abcd")
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, last - 4), payload=b"wxyz")
    rig.request(Opcode.RC_FETCH_ADD, atomic(rig, last - 8))
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, last - 4, 4))
    packets = rig.received()
    assert [packet.bth.opcode for packet in packets] == [
        Opcode.RC_ACKNOWLEDGE, Opcode.RC_ACKNOWLEDGE, Opcode.RC_ATOMIC_ACKNOWLEDGE, Opcode.RC_READ_RESPONSE_ONLY,
    ]  # fmt: skip
    assert (rig.end.memory[:4], packets[-1].payload) == (b"abcd", b"wxyz")


RIGHTS = {
    "WRITE": (
        Access.REMOTE_WRITE,
        lambda rig, key: rig.request(Opcode.RC_WRITE_ONLY, reth(rig, rkey=key), payload=bytes(4)),
    ),
    "READ": (Access.REMOTE_READ, lambda rig, key: rig.request(Opcode.RC_READ_REQUEST, reth(rig, rkey=key))),
    "atomic": (Access.REMOTE_ATOMIC, lambda rig, key: rig.request(Opcode.RC_FETCH_ADD, atomic(rig, rkey=key))),
}


@pytest.mark.parametrize("name", RIGHTS)
def test_a_right_that_the_queue_pair_lacks_is_an_invalid_request(name: str) -> None:
    right, request = RIGHTS[name]
    rig = HandRig(access=FULL_ACCESS & ~right)
    request(rig, None)
    expect_refusal(rig, INVALID)


@pytest.mark.parametrize("name", RIGHTS)
def test_a_right_that_the_region_lacks_is_a_remote_access_error(name: str) -> None:
    right, request = RIGHTS[name]
    rig = HandRig()
    address = rig.end.mr.address
    rig.end.mr.dereg()
    rig.end.mr = rig.end.pd.reg_mr(rig.end.memory, FULL_ACCESS & ~right)
    assert rig.end.mr.address != address
    request(rig, None)
    expect_refusal(rig, ACCESS_ERROR)


def test_without_rd_atomic_resources_reads_and_atomics_are_invalid_requests() -> None:
    for name in ("READ", "atomic"):
        rig = HandRig(max_dest_rd_atomic=0)
        RIGHTS[name][1](rig, None)
        expect_refusal(rig, INVALID)


@pytest.mark.parametrize("name", RIGHTS)
def test_a_region_of_another_protection_domain_is_out_of_reach(name: str) -> None:
    rig = HandRig()
    rig.end.mr = rig.end.device.alloc_pd().reg_mr(bytearray(64), FULL_ACCESS)
    RIGHTS[name][1](rig, None)
    expect_refusal(rig, ACCESS_ERROR)


@pytest.mark.parametrize("name", RIGHTS)
def test_a_deregistered_key_is_never_valid_again(name: str) -> None:
    rig = HandRig()
    old = rig.end.mr.rkey
    rig.end.mr.dereg()
    rig.end.mr = rig.end.pd.reg_mr(rig.end.memory, FULL_ACCESS)
    assert rig.end.mr.rkey != old
    RIGHTS[name][1](rig, old)
    expect_refusal(rig, ACCESS_ERROR)


@each_way
def test_a_region_that_goes_away_inside_a_write_is_a_remote_access_error(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=4 * MTU), payload=FULL, ack=False)
    rig.end.mr.dereg()
    rig.request(Opcode.RC_WRITE_MIDDLE, payload=FULL)
    expect_refusal(rig, ACCESS_ERROR, HERE + 1)


def test_nothing_needs_no_key() -> None:
    rig = HandRig()
    nothing = Reth(va=0xDEAD, rkey=0xBEEF, length=0)
    rig.request(Opcode.RC_WRITE_ONLY, nothing)
    rig.request(Opcode.RC_READ_REQUEST, nothing)
    packets = rig.received()
    assert [packet.bth.opcode for packet in packets] == [Opcode.RC_ACKNOWLEDGE, Opcode.RC_READ_RESPONSE_ONLY]
    assert packets[1].payload == b""
    assert rig.end.qp.state is QpState.RTS


def test_a_message_longer_than_its_receive_is_refused_and_ends_it_with_loc_len_err() -> None:
    rig = HandRig()
    rig.end.recv(1, 0, 7)
    rig.end.recv(2, 0, 64)
    rig.request(Opcode.RC_SEND_ONLY, payload=bytes(8))
    expect_refusal(rig, INVALID)
    assert rig.completed() == [(1, "LOC_LEN_ERR"), (2, "WR_FLUSH_ERR")]


def test_a_message_that_outgrows_its_receive_later_is_refused_too() -> None:
    rig = HandRig()
    rig.end.recv(1, 0, 2 * MTU)
    rig.request(Opcode.RC_SEND_FIRST, payload=FULL)
    rig.request(Opcode.RC_SEND_MIDDLE, payload=FULL)
    rig.received()
    rig.request(Opcode.RC_SEND_LAST, payload=b"x")
    expect_refusal(rig, INVALID, HERE + 2)
    assert rig.completed() == [(1, "LOC_LEN_ERR")]


@pytest.mark.parametrize("spoil", ["key", "range", "right", "domain"])
def test_a_receive_into_memory_that_is_not_there_is_a_remote_operational_error(spoil: str) -> None:
    rig = HandRig()
    mr, pd = rig.end.mr, rig.end.pd
    if spoil == "right":
        mr = pd.reg_mr(bytes(64), 0)
    elif spoil == "domain":
        mr = rig.end.device.alloc_pd().reg_mr(bytearray(64), FULL_ACCESS)
    sge = Sge(mr.address + (mr.length - 3 if spoil == "range" else 0), 4, mr.lkey ^ (spoil == "key"))
    rig.end.qp.post_recv(RecvWr(1, [sge]))
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd")
    expect_refusal(rig, OPERATIONAL)
    assert rig.completed() == [(1, "LOC_PROT_ERR")]


def test_without_a_receive_the_answer_is_rnr_and_the_queue_pair_lives() -> None:
    rig = HandRig(min_rnr_timer=11)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd")
    assert rig.answers() == [(RNR_NAK | 11, HERE)]
    # What follows was sent before the RNR NAK arrived: no word of it.
    rig.request(Opcode.RC_SEND_ONLY, payload=b"efgh")
    assert rig.answers() == []
    rig.end.recv(1, 0, 64)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"abcd", psn=HERE)
    assert rig.answers() == [(ACK, HERE)]
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.device.counters.send_rnr_err == 1


def test_a_write_with_immediate_asks_for_its_receive_at_its_last_packet() -> None:
    rig = HandRig()
    rig.request(Opcode.RC_WRITE_FIRST, reth(rig, length=MTU + 4), payload=b"w" * MTU)
    rig.request(Opcode.RC_WRITE_LAST_IMM, ImmDt(imm=b"1234"), payload=b"tail")
    assert rig.answers() == [(ACK, HERE), (RNR_NAK | 1, HERE + 1)]
    rig.end.recv(1)
    rig.request(Opcode.RC_WRITE_LAST_IMM, ImmDt(imm=b"1234"), payload=b"tail", psn=HERE + 1)
    assert rig.answers() == [(ACK, HERE + 1)]
    (wc,) = rig.end.cq.poll()
    assert (wc.wr_id, wc.status.name, wc.opcode.name) == (1, "SUCCESS", "RECV_RDMA_WITH_IMM")
    assert (wc.byte_len, wc.imm_data, wc.flags) == (MTU + 4, b"1234", 2)
    assert rig.end.memory[: MTU + 4] == b"w" * MTU + b"tail"


def test_a_send_with_invalidate_names_the_key() -> None:
    rig = HandRig()
    rig.end.recv(1, 0, 64)
    key = rig.end.lend_key()
    rig.request(Opcode.RC_SEND_ONLY_INV, Ieth(rkey=key), payload=b"abcd")
    (wc,) = rig.end.cq.poll()
    assert (wc.flags, wc.invalidated_rkey) == (8, key)
    assert rig.end.qp.state is QpState.RTS


def test_after_a_refusal_the_queue_pair_is_deaf_and_its_receives_are_flushed_in_order() -> None:
    rig = HandRig()
    for number in range(5):
        rig.end.recv(number)
    rig.request(0x15)
    expect_refusal(rig, INVALID)
    rig.request(Opcode.RC_SEND_ONLY)
    assert rig.received() == []
    assert rig.completed() == [(number, "WR_FLUSH_ERR") for number in range(5)]
    assert rig.end.device.counters.rcvd_qpn_err == 1


def test_what_a_receive_ended_with_is_forgotten_by_a_reset() -> None:
    rig = HandRig()
    rig.end.recv(1, 0, 1)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"xy")
    assert rig.completed() == [(1, "LOC_LEN_ERR")]
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    rig.connect(FULL_ACCESS, {})
    rig.end.recv(2, 0, 2 * MTU)
    rig.request(Opcode.RC_SEND_FIRST, payload=FULL, psn=HERE)
    rig.request(Opcode.RC_SEND_FIRST, payload=FULL, psn=HERE + 1)
    assert rig.completed() == [(2, "REM_INV_REQ_ERR")]
