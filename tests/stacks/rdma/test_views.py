"""What a device shows from outside."""

from __future__ import annotations

import json

import pytest

from stacks.rdma import CongestionConfig, DeviceConfig, FaultPlan, QpState, QpType, WrOpcode, fault
from stacks.rdma.views import device_view, qp_view
from tests.stacks.rdma.rig import Rig, modify


def test_a_device_shows_its_port_and_its_queue_pairs() -> None:
    rig = Rig()
    rig.left.device.attach(FaultPlan((fault("drop", opcode="nak"),)))
    view = device_view(rig.left.device)
    assert (view["gid"], view["state"]) == (str(rig.left.device.query_gid(0)), "ACTIVE")
    assert view["qp_states"] == {"RTS": 1}
    assert (view["qps"], view["fault_rules"]) == (1, 1)


def test_a_queue_pair_shows_its_peer_its_psns_and_its_retries() -> None:
    rig = Rig()
    rig.left.send(1, WrOpcode.RDMA_WRITE, 0, 5000, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.run_until_completed(rig.left, 1)
    sender, receiver = qp_view(rig.left.qp), qp_view(rig.right.qp)
    psn = (rig.psn_of(rig.left) + 5) & 0xFFFFFF
    assert (sender["type"], sender["state"], sender["sq_psn"], receiver["rq_psn"]) == ("RC", "RTS", psn, psn)
    assert (sender["dest_qp"], receiver["dest_qp"]) == (rig.right.qp.number, rig.left.qp.number)
    assert (sender["in_flight"], sender["retries"], sender["rnr_retries"]) == (0, 0, 0)
    assert isinstance(sender["window"], int)
    json.dumps([sender, receiver])


def test_retries_count_since_the_last_progress() -> None:
    rig = Rig(timeout=10)
    rig.network.hook = lambda packet: ()
    rig.left.send(1, WrOpcode.RDMA_WRITE, 0, 10, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.simulation.run_until(lambda: qp_view(rig.left.qp)["retries"] == 2)
    assert qp_view(rig.left.qp)["in_flight"] == 1


def test_a_queue_pair_that_was_never_connected_is_shown_too() -> None:
    rig = Rig(connect=False)
    view = qp_view(rig.left.qp)
    assert (view["state"], view["peer"], view["dest_qp"], view["rate_bps"]) == ("RESET", "", None, None)


def test_an_unreliable_connection_shows_how_far_it_is_and_no_retries() -> None:
    rig = Rig(qp_type=QpType.UC)
    rig.right.recv(1, 0, 5000)
    rig.left.send(1, WrOpcode.SEND, 0, 5000)
    rig.run()
    sender, receiver = qp_view(rig.left.qp), qp_view(rig.right.qp)
    assert sender["sq_psn"] == receiver["rq_psn"] == (rig.psn_of(rig.left) + 5) & 0xFFFFFF
    assert (sender["queued"], sender["in_flight"], sender["retries"]) == (0, None, None)


def test_congestion_control_shows_its_rate() -> None:
    assert qp_view(Rig().left.qp)["rate_bps"] is None
    controlled = Rig(config=DeviceConfig(congestion=CongestionConfig(controller="dcqcn", line_rate_bps=10**9)))
    assert qp_view(controlled.left.qp)["rate_bps"] == 10**9


@pytest.mark.parametrize("qp_type", list(QpType))
@pytest.mark.parametrize("recovery", ["go-back-n", "selective"])
def test_a_queue_pair_of_every_type_shows_plain_values(qp_type: QpType, recovery: str) -> None:
    device = Rig(config=DeviceConfig(recovery=recovery)).left.device
    pd, cq = device.alloc_pd(), device.create_cq(8)
    xrcd = device.open_xrcd() if qp_type is QpType.XRC_RECV else None
    qp = pd.create_qp(qp_type=qp_type, send_cq=cq, recv_cq=cq, xrcd=xrcd)
    view = json.loads(json.dumps(qp_view(qp)))
    assert (view["number"], view["type"], view["state"]) == (qp.number, qp_type.name, "RESET")


def test_queue_pairs_are_counted_by_state() -> None:
    rig = Rig()
    device = rig.left.device
    cq = device.create_cq(8)
    device.alloc_pd().create_qp(send_cq=cq, recv_cq=cq)
    modify(rig.left.qp, QpState.ERR)
    assert device_view(device)["qp_states"] == {"ERR": 1, "RESET": 1}
