"""Each asynchronous event that a software device can raise, and why there are no others (IBTA 11.6.3).

Reached elsewhere: CQ_ERR (test_completions), QP_REQ_ERR, QP_ACCESS_ERR (test_refusals), COMM_EST, SQ_DRAINED
(test_draining), SRQ_ERR, SRQ_LIMIT_REACHED, QP_LAST_WQE_REACHED (test_srq).
"""

from __future__ import annotations

import errno

import pytest

from stacks.rdma import AsyncEventType, PortState, QpState, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import HandRig
from tests.stacks.rdma.rig import End, Rig
from wire.roce import Opcode

NEVER = {
    AsyncEventType.PATH_MIG: "no path migration: there is one port",
    AsyncEventType.PATH_MIG_ERR: "no path migration: there is one port",
    AsyncEventType.LID_CHANGE: "no LIDs on Ethernet",
    AsyncEventType.PKEY_CHANGE: "the P_Key table is fixed, as on Linux rxe",
    AsyncEventType.SM_CHANGE: "no subnet manager on Ethernet",
    AsyncEventType.CLIENT_REREGISTER: "no subnet manager on Ethernet",
    AsyncEventType.WQ_FATAL: "no work queues apart from queue pairs",
    AsyncEventType.DEVICE_SPEED_CHANGE: "no speed of its own",
}


def events(end: End) -> list[AsyncEventType]:
    """The kinds of those so far."""
    kinds = []
    while (event := end.device.poll_async_event()) is not None:
        kinds.append(event.kind)
    return kinds


def test_the_numbers_are_those_of_the_verbs_interface() -> None:
    assert [int(kind) for kind in AsyncEventType] == list(range(21))
    assert len(NEVER) == 8


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
def test_an_unplugged_port_stops_packets_and_keeps_queue_pairs(shortcuts: bool) -> None:
    """PORT_ERR, PORT_ACTIVE (IBTA 11.6.3.3)."""
    rig = Rig(shortcuts=shortcuts)
    left, right = rig.ends
    right.recv(1, 0, 8)
    right.device.set_port_state(active=False)
    right.device.set_port_state(active=False)
    assert right.device.query_port().state is PortState.DOWN
    left.send(1, WrOpcode.SEND, 0, 8)
    right.send(2, WrOpcode.RDMA_WRITE, 0, 8, remote_address=left.mr.address, rkey=left.mr.rkey)
    rig.run(5_000_000)
    assert (left.completions, right.completions) == ([], [])
    assert (left.device.counters.rcvd_pkts, right.device.counters.rcvd_pkts) == (0, 0)
    assert (left.qp.state, right.qp.state) == (QpState.RTS, QpState.RTS)
    right.device.set_port_state(active=True)
    right.host.wake()
    rig.run()
    assert events(right) == [AsyncEventType.PORT_ERR, AsyncEventType.PORT_ACTIVE]
    assert right.device.counters.link_downed == 1
    assert [wc.status.name for wc in left.completions] == ["SUCCESS"]
    assert {wc.wr_id for wc in right.completions} == {1, 2}


def test_a_port_that_stays_unplugged_costs_the_peer_its_retries() -> None:
    rig = Rig(timeout=5, retry_cnt=2)
    rig.right.device.set_port_state(active=False)
    rig.left.send(1, WrOpcode.SEND, 0, 8)
    rig.run()
    assert [wc.status.name for wc in rig.left.completions] == ["RETRY_EXC_ERR"]
    assert rig.right.qp.state is QpState.RTS


def test_a_changed_gid_is_told_once() -> None:
    """GID_CHANGE."""
    end = Rig().left
    for address in ("192.0.2.9", "192.0.2.9", None):
        end.device.set_gid(3, address)
    assert events(end) == [AsyncEventType.GID_CHANGE] * 2


def test_a_failed_device_flushes_everything_and_makes_nothing_more() -> None:
    """DEVICE_FATAL (IBTA 11.6.3.3)."""
    rig = Rig()
    left, right = rig.ends
    right.recv(1)
    right.device.fail()
    right.device.fail()
    right.device.set_port_state(active=False)
    left.send(1, WrOpcode.SEND, 0, 8)
    rig.run(5_000_000)
    assert events(right) == [AsyncEventType.DEVICE_FATAL]
    assert [(wc.wr_id, wc.status.name) for wc in right.completions] == [(1, "WR_FLUSH_ERR")]
    assert right.device.counters.rcvd_pkts == 0
    for make in (right.device.alloc_pd, lambda: right.pd.reg_mr(bytearray(8)), lambda: right.device.create_cq(1)):
        with pytest.raises(LocalError, match="the device has failed") as caught:
            make()
        assert caught.value.errno == errno.EIO


def test_a_queue_pair_that_can_no_longer_report_gets_qp_fatal() -> None:
    """QP_FATAL, local work queue catastrophic error (IBTA 11.6.3.2)."""
    rig = HandRig(cq_depth=1)
    for number in range(2):
        rig.end.recv(number)
        rig.request(Opcode.RC_SEND_ONLY)
    assert events(rig.end) == [AsyncEventType.CQ_ERR, AsyncEventType.QP_FATAL]
    assert rig.end.qp.state is QpState.ERR
