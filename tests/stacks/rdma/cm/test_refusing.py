"""Connections that are not to be: who says no, with which reason, and requests that cannot be had."""

import random

import pytest

from stacks.rdma.cm import CmConfig, CmEvent, CmEventType, ConnectionManager
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig, first
from wire.ibcm import (
    CmRej,
    CmRep,
    CmReq,
    CmSidrRep,
    CmSidrReq,
    RejectReason,
    build_mad,
    parse_mad,
    service_id,
)


def test_a_service_that_nobody_listens_on_is_rejected_with_reason_8() -> None:
    rig = Rig()
    rig.active.connect(PASSIVE, service_id(4421), parameters=rig.parameters())
    rig.run(5 * MS)
    assert rig.log == ["REQ", "REJ"]
    assert rig.kinds(ACTIVE) == ["REJECTED"]
    assert rig.events[ACTIVE][0].status == RejectReason.INVALID_SERVICE_ID
    assert rig.kinds(PASSIVE) == []


def test_a_service_that_is_no_longer_listened_on_is_rejected() -> None:
    rig = Rig()
    rig.passive.stop_listening(SERVICE)
    rig.connect()
    rig.run(5 * MS)
    assert rig.events[ACTIVE][0].status == RejectReason.INVALID_SERVICE_ID
    with pytest.raises(LocalError, match="not listened on"):
        rig.passive.stop_listening(SERVICE)


def test_an_owner_rejects_with_private_data_as_nvme_does() -> None:
    rig = Rig()
    nvme_reject = bytes([0, 0, 7, 0])
    rig.owners[PASSIVE] = lambda event: rig.passive.reject(event.connection, private_data=nvme_reject)
    connection = rig.connect()
    rig.run(5 * MS)
    (event,) = rig.events[ACTIVE]
    assert event == CmEvent(CmEventType.REJECTED, connection, RejectReason.CONSUMER, nvme_reject.ljust(148, b"\0"))
    assert len(rig.active) == len(rig.passive) == 0


def test_a_lost_rejection_is_repeated_when_the_request_is() -> None:
    rig = Rig()
    rig.lose = first(CmRej)
    rig.owners[PASSIVE] = lambda event: rig.passive.reject(event.connection)
    rig.connect()
    rig.run(500 * MS)
    assert rig.kinds(ACTIVE) == ["REJECTED"]


def test_an_active_owner_may_reject_the_reply() -> None:
    rig = Rig()
    rig.owners[ACTIVE] = lambda event: (
        rig.active.reject(event.connection) if event.kind is CmEventType.CONNECT_RESPONSE else None
    )
    rig.connect()
    rig.finish()
    assert rig.kinds(ACTIVE) == ["CONNECT_RESPONSE", "TIMEWAIT_EXIT"]
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "REJECTED", "TIMEWAIT_EXIT"]


def test_a_full_backlog_is_rejected_with_reason_3_and_empties_with_each_answer() -> None:
    rig = Rig()
    rig.passive.listen(0xABCD, backlog=1)
    rig.owners[PASSIVE] = lambda event: None
    for _ in range(2):
        rig.active.connect(PASSIVE, 0xABCD, parameters=rig.parameters())
    rig.run(5 * MS)
    assert [event.status for event in rig.events[ACTIVE]] == [RejectReason.NO_RESOURCES]
    rig.passive.accept(rig.requested(), parameters=rig.parameters())
    rig.run(5 * MS)
    rig.active.connect(PASSIVE, 0xABCD, parameters=rig.parameters())
    rig.run(5 * MS)
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "ESTABLISHED", "CONNECT_REQUEST"]


def request(**fields: int) -> CmReq:
    defaults = {"local_comm_id": 9, "service_id": 0xABCD, "local_qpn": 3, "path_mtu": 3}
    return CmReq(**{**defaults, **fields})  # type: ignore[arg-type]


def answer_to(message: CmReq | CmRep | CmSidrReq) -> CmRej | CmSidrRep:
    passive = ConnectionManager(PASSIVE, rng=random.Random(1), config=CmConfig(max_path_mtu=2048))
    passive.listen(0xABCD)
    passive.listen(SERVICE)
    passive.handle_mad(ACTIVE, memoryview(build_mad(message, 1)), 0)
    item = passive.poll_mad(0)
    assert item is not None
    _, answer = parse_mad(item[1])
    assert isinstance(answer, CmRej | CmSidrRep)
    return answer


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"transport_type": 2}, RejectReason.INVALID_TRANSPORT_TYPE),
        ({"path_mtu": 0}, RejectReason.INVALID_MTU),
        ({"path_mtu": 5}, RejectReason.INVALID_MTU),
        ({"path_mtu": 6}, RejectReason.INVALID_MTU),
        ({"service_id": SERVICE}, RejectReason.UNSUPPORTED),
        ({"service_id": 1}, RejectReason.INVALID_SERVICE_ID),
    ],
)
def test_a_request_that_cannot_be_had_is_rejected_with_its_reason(fields: dict[str, int], reason: RejectReason) -> None:
    answer = answer_to(request(**fields))
    assert isinstance(answer, CmRej)
    assert (answer.reason, answer.remote_comm_id, answer.message_rejected) == (reason, 9, 0)


def test_a_reply_to_no_request_is_rejected_with_reason_6() -> None:
    answer = answer_to(CmRep(local_comm_id=5, remote_comm_id=6))
    assert isinstance(answer, CmRej)
    assert (answer.reason, answer.local_comm_id, answer.remote_comm_id) == (RejectReason.INVALID_COMM_ID, 6, 5)


def test_a_datagram_service_is_answered_as_unsupported() -> None:
    answer = answer_to(CmSidrReq(request_id=5, service_id=SERVICE))
    assert isinstance(answer, CmSidrRep)
    assert (answer.request_id, answer.status) == (5, 1)
