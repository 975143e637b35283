"""Any messages in any order, from a peer that knows the IDs: nothing raises, and what is kept stays bounded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.rdma.cm import CmConfig, ConnectionManager
from stacks.rdma.cm.sidr import MOST_REMEMBERED
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig
from wire.ibcm import CM_MESSAGES, CmReq, CmSidrReq, RdmaPortSpace, build_mad, service_id

UDP = service_id(9, RdmaPortSpace.UDP)
MESSAGES = st.tuples(
    st.sampled_from(sorted(CM_MESSAGES)),
    st.sampled_from(["ours", "other", "zero"]),
    st.sampled_from(["ours", "other", "zero"]),
    st.integers(0, 40),
    st.integers(0, 3),
    st.binary(min_size=8, max_size=8),
)
MOST_CONNECTIONS = 4


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(is_active=st.booleans(), messages=st.lists(MESSAGES, max_size=25))
def test_no_sequence_of_messages_raises_or_grows(
    is_active: bool, messages: list[tuple[int, str, str, int, int, bytes]]
) -> None:
    rig = Rig(config=CmConfig(takes_alternate_paths=True, max_retries=2))
    active, passive = rig.connected()
    manager, peer = (rig.active, PASSIVE) if is_active else (rig.passive, ACTIVE)
    manager.listen(0xABCD, backlog=2)
    manager.sidr.listen(UDP, backlog=2)
    mine, theirs = (active, passive) if is_active else (passive, active)
    named = {"ours": mine.local_comm_id, "other": 77, "zero": 0}
    senders = {"ours": theirs.local_comm_id, "other": 78, "zero": 0}
    qpns = [0, 77, mine.own.qpn if mine.own else 0, theirs.own.qpn if theirs.own else 0]
    now = rig.now
    for attribute, local, remote, number, qpn, noise in messages:
        message = CM_MESSAGES[attribute]()
        values = {
            "local_comm_id": senders[local], "remote_comm_id": named[remote], "reason": number, "path_mtu": number % 8,
            "local_qpn": qpns[qpn], "remote_qpn": qpns[qpn], "request_id": number, "message_mraed": number % 4,
            "service_id": (0xABCD, UDP, SERVICE)[number % 3], "status": number, "ap_status": number % 3,
            "remote_gid": noise * 2, "transport_type": number % 4,
        }  # fmt: skip
        for name, value in values.items():
            if hasattr(message, name):
                setattr(message, name, value)
        manager.handle_mad(peer, memoryview(build_mad(message, number)), now)
        while manager.poll_mad(now) is not None:
            pass
        now += 150 * MS
        manager.handle_timeout(now)
    assert len(manager) <= MOST_CONNECTIONS
    assert len(manager.sidr) <= MOST_CONNECTIONS


def test_a_flood_of_requests_fills_the_backlog_and_no_more() -> None:
    manager = ConnectionManager(PASSIVE, rng=random.Random(1))
    manager.listen(0xABCD, backlog=8)
    manager.sidr.listen(UDP, backlog=8)
    for number in range(1, 5000):
        for request in (
            CmReq(local_comm_id=number, service_id=0xABCD, local_qpn=number, path_mtu=3),
            CmSidrReq(request_id=number, service_id=UDP, private_data=b"\0\x40" + bytes(214)),
        ):
            manager.handle_mad(ACTIVE, memoryview(build_mad(request, number)), 0)
    assert (len(manager), len(manager.sidr)) == (8, 8)
    assert len(manager.outbox) <= MOST_REMEMBERED
    assert manager.counters.cm_overflow > 0


@pytest.mark.parametrize("seed", range(5))
def test_connections_paths_and_datagrams_over_a_bad_network_all_settle(seed: int) -> None:
    config = CmConfig(takes_alternate_paths=True, max_retries=9)
    rig = Rig(seed, loss=0.15, duplication=0.15, jitter_ns=120 * MS, config=config)
    rig.passive.sidr.listen(UDP, on_event=lambda event: rig.passive.sidr.accept(event.resolution, qpn=5, qkey=6))
    found = [rig.active.sidr.resolve(PASSIVE, UDP) for _ in range(5)]
    connections = [rig.connect() for _ in range(5)]
    rig.run(9000 * MS)
    for connection in connections:
        rig.active.paths.load(connection, "192.0.2.20")
    for _ in range(200):
        rig.run(50 * MS)
        while (event := rig.passive.paths.poll_event()) is not None:
            rig.passive.paths.accept(event.connection)
    assert [each.qpn for each in found] == [5] * 5
    assert [each.alternate_address for each in connections] == ["192.0.2.20"] * 5
    for connection in connections:
        rig.active.disconnect(connection)
    rig.finish()
    assert len(rig.active) == len(rig.passive) == len(rig.passive.sidr) == 0
