"""The device around its queue pairs: turns, numbers, deadlines, what it refuses to take or to post."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import AsyncEventType, Device, QpAttributes, QpState, SendWr, WrOpcode
from stacks.rdma.completion import Cq, Wc
from stacks.rdma.enums import WcOpcode, WcStatus
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import FIRST_PSN, MTU, NAK, HandRig
from tests.stacks.rdma.rig import Rig
from wire.roce import Aeth, Opcode, Reth
from wire.seqnum import psn_add

HERE = FIRST_PSN


class Repeating(random.Random):
    """Draws the same numbers again before it goes on."""

    def __init__(self) -> None:
        super().__init__(1)
        self.draws = [0.5, 0.5, 0.25, 0.75]

    def random(self) -> float:
        return self.draws.pop(0) if len(self.draws) > 1 else self.draws[0]


def test_queue_pair_numbers_are_never_given_twice() -> None:
    rng = Repeating()
    device = Device("192.0.2.1", rng=rng)
    rng.draws = [0.5, 0.5, 0.25]
    cq = device.create_cq(1)
    first, second = (device.alloc_pd().create_qp(send_cq=cq, recv_cq=cq) for _ in range(2))
    assert first.number != second.number
    assert 1 < second.number < 0xFFFFFF


def test_queue_pairs_take_turns() -> None:
    rig = Rig(memory_bytes=1 << 20)
    left, right = rig.ends
    first = left.qp
    for end in rig.ends:
        end.qp = end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq)
    rig.connect()
    for qp in (first, left.qp):
        qp.post_send(
            SendWr(1, WrOpcode.RDMA_WRITE, [left.sge(0, 100_000)], remote_address=right.mr.address, rkey=right.mr.rkey)
        )
    order = []
    while (transmit := left.device.poll_transmit(0)) is not None:
        order.append(bytes(transmit.views[0][5:8]))
    assert len(order) >= 4
    assert order[0] != order[1]
    assert order[0] == order[2]


def test_the_next_deadline_is_the_earliest_of_queue_pairs_and_management() -> None:
    rig = HandRig(timeout=20)
    device = rig.end.device
    assert device.poll_deadline() is None
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.received()
    own = device.poll_deadline()
    assert own is not None
    rig.wait(own - rig.simulation.now)
    assert len(rig.received()) == 1


@pytest.mark.slow
def test_management_goes_to_many_peers() -> None:
    device = Device("192.0.2.1", rng=random.Random(1))
    pd, cq = device.alloc_pd(), device.create_cq(1)
    for number in range(1100):
        qp = pd.create_qp(send_cq=cq, recv_cq=cq)
        device.cm.connect(f"10.0.{number >> 8}.{number & 255}", 1, qp=qp)
        assert device.poll_transmit(0) is not None
    assert device.poll_deadline() is not None


WRONG = {
    "immediate data are 4 bytes, not 3": {"opcode": WrOpcode.SEND_WITH_IMM, "imm_data": b"abc"},
    "64 bits": {"opcode": WrOpcode.RDMA_WRITE, "remote_address": 1 << 64},
    "rkey and invalidate_rkey 32": {"opcode": WrOpcode.RDMA_READ, "rkey": 1 << 32},
    "none negative": {"opcode": WrOpcode.RDMA_READ, "remote_address": -1},
    "end beyond 64 bits": {"opcode": WrOpcode.RDMA_WRITE, "remote_address": (1 << 64) - 1},
    "invalidate_rkey 32, ": {"opcode": WrOpcode.SEND_WITH_INV, "invalidate_rkey": -1},
    "an atomic takes 8 bytes": {"opcode": WrOpcode.ATOMIC_FETCH_AND_ADD},
    "compare_add and swap take 64 bits": {"opcode": WrOpcode.ATOMIC_FETCH_AND_ADD, "compare_add": 1 << 64},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_request_that_no_packet_can_say_is_refused_when_it_is_posted(message: str) -> None:
    rig = HandRig()
    fields = dict(WRONG[message])
    opcode = fields.pop("opcode")
    assert isinstance(opcode, WrOpcode)
    with pytest.raises(LocalError, match=message):
        rig.end.send(1, opcode, 0, 4, **fields)
    rig.end.send(2, WrOpcode.SEND, 0, 4)
    assert [packet.bth.psn for packet in rig.received()] == [HERE]


def test_reads_that_were_not_negotiated_and_endless_messages_are_refused() -> None:
    rig = HandRig(max_qp_rd_atomic=0)
    with pytest.raises(LocalError, match="max_qp_rd_atomic is 0"):
        rig.end.send(1, WrOpcode.RDMA_READ, 0, 4)
    piece = rig.end.sge(0, 1 << 30)
    with pytest.raises(LocalError, match="a message of 3221225472 bytes"):
        rig.end.qp.post_send(SendWr(1, WrOpcode.SEND, [piece] * 3))


def test_a_region_that_goes_away_under_a_read_response_ends_the_queue_pair_where_it_stopped() -> None:
    """IBTA 9.7.5.2.4: a remote access error, under the PSN of the first response that there is no memory for."""
    rig = HandRig()
    transport = rig.end.host.transport
    transport.is_full = True
    mr = rig.end.mr
    rig.request(Opcode.RC_READ_REQUEST, Reth(va=mr.address, rkey=mr.rkey, length=200 * MTU))
    mr.dereg()
    transport.is_full = False
    rig.end.host.wake()
    *responses, last = rig.received()
    assert 0 < len(responses) < 200
    aeth = last.find(Aeth)
    assert aeth is not None
    assert (aeth.syndrome, last.bth.psn) == (NAK | 2, psn_add(HERE, len(responses)))
    assert rig.end.qp.state is QpState.ERR
    event = rig.end.device.poll_async_event()
    assert event is not None
    assert event.kind is AsyncEventType.QP_ACCESS_ERR


def test_a_response_before_rts_is_dropped() -> None:
    rig = HandRig()
    attributes = rig.end.qp.attributes
    names = ("av", "path_mtu", "dest_qpn", "rq_psn", "max_dest_rd_atomic", "min_rnr_timer")
    rtr = QpAttributes(state=QpState.RTR, **{name: attributes[name] for name in names})  # type: ignore[arg-type]
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    rig.end.qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=0))
    rig.end.qp.modify(rtr)
    rig.acknowledge(HERE)
    rig.acknowledge(HERE, NAK | 1)
    assert rig.end.qp.state is QpState.RTR
    assert rig.received() == []


def test_a_queue_of_nobody_breaks_quietly() -> None:
    cq = Cq(1)
    for number in range(3):
        cq.push(Wc(number, WcStatus.SUCCESS, WcOpcode.RECV, 0, 2))
    assert cq.is_broken
    assert [wc.wr_id for wc in cq.poll()] == [0]
