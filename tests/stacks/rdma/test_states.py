"""What the states of a queue pair change: before RTS, while it is drained, after a reset (IBTA 10.3.1)."""

from __future__ import annotations

import pytest

from stacks.rdma import AsyncEventType, Qp, QpAttributes, QpState
from tests.stacks.rdma.hand import ACK, FIRST_PSN, NAK, RNR_NAK, HandRig, posted, psns, reth
from transports.datagram import Burst
from wire.roce import Opcode

HERE = FIRST_PSN


def test_a_first_packet_in_rtr_is_told_once() -> None:
    rig = HandRig()
    told: list[Qp] = []
    end = rig.end
    end.qp.modify(QpAttributes(state=QpState.RESET))
    end.qp.on_established = told.append
    rig.connect(15, {})
    assert told == []
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 0))
    assert told == []
    end.qp.modify(QpAttributes(state=QpState.RESET))
    modify = QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=15)
    end.qp.modify(modify)
    connected = HandRig()
    rtr = {name: value for name, value in connected.end.qp.attributes.items() if name in RTR_NAMES}
    end.qp.modify(QpAttributes(state=QpState.RTR, **rtr))  # type: ignore[arg-type]
    for number in range(2):
        rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 0), psn=HERE + number)
    assert told == [end.qp]
    assert [syndrome for syndrome, _ in rig.answers()] == [ACK, ACK, ACK]


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_send_as_first_packet_in_rtr_is_received_and_told_once(count: int, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    qp, device = rig.end.qp, rig.end.device
    told: list[Qp] = []
    rtr = {name: value for name, value in qp.attributes.items() if name in RTR_NAMES}
    qp.modify(QpAttributes(state=QpState.RESET))
    qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=15))
    qp.modify(QpAttributes(state=QpState.RTR, **rtr))  # type: ignore[arg-type]
    qp.on_established = told.append
    packets = []
    for number in range(count):
        rig.end.recv(number, number * 4, 4)
        body = rig.packet(Opcode.RC_SEND_ONLY, payload=b"ping", psn=HERE + number)[:-4]
        packets.append(body + rig.flow.icrc(body + bytes(4), number).to_bytes(4, "little"))
    burst = Burst(memoryview(b"".join(packets)), len(packets[0]), rig.peer.address, device.address)
    device.handle_burst(burst, rig.simulation.now)
    rig.end.host.wake()
    assert told == [qp]
    assert qp.state is QpState.RTR
    assert rig.completed() == [(number, "SUCCESS") for number in range(count)]
    assert rig.end.memory[: 4 * count] == b"ping" * count
    assert rig.answers() == [(ACK, HERE + count - 1 & 0xFFFFFF)]


RTR_NAMES = ("av", "path_mtu", "dest_qpn", "rq_psn", "max_dest_rd_atomic", "min_rnr_timer")


def test_sends_are_held_while_the_queue_is_drained_and_leave_with_rts() -> None:
    rig = HandRig()
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    assert posted(rig, 2) == []
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    assert rig.answers() == [(ACK, HERE)]
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    assert psns(rig.received()) == [0, 1]


def test_what_was_sent_before_draining_still_completes() -> None:
    rig = HandRig()
    posted(rig, 1)
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    rig.acknowledge(HERE)
    assert rig.completed() == [(1, "SUCCESS")]


def test_a_reset_forgets_everything_and_the_queue_pair_can_be_used_again() -> None:
    rig = HandRig(timeout=8)
    posted(rig, 3)
    rig.end.recv(9)
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    rig.wait(10**9)
    assert rig.completed() == []
    assert rig.received() == []
    assert rig.end.device.poll_deadline() is None
    rig.connect(15, {})
    assert psns(posted(rig, 1)) == [0]
    rig.acknowledge(HERE)
    rig.request(Opcode.RC_SEND_ONLY)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.answers() == [(RNR_NAK | 1, HERE)]


def test_no_event_is_raised_for_what_a_requester_ends_with() -> None:
    rig = HandRig()
    posted(rig, 1)
    rig.acknowledge(HERE, NAK | 2)
    assert rig.end.device.poll_async_event() is None
    assert AsyncEventType(1) is AsyncEventType.QP_FATAL
