"""Service ID resolution: who serves datagrams, and who says that nobody does (IBTA 12.11)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stacks.rdma.cm import (
    RDMA_UDP_QKEY,
    TIMED_OUT,
    CmConfig,
    CmEventType,
    Resolution,
    ResolutionEvent,
    ResolutionState,
)
from stacks.rdma.cm.resolution import RESOLUTION_TABLE
from stacks.rdma.cm.sidr import MOST_REMEMBERED
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig, first
from wire.ibcm import CmSidrRep, CmSidrReq, RdmaPortSpace, SidrStatus, build_mad, parse_mad, service_id

UDP = service_id(7174, RdmaPortSpace.UDP)


class SidrRig(Rig):
    """Both managers, and a service on the passive one that says yes until told otherwise."""

    def __init__(self, seed: int = 1, *, serves: bool = True, **network: object) -> None:
        super().__init__(seed, **network)  # type: ignore[arg-type]
        self.serves = serves
        self.asked: list[ResolutionEvent] = []
        self.told: list[ResolutionEvent] = []
        self.passive.sidr.listen(UDP, on_event=self.take_request)

    def take_request(self, event: ResolutionEvent) -> None:
        self.asked.append(event)
        if self.serves:
            self.passive.sidr.accept(event.resolution, qpn=77, qkey=RDMA_UDP_QKEY, private_data=b"here")

    def resolve(self, service: int = UDP, private_data: bytes = b"") -> Resolution:
        resolution = self.active.sidr.resolve(PASSIVE, service, private_data=private_data, source_port=40000)
        resolution.on_event = self.told.append
        return resolution


def test_the_table_is_as_reviewed() -> None:
    drawn = RESOLUTION_TABLE.render() + "\n" + RESOLUTION_TABLE.to_mermaid()
    assert drawn == Path(__file__).with_name("states_resolution.txt").read_text()


def test_two_messages_find_a_datagram_service() -> None:
    rig = SidrRig()
    resolution = rig.resolve(private_data=b"who")
    rig.run(5 * MS)
    assert rig.log == ["SIDRREQ", "SIDRREP"]
    (asked,), (told,) = rig.asked, rig.told
    assert (asked.kind, asked.private_data) == (CmEventType.CONNECT_REQUEST, b"who".ljust(180, b"\0"))
    assert (asked.resolution.remote_address, asked.resolution.source_port) == (ACTIVE, 40000)
    assert (told.kind, told.status, told.private_data) == (CmEventType.ESTABLISHED, 0, b"here".ljust(136, b"\0"))
    assert (resolution.qpn, resolution.qkey, resolution.status) == (77, RDMA_UDP_QKEY, SidrStatus.VALID)
    assert resolution.state is ResolutionState.CLOSED


def test_events_without_a_taker_wait_to_be_polled() -> None:
    rig = SidrRig()
    rig.active.sidr.resolve(PASSIVE, UDP)
    rig.run(5 * MS)
    event = rig.active.sidr.poll_event()
    assert event is not None
    assert event.kind is CmEventType.ESTABLISHED
    assert rig.active.sidr.poll_event() is None


@pytest.mark.parametrize("status", [SidrStatus.REJECT, SidrStatus.NO_QP, SidrStatus.REDIRECT])
def test_an_owner_refuses_with_each_status(status: SidrStatus) -> None:
    """IBTA 12.11.2.2."""
    rig = SidrRig(serves=False)
    resolution = rig.resolve()
    rig.run(2 * MS)
    rig.passive.sidr.reject(rig.asked[0].resolution, status=status, private_data=b"no", info=b"there")
    rig.run(5 * MS)
    assert [(event.kind, event.status) for event in rig.told] == [(CmEventType.UNREACHABLE, status)]
    assert rig.told[0].private_data.startswith(b"no")
    assert (resolution.qpn, resolution.status) == (0, status)


@pytest.mark.parametrize("service", [service_id(1, RdmaPortSpace.UDP), SERVICE, 0xABCD])
def test_a_service_that_nobody_serves_is_unsupported(service: int) -> None:
    rig = SidrRig()
    rig.resolve(service)
    rig.run(5 * MS)
    assert [event.status for event in rig.told] == [SidrStatus.UNSUPPORTED]


def test_an_unknown_version_of_the_rdma_cm_header_is_answered_as_such() -> None:
    rig = SidrRig()
    request = CmSidrReq(request_id=5, service_id=UDP, private_data=b"\x10" + bytes(215))
    rig.passive.handle_mad(ACTIVE, memoryview(build_mad(request, 1)), 0)
    item = rig.passive.poll_mad(0)
    assert item is not None
    _, answer = parse_mad(item[1])
    assert isinstance(answer, CmSidrRep)
    assert (answer.request_id, answer.status) == (5, SidrStatus.UNSUPPORTED_VERSION)


def test_a_full_backlog_refuses_and_empties_with_each_answer() -> None:
    rig = SidrRig()
    other = service_id(9, RdmaPortSpace.UDP)
    rig.passive.sidr.listen(other, backlog=1, on_event=rig.asked.append)
    rig.resolve(other)
    rig.resolve(other)
    rig.run(5 * MS)
    assert [event.status for event in rig.told] == [SidrStatus.REJECT]
    rig.passive.sidr.accept(rig.asked[0].resolution, qpn=7, qkey=1)
    rig.resolve(other)
    rig.run(5 * MS)
    assert len(rig.asked) == 2


@pytest.mark.parametrize("lost", [CmSidrReq, CmSidrRep])
def test_a_lost_message_is_made_up_for_without_asking_the_owner_twice(lost: type[CmSidrReq | CmSidrRep]) -> None:
    rig = SidrRig()
    rig.lose = first(lost)
    resolution = rig.resolve()
    rig.run(500 * MS)
    assert resolution.status == SidrStatus.VALID
    assert len(rig.asked) == 1


def test_copies_of_an_undecided_request_are_counted_and_dropped() -> None:
    rig = SidrRig(serves=False)
    rig.resolve()
    rig.run(150 * MS)
    assert rig.log == ["SIDRREQ", "SIDRREQ"]
    assert len(rig.asked) == 1
    assert rig.passive.counters.cm_duplicates == 1


def test_a_silent_peer_is_unreachable_after_all_retries() -> None:
    rig = SidrRig(config=CmConfig(max_retries=2))
    rig.lose = first(CmSidrReq, 100)
    rig.resolve()
    rig.finish()
    assert rig.log == ["SIDRREQ"] * 3
    assert [(event.kind, event.status) for event in rig.told] == [(CmEventType.UNREACHABLE, TIMED_OUT)]


def test_an_answer_is_forgotten_when_no_copy_can_come_any_more() -> None:
    rig = SidrRig()
    rig.resolve()
    rig.finish()
    assert len(rig.active.sidr) == len(rig.passive.sidr) == 0


def test_nothing_more_is_heard_of_what_was_cancelled() -> None:
    rig = SidrRig()
    resolution = rig.resolve()
    rig.active.sidr.cancel(resolution)
    rig.active.sidr.cancel(resolution)
    rig.finish()
    assert rig.told == []
    assert rig.active.counters.cm_unmatched == 1


def test_a_flood_of_requests_is_answered_within_bounds() -> None:
    rig = SidrRig()
    for number in range(1, 3 * MOST_REMEMBERED):
        request = CmSidrReq(request_id=number, service_id=UDP, private_data=bytes(1) + b"\x40" + bytes(214))
        rig.passive.handle_mad(ACTIVE, memoryview(build_mad(request, 1)), 0)
        rig.passive.poll_mad(0)
    assert len(rig.passive.sidr) == MOST_REMEMBERED


def test_an_answer_from_a_stranger_is_not_believed() -> None:
    rig = SidrRig()
    resolution = rig.resolve()
    forged = CmSidrRep(request_id=resolution.request_id, qpn=666, service_id=UDP)
    rig.active.handle_mad("192.0.2.66", memoryview(build_mad(forged, 1)), 0)
    rig.run(5 * MS)
    assert resolution.qpn == 77


def test_misuse_is_a_local_error_that_changes_nothing() -> None:
    rig = SidrRig(serves=False)
    with pytest.raises(LocalError, match="listened on already"):
        rig.passive.sidr.listen(UDP)
    with pytest.raises(LocalError, match="not listened on"):
        rig.passive.sidr.stop_listening(1)
    with pytest.raises(LocalError, match="one is IPv4"):
        rig.active.sidr.resolve("2001:db8::1", UDP)
    with pytest.raises(LocalError, match="181 bytes, but this message holds 180"):
        rig.resolve(private_data=bytes(181))
    resolution = rig.resolve()
    rig.run(2 * MS)
    asked = rig.asked[0].resolution
    with pytest.raises(LocalError, match="137 bytes"):
        rig.passive.sidr.accept(asked, qpn=7, qkey=1, private_data=bytes(137))
    with pytest.raises(LocalError, match="status is 1 to 255"):
        rig.passive.sidr.reject(asked, status=0)
    with pytest.raises(LocalError, match="ANSWER is not possible in state REQ_SENT"):
        rig.active.sidr.accept(resolution, qpn=7, qkey=1)
    rig.passive.sidr.accept(asked, qpn=7, qkey=1)
    with pytest.raises(LocalError, match="ANSWER is not possible in state REP_SENT"):
        rig.passive.sidr.reject(asked)
    assert repr(resolution) == f"<Resolution {resolution.request_id:#010x} to {PASSIVE} REQ_SENT>"
    rig.passive.sidr.stop_listening(UDP)


@pytest.mark.parametrize("seed", range(10))
def test_fifty_resolutions_over_a_bad_network_all_find_their_service(seed: int) -> None:
    rig = SidrRig(seed * 10, loss=0.2, duplication=0.2, jitter_ns=150 * MS)
    resolutions = [rig.resolve() for _ in range(50)]
    rig.finish()
    assert all(each.qpn == 77 for each in resolutions)
    assert len(rig.asked) == len(rig.told) == 50


def test_random_answers_and_requests_never_raise() -> None:
    rig = SidrRig()
    rng = random.Random(5)
    for kind in (CmSidrReq, CmSidrRep):
        resolution = rig.resolve()
        for _ in range(500):
            mad = bytearray(build_mad(kind(request_id=resolution.request_id, service_id=UDP), 1))
            mad[24 + int(rng.random() * 8) :] = rng.randbytes(256)
            rig.active.handle_mad(PASSIVE, memoryview(mad)[:256], 0)
            rig.passive.handle_mad(ACTIVE, memoryview(mad)[:256], 0)
            while rig.active.poll_mad(0) or rig.passive.poll_mad(0):
                pass
