"""Alternate paths: proposed, loaded, refused, and lost on the way (IBTA 12.9.9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.rdma.cm import CmConfig, Connection, PathEvent, PathEventKind
from stacks.rdma.cm.path_states import LOAD_TABLE
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, Rig, first
from wire.ibcm import ApStatus, CmApr, CmLap, build_mad, gid_bytes

OTHER = "192.0.2.20"


def connected(**config: int) -> tuple[Rig, Connection, Connection]:
    rig = Rig(config=CmConfig(takes_alternate_paths=True, **config))  # type: ignore[arg-type]
    return rig, *rig.connected()


def told(rig: Rig, side: str) -> list[PathEvent]:
    paths = dict(rig.managers)[side].paths
    events = []
    while (event := paths.poll_event()) is not None:
        events.append(event)
    return events


def test_the_table_is_as_reviewed() -> None:
    drawn = LOAD_TABLE.render() + "\n" + LOAD_TABLE.to_mermaid()
    assert drawn == Path(__file__).with_name("states_path.txt").read_text()


def test_a_proposed_path_is_loaded_on_both_sides() -> None:
    rig, active, passive = connected()
    rig.active.paths.load(active, OTHER, private_data=b"why")
    rig.run(2 * MS)
    (request,) = told(rig, PASSIVE)
    assert (request.kind, request.alternate) == (PathEventKind.LOAD_REQUEST, OTHER)
    assert request.private_data == b"why".ljust(168, b"\0")
    rig.passive.paths.accept(passive, private_data=b"yes")
    rig.run(2 * MS)
    (answer,) = told(rig, ACTIVE)
    assert (answer.kind, answer.alternate, answer.status) == (PathEventKind.LOADED, OTHER, 0)
    assert answer.private_data == b"yes".ljust(148, b"\0")
    assert active.alternate_address == passive.alternate_address == OTHER
    assert rig.log == ["LAP", "APR"]
    assert rig.active.poll_deadline() is None


@pytest.mark.parametrize("status", [ApStatus.REJECTED, ApStatus.REJECTED_GID, ApStatus.REDIRECT])
def test_an_owner_refuses_a_path_with_its_reason(status: ApStatus) -> None:
    rig, active, passive = connected()
    rig.active.paths.load(active, OTHER)
    rig.run(2 * MS)
    rig.passive.paths.refuse(passive, status)
    rig.run(2 * MS)
    assert [(event.kind, event.status) for event in told(rig, ACTIVE)] == [(PathEventKind.REFUSED, status)]
    assert active.alternate_address == passive.alternate_address == ""


def test_without_an_owner_who_answers_paths_are_unsupported() -> None:
    rig = Rig()
    active, _ = rig.connected()
    rig.active.paths.load(active, OTHER)
    rig.run(5 * MS)
    assert [event.status for event in told(rig, ACTIVE)] == [ApStatus.UNSUPPORTED]


def test_the_path_that_is_there_already_is_refused() -> None:
    rig, active, _ = connected()
    rig.active.paths.load(active, PASSIVE)
    rig.run(5 * MS)
    assert [event.status for event in told(rig, ACTIVE)] == [ApStatus.IS_PRIMARY_PATH]


def test_a_wrong_queue_pair_or_connection_is_refused() -> None:
    rig, active, passive = connected()
    ids = {"local_comm_id": active.local_comm_id, "remote_comm_id": passive.local_comm_id}
    for changes, status in (({}, ApStatus.QPN_MISMATCH), ({"remote_comm_id": 5}, ApStatus.INVALID_COMM_ID)):
        lap = CmLap(**{**ids, **changes}, remote_qpn=1, remote_gid=gid_bytes(OTHER))  # type: ignore[arg-type]
        rig.passive.handle_mad(ACTIVE, memoryview(build_mad(lap, 7)), rig.now)
        item = rig.passive.poll_mad(rig.now)
        assert item is not None
        apr = CmApr.decode(item[1], 24)
        assert apr.ap_status == status
    assert told(rig, PASSIVE) == []


def test_a_lost_proposal_is_made_again() -> None:
    rig, active, passive = connected()
    rig.lose = first(CmLap)
    rig.active.paths.load(active, OTHER)
    rig.run(120 * MS)
    assert len(told(rig, PASSIVE)) == 1
    rig.passive.paths.accept(passive)
    rig.run(200 * MS)
    assert [event.kind for event in told(rig, ACTIVE)] == [PathEventKind.LOADED]


def test_a_lost_answer_is_repeated_as_it_was() -> None:
    rig, active, passive = connected()
    rig.lose = first(CmApr)
    rig.active.paths.load(active, OTHER)
    rig.run(2 * MS)
    rig.passive.paths.accept(passive)
    rig.run(300 * MS)
    assert rig.log == ["LAP", "APR", "LAP", "APR"]
    assert len(told(rig, PASSIVE)) == 1
    assert [event.kind for event in told(rig, ACTIVE)] == [PathEventKind.LOADED]


def test_an_owner_who_sleeps_over_a_proposal_has_the_peer_wait() -> None:
    rig, active, passive = connected()
    rig.active.paths.load(active, OTHER)
    rig.run(1000 * MS)
    assert rig.log == ["LAP", "LAP", "MRA"]
    rig.passive.paths.accept(passive)
    rig.run(10 * MS)
    assert [event.kind for event in told(rig, ACTIVE)] == [PathEventKind.LOADED]


def test_an_owner_may_ask_for_time_first() -> None:
    rig, active, passive = connected()
    rig.active.paths.load(active, OTHER)
    rig.run(2 * MS)
    rig.passive.paths.delay(passive)
    rig.run(1000 * MS)
    assert rig.log == ["LAP", "MRA"]


def test_a_silent_peer_leaves_the_connection_as_it_was() -> None:
    rig, active, _ = connected(max_retries=2)
    rig.lose = first(CmLap, 100)
    rig.active.paths.load(active, OTHER)
    rig.finish()
    assert rig.log == ["LAP"] * 3
    assert [event.kind for event in told(rig, ACTIVE)] == [PathEventKind.TIMED_OUT]
    assert active.alternate_address == ""
    rig.lose = lambda _source, _message: False
    rig.active.paths.load(active, OTHER)


def test_a_connection_that_ends_forgets_its_proposal() -> None:
    rig, active, _ = connected()
    rig.active.paths.load(active, OTHER)
    rig.active.disconnect(active)
    rig.finish()
    assert told(rig, ACTIVE) == []
    assert len(rig.active) == 0


def test_misuse_is_a_local_error() -> None:
    rig, active, passive = connected()
    with pytest.raises(LocalError, match="by the active side"):
        rig.passive.paths.load(passive, OTHER)
    for call in (rig.passive.paths.accept, rig.passive.paths.refuse, rig.passive.paths.delay):
        with pytest.raises(LocalError, match="no alternate path was proposed"):
            call(passive)
    with pytest.raises(LocalError, match="169 bytes"):
        rig.active.paths.load(active, OTHER, private_data=bytes(169))
    rig.active.paths.load(active, OTHER)
    with pytest.raises(LocalError, match="LOAD is not possible in state LAP_SENT"):
        rig.active.paths.load(active, OTHER)
    rig.run(2 * MS)
    with pytest.raises(LocalError, match="status is 1 to 255"):
        rig.passive.paths.refuse(passive, 0)


def test_an_answer_to_nothing_is_counted() -> None:
    rig, active, passive = connected()
    apr = CmApr(local_comm_id=passive.local_comm_id, remote_comm_id=active.local_comm_id)
    rig.active.handle_mad(PASSIVE, memoryview(build_mad(apr, 7)), rig.now)
    assert rig.active.counters.cm_unmatched == 1
