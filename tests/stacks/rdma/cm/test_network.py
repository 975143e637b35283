"""Both ends over networks that lose, duplicate and reorder: every order of events ends well."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stacks.rdma.cm import CmEvent, CmEventType, Connection, ConnectionManager, ConnectionParameters, ConnectionState
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig

ACTIVE_STORY = r"(CONNECT_RESPONSE )?(ESTABLISHED )?((REJECTED|UNREACHABLE|DISCONNECTED) )?(TIMEWAIT_EXIT )?"
PASSIVE_STORY = r"CONNECT_REQUEST (ESTABLISHED )?((REJECTED|UNREACHABLE|DISCONNECTED) )?(TIMEWAIT_EXIT )?"


def stories(events: list[CmEvent]) -> dict[Connection, str]:
    """What was told of each connection, in order."""
    told: dict[Connection, str] = {}
    for event in events:
        told[event.connection] = told.get(event.connection, "") + event.kind.name + " "
    return told


@pytest.mark.parametrize("seed", range(20))
def test_ten_connections_come_and_go_over_a_bad_network(seed: int) -> None:
    rig = Rig(seed * 10, loss=0.1, duplication=0.1, jitter_ns=150 * MS)
    connections = [rig.connect() for _ in range(10)]
    rig.run(8000 * MS)
    assert [connection.state for connection in connections] == [ConnectionState.ESTABLISHED] * 10
    for connection in connections:
        rig.active.disconnect(connection)
    rig.finish()
    assert len(rig.active) == len(rig.passive) == 0
    for story in stories(rig.events[ACTIVE]).values():
        assert story == "CONNECT_RESPONSE ESTABLISHED DISCONNECTED TIMEWAIT_EXIT "
    for story in stories(rig.events[PASSIVE]).values():
        assert re.fullmatch(PASSIVE_STORY, story)


def test_a_seed_replays_the_same_messages() -> None:
    def log(seed: int) -> list[str]:
        rig = Rig(seed, loss=0.2, duplication=0.2, jitter_ns=200 * MS)
        for _ in range(5):
            rig.connect()
        rig.finish()
        return rig.log

    assert log(5) == log(5)
    assert log(5) != log(6)


class CmModel(RuleBasedStateMachine):
    """Owners do what they may in any order, and the network delivers, repeats or loses whatever flies."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.managers = {
            ACTIVE: ConnectionManager(ACTIVE, rng=random.Random(1)),
            PASSIVE: ConnectionManager(PASSIVE, rng=random.Random(2)),
        }
        self.managers[PASSIVE].listen(SERVICE, backlog=2)
        self.flying: list[tuple[str, str, bytes]] = []
        self.events: dict[str, list[CmEvent]] = {ACTIVE: [], PASSIVE: []}
        self.connections: dict[str, list[Connection]] = {ACTIVE: [], PASSIVE: []}
        self.qpn = 1

    def parameters(self) -> ConnectionParameters:
        self.qpn += 1
        return ConnectionParameters(qpn=self.qpn)

    def settle(self) -> None:
        for address, manager in self.managers.items():
            while (event := manager.poll_event()) is not None:
                self.events[address].append(event)
                if event.connection not in self.connections[address]:
                    self.connections[address].append(event.connection)
            while (item := manager.poll_mad(self.now)) is not None:
                self.flying.append((address, *item))

    def deliver(self, index: int) -> None:
        source, destination, mad = self.flying[index % len(self.flying)]
        self.managers[destination].handle_mad(source, memoryview(mad), self.now)
        self.settle()

    def pick(self, side: str, index: int) -> Connection | None:
        connections = self.connections[side]
        return connections[index % len(connections)] if connections else None

    @precondition(lambda self: len(self.connections[ACTIVE]) < 4)
    @rule()
    def connect(self) -> None:
        connection = self.managers[ACTIVE].connect(PASSIVE, SERVICE, parameters=self.parameters())
        self.connections[ACTIVE].append(connection)
        self.settle()

    @precondition(lambda self: self.flying)
    @rule(index=st.integers(0, 20), is_kept=st.booleans())
    def deliver_one(self, index: int, is_kept: bool) -> None:
        self.deliver(index)
        if not is_kept:
            del self.flying[index % len(self.flying)]

    @precondition(lambda self: self.flying)
    @rule(index=st.integers(0, 20))
    def lose_one(self, index: int) -> None:
        del self.flying[index % len(self.flying)]

    @rule(
        side=st.sampled_from([ACTIVE, PASSIVE]),
        index=st.integers(0, 5),
        command=st.sampled_from(["accept", "establish", "reject", "delay", "disconnect"]),
    )
    def command(self, side: str, index: int, command: str) -> None:
        connection, manager = self.pick(side, index), self.managers[side]
        if connection is None:
            return
        before = connection.state
        try:
            match command:
                case "accept":
                    manager.accept(connection, parameters=self.parameters())
                case "establish":
                    manager.establish(connection)
                case "reject":
                    manager.reject(connection)
                case "delay":
                    manager.delay(connection)
                case _:
                    manager.disconnect(connection)
        except LocalError:
            assert connection.state is before
            assert command != "disconnect"
        self.settle()

    @rule(index=st.integers(0, 5))
    def first_packet(self, index: int) -> None:
        connection = self.pick(PASSIVE, index)
        if connection is not None and connection.own is not None:
            self.managers[PASSIVE].handle_communication_established(connection.own.qpn)
            self.settle()

    @rule(duration=st.sampled_from([1 * MS, 100 * MS, 1000 * MS]))
    def wait(self, duration: int) -> None:
        self.now += duration
        for manager in self.managers.values():
            manager.handle_timeout(self.now)
        self.settle()

    @invariant()
    def every_story_is_told_in_order(self) -> None:
        for story in stories(self.events[ACTIVE]).values():
            assert re.fullmatch(ACTIVE_STORY, story), story
        for story in stories(self.events[PASSIVE]).values():
            assert re.fullmatch(PASSIVE_STORY, story), story

    @invariant()
    def both_ends_of_an_established_connection_agree(self) -> None:
        ends = {connection.local_comm_id: connection for connection in self.connections[PASSIVE]}
        for active in self.connections[ACTIVE]:
            passive = ends.get(active.remote_comm_id)
            if active.state is ConnectionState.ESTABLISHED and passive is not None and passive.own is not None:
                assert active.settings.dest_qpn == passive.own.qpn
                assert active.settings.max_rd_atomic == passive.settings.max_dest_rd_atomic
                assert (active.settings.sq_psn, active.settings.rq_psn) == (
                    passive.settings.rq_psn,
                    passive.settings.sq_psn,
                )

    def teardown(self) -> None:
        for _ in range(200):
            for side, manager in self.managers.items():
                for connection in self.connections[side]:
                    manager.disconnect(connection)
            self.settle()
            while self.flying:
                self.deliver(0)
                del self.flying[0]
            self.now += 250 * MS
            for manager in self.managers.values():
                manager.handle_timeout(self.now)
            self.settle()
        assert [len(manager) for manager in self.managers.values()] == [0, 0]
        assert all(manager.poll_deadline() is None for manager in self.managers.values())
        kinds = {event.kind for events in self.events.values() for event in events}
        assert CmEventType.CONNECT_ERROR not in kinds


TestCmModel = pytest.mark.slow(CmModel.TestCase)
TestCmModel.settings = settings(max_examples=60, stateful_step_count=40)
