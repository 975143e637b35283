"""How events find their connection, and what a person reads about its end."""

from __future__ import annotations

import random
from collections import deque

import pytest

from stacks.rdma.cm import CmEvent, CmEventType, Connection, RdmaCm
from stacks.rdma.cm.ids import CmId, CmIds
from stacks.rdma.device import Device
from stacks.rdma.endpoint import EndpointBase
from wire.ibcm import RejectReason, service_id

PORT = 7000
HOST = "192.0.2.2"


class ScriptedCm(RdmaCm):
    """A connection manager that reports what a test wants."""

    def __init__(self) -> None:
        super().__init__("192.0.2.1", rng=random.Random(1))
        self.script: deque[CmEvent] = deque()
        self.rejected: list[tuple[Connection, int]] = []

    def poll_event(self) -> CmEvent | None:
        return self.script.popleft() if self.script else None

    def reject(
        self,
        connection: Connection,
        *,
        reason: int = RejectReason.CONSUMER,
        private_data: bytes = b"",
        ari: bytes = b"",
    ) -> None:
        self.rejected.append((connection, reason))


def connected(cm: ScriptedCm) -> tuple[CmIds, CmId]:
    ids = CmIds(cm)
    cm_id = ids.connect(HOST, PORT, qp=EndpointBase(Device("192.0.2.1", rng=random.Random(2))).create_qp())
    return ids, cm_id


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        (CmEventType.UNREACHABLE, RejectReason.TIMEOUT, "no device answers at 192.0.2.2"),
        (CmEventType.CONNECT_ERROR, RejectReason.CONSUMER, "the queue pair does not take what 192.0.2.2 agreed to"),
        (CmEventType.REJECTED, 8, "nobody listens on port 7000 of the device at 192.0.2.2"),
        (CmEventType.REJECTED, 26, "the device at 192.0.2.2 refused port 7000: invalid mtu (reject reason 26)"),
        (CmEventType.REJECTED, 999, "the device at 192.0.2.2 refused port 7000: unknown (reject reason 999)"),
        (CmEventType.DISCONNECTED, 10, "the connection to 192.0.2.2 is over: stale connection (reject reason 10)"),
        (CmEventType.DISCONNECTED, 0, "the connection to 192.0.2.2 was ended"),
    ],
)
def test_every_end_is_one_line_with_its_cause(kind: CmEventType, status: int, text: str) -> None:
    cm = ScriptedCm()
    ids, cm_id = connected(cm)
    cm.script.append(CmEvent(kind, cm_id.connection, status))
    assert ids.pump(0)
    assert str(cm_id.failure) == text
    assert cm_id.failure is not None
    assert cm_id.failure.reason == status
    assert not len(ids)


def test_what_is_heard_of_a_connection_that_was_given_up_is_ignored() -> None:
    cm = ScriptedCm()
    ids, cm_id = connected(cm)
    ids.disconnect(cm_id)
    for kind in (CmEventType.DISCONNECTED, CmEventType.TIMEWAIT_EXIT):
        cm.script.append(CmEvent(kind, cm_id.connection))
    assert ids.pump(0)
    assert not ids.pump(0)
    assert str(cm_id.failure) == "the connection to 192.0.2.2 was given up"


def test_a_request_that_comes_as_its_listener_leaves_is_refused() -> None:
    cm = ScriptedCm()
    ids = CmIds(cm)
    ids.stop_listening(listener := ids.listen(PORT))
    late = Connection(local_comm_id=1, remote_address=HOST, service_id=service_id(PORT), is_passive=True)
    cm.script.append(CmEvent(CmEventType.CONNECT_REQUEST, late))
    ids.pump(0)
    assert cm.rejected == [(late, RejectReason.INVALID_SERVICE_ID)]
    assert not listener.requests


def test_a_connection_shows_who_and_how_far() -> None:
    _, cm_id = connected(ScriptedCm())
    assert repr(cm_id) == "<CmId 192.0.2.2 port 7000 REQ_SENT>"
