"""The pump of connections without an event loop: who is read when, what is kept, what is told, and who is let go."""

from __future__ import annotations

import pytest

from tests.transports.stream_cores import MemoryNetwork, TalkingCore, TalkingEndpoint
from transports.clock import VirtualClock
from transports.errors import TransportError
from transports.memory_stream import MemoryStream
from transports.stream_pump import ACCEPTS_PER_PASS, READS_PER_PASS, StreamPump


class PumpRig:
    """A pump over a network in memory; the test is at the other end of each connection."""

    def __init__(self, *, capacity_bytes: int = 1 << 16, echoes: bool = False) -> None:
        self.clock = VirtualClock()
        self.network = MemoryNetwork(capacity_bytes=capacity_bytes)
        self.endpoint = TalkingEndpoint(echoes=echoes)
        self.pump = StreamPump(self.endpoint, self.network, self.clock)

    def connected(self) -> tuple[TalkingCore, MemoryStream]:
        """A connection that somebody made."""
        far = self.network.arrive()
        self.pump.pump()
        return self.endpoint.cores[-1], far

    def say(self, core: TalkingCore, *views: bytes) -> None:
        """Have a core say something."""
        core.say(*views)
        self.endpoint.active.append(core)
        self.pump.pump()


def heard(far: MemoryStream) -> bytes:
    view, found = memoryview(bytearray(1 << 20)), bytearray()
    while length := far.receive_into([view]):
        found += view[:length]
    return bytes(found)


def test_a_pass_with_nothing_to_do_does_nothing() -> None:
    rig = PumpRig()
    assert not rig.pump.pump()
    assert not rig.pump.has_more
    assert not rig.pump.is_blocked
    assert rig.pump.deadline_ns is None


def test_what_arrives_is_put_where_the_core_says_and_answered() -> None:
    rig = PumpRig(echoes=True)
    core, far = rig.connected()
    far.send([b"hello"])
    assert rig.pump.pump()
    assert core.heard == b"hello"
    assert heard(far) == b"hello"


def test_a_connection_is_read_so_often_in_a_pass_and_no_more() -> None:
    rig = PumpRig(capacity_bytes=1 << 20)
    core, far = rig.connected()
    core.room_bytes = 10
    far.send([bytes(100)])
    rig.pump.pump()
    assert core.pieces == [10] * READS_PER_PASS
    assert rig.pump.has_more
    while rig.pump.has_more:
        rig.pump.pump()
    rig.pump.pump()
    assert len(core.heard) == 100


def test_a_busy_connection_does_not_keep_another_waiting() -> None:
    rig = PumpRig(capacity_bytes=1 << 20)
    busy, busy_far = rig.connected()
    quiet, quiet_far = rig.connected()
    busy.room_bytes = 1
    busy_far.send([bytes(10_000)])
    quiet_far.send([b"me too"])
    rig.pump.pump()
    assert quiet.heard == b"me too"
    assert len(busy.heard) == READS_PER_PASS


def test_a_core_that_takes_no_more_is_not_watched_until_it_is_active() -> None:
    rig = PumpRig()
    core, far = rig.connected()
    core.room_bytes = 0
    far.send([b"later"])
    rig.pump.pump()
    assert list(rig.network.watched.values()) == [(False, False)]
    assert not rig.pump.pump()
    core.room_bytes = 100
    rig.pump.pump()
    assert core.heard == b""
    rig.endpoint.active.append(core)
    rig.pump.pump()
    assert list(rig.network.watched.values()) == [(True, False)]
    rig.pump.pump()
    assert core.heard == b"later"


def test_a_core_that_took_no_more_while_it_was_full_reads_on_when_it_is_not() -> None:
    rig = PumpRig(capacity_bytes=100)
    core, far = rig.connected()
    rig.say(core, bytes(150))
    core.room_bytes = 0
    far.send([b"word"])
    rig.pump.pump()
    assert list(rig.network.watched.values()) == [(False, True)]
    core.room_bytes = 100
    assert len(heard(far)) == 100
    rig.pump.pump()
    # It is looked at because of its output, and reads without being active.
    assert core.heard == b"word"
    assert list(rig.network.watched.values()) == [(True, False)]


def test_a_full_connection_is_left_alone_until_there_is_room() -> None:
    rig = PumpRig(capacity_bytes=100)
    core, far = rig.connected()
    rig.say(core, bytes(250))
    assert core.taken == [100, 0]
    assert list(rig.network.watched.values()) == [(True, True)]
    rig.say(core, b"more")
    assert core.taken == [100, 0]
    assert len(heard(far)) == 100
    rig.pump.pump()
    assert core.taken == [100, 0, 100, 0]
    assert len(heard(far)) == 100
    rig.pump.pump()
    assert heard(far) == bytes(50) + b"more"
    assert list(rig.network.watched.values()) == [(True, False)]


def test_a_core_is_told_that_nothing_was_taken_before_anything_else_happens() -> None:
    rig = PumpRig(capacity_bytes=10)
    core, _ = rig.connected()
    rig.say(core, bytes(10))
    assert core.taken == [10]
    rig.say(core, b"x")
    assert core.taken == [10, 0]


def test_a_finished_core_ends_its_direction_after_its_last_word() -> None:
    rig = PumpRig(capacity_bytes=4)
    core, far = rig.connected()
    core.is_finished = True
    rig.say(core, b"farewell")
    assert heard(far) == b"fare"
    rig.pump.pump()
    assert heard(far) == b"well"
    assert far.receive_into([memoryview(bytearray(1))]) == 0
    # The other direction goes on.
    far.send([b"and"])
    rig.pump.pump()
    assert core.heard == b"and"


def test_an_end_is_told_once_and_not_looked_for_again() -> None:
    rig = PumpRig()
    core, far = rig.connected()
    core.closes_at_end = False
    far.send([b"bye"])
    far.finish()
    rig.pump.pump()
    rig.pump.pump()
    assert core.heard == b"bye"
    assert core.ends == [""]
    assert list(rig.network.watched.values()) == [(False, False)]
    assert not rig.pump.pump()
    rig.say(core, b"still here")
    assert heard(far) == b"still here"


def test_a_lost_connection_is_told_with_its_cause() -> None:
    rig = PumpRig()
    core, far = rig.connected()
    near = next(iter(rig.network.watched))
    assert isinstance(near, MemoryStream)
    near.lose("Connection reset by peer")
    rig.pump.pump()
    assert core.ends == ["Connection reset by peer"]
    assert rig.pump.connection_count == 0
    far.close()


def test_a_core_that_is_over_is_closed_with_what_it_still_had_to_say() -> None:
    rig = PumpRig()
    core, far = rig.connected()
    core.is_over = True
    rig.endpoint.active.append(core)
    rig.pump.pump()
    assert rig.pump.connection_count == 0
    assert rig.network.watched == {}
    assert far.receive_into([memoryview(bytearray(1))]) == 0


def test_who_is_not_accepted_is_closed() -> None:
    rig = PumpRig()
    rig.endpoint.accepts = False
    far = rig.network.arrive()
    assert rig.pump.pump()
    assert far.receive_into([memoryview(bytearray(1))]) == 0
    assert rig.pump.connection_count == 0
    assert rig.endpoint.remotes == [("", 0)]


def test_a_pass_takes_so_many_new_connections_and_the_rest_in_the_next() -> None:
    rig = PumpRig()
    for _ in range(ACCEPTS_PER_PASS + 10):
        rig.network.arrive()
    rig.pump.pump()
    assert rig.pump.connection_count == ACCEPTS_PER_PASS
    assert rig.pump.has_more
    rig.pump.pump()
    assert rig.pump.connection_count == ACCEPTS_PER_PASS + 10
    assert not rig.pump.has_more


def test_exactly_as_many_as_a_pass_takes_are_no_reason_to_stop_short() -> None:
    rig = PumpRig()
    for _ in range(ACCEPTS_PER_PASS):
        rig.network.arrive()
    rig.pump.pump()
    assert rig.pump.connection_count == ACCEPTS_PER_PASS
    rig.pump.pump()
    assert not rig.pump.has_more


def test_a_connection_is_made_and_spoken_on_in_one_pass() -> None:
    rig = PumpRig()
    core = rig.endpoint.connect(("10.0.0.1", 1))
    core.say(b"first")
    rig.pump.pump()
    assert heard(rig.network.far[0]) == b"first"


def test_one_that_cannot_even_begin_to_connect_ends_alone() -> None:
    rig = PumpRig()
    rig.network.refuses = "cannot open a socket: too many open files"
    lost = [rig.endpoint.connect(("10.0.0.1", 1)) for _ in range(2)]
    rig.pump.pump()
    assert [core.ends for core in lost] == [["cannot open a socket: too many open files"]] * 2
    rig.network.refuses = ""
    core = rig.endpoint.connect(("10.0.0.1", 1))
    rig.pump.pump()
    assert core.ends == []
    assert rig.pump.connection_count == 1


def test_a_connection_made_elsewhere_can_be_brought_and_taken_away() -> None:
    rig = PumpRig(echoes=True)
    core, far = rig.connected()
    transport = rig.pump.detach(core)
    assert transport is not None
    assert rig.pump.detach(core) is None
    assert rig.network.watched == {}
    other = PumpRig()
    taken = TalkingCore()
    other.pump.attach(taken, transport)
    far.send([b"over there"])
    other.pump.pump()
    assert taken.heard == b"over there"


def test_deadlines_are_kept_and_told() -> None:
    rig = PumpRig()
    rig.endpoint.deadline = 500
    assert rig.pump.deadline_ns == 500
    rig.pump.pump()
    assert rig.endpoint.timeouts == []
    rig.clock.move_to(500)
    assert rig.pump.pump()
    assert rig.endpoint.timeouts == [500]


def test_services_are_pumped_after_the_input_and_before_the_output() -> None:
    log: list[str] = []

    class Service:
        def pump(self, now: int) -> bool:
            log.append(bytes(core.heard).decode())
            core.say(b"answer")
            rig.endpoint.active.append(core)
            return len(log) < 2

        def poll_deadline(self) -> int | None:
            return 77

    rig = PumpRig()
    rig.pump = StreamPump(rig.endpoint, rig.network, rig.clock, [Service()])
    core = TalkingCore()
    far = rig.network.arrive()
    rig.endpoint.handle_accepted = lambda local, remote, now: core  # type: ignore[method-assign]
    rig.pump.pump()
    assert rig.pump.has_more
    far.send([b"question"])
    rig.pump.pump()
    assert log == ["", "question"]
    assert heard(far) == b"answeranswer"
    assert not rig.pump.has_more
    assert rig.pump.deadline_ns == 77


def test_a_pass_within_a_pass_does_nothing_and_an_error_leaves_the_pump_usable() -> None:
    rig = PumpRig()
    core, far = rig.connected()
    nested: list[bool] = []

    def received(length: int, now: int) -> None:
        nested.append(rig.pump.pump())
        raise RuntimeError("a bug")

    original = core.handle_received
    core.handle_received = received  # type: ignore[method-assign]
    far.send([b"x"])
    with pytest.raises(RuntimeError, match="a bug"):
        rig.pump.pump()
    assert nested == [False]
    core.handle_received = original  # type: ignore[method-assign]
    far.send([b"y"])
    rig.pump.pump()
    assert core.heard == b"y"


def test_closing_closes_every_connection_without_a_word() -> None:
    rig = PumpRig()
    pairs = [rig.connected() for _ in range(3)]
    rig.pump.close()
    assert rig.network.watched == {}
    for core, far in pairs:
        assert core.ends == []
        assert far.receive_into([memoryview(bytearray(1))]) == 0


def test_a_network_that_nobody_can_wait_for_says_so() -> None:
    with pytest.raises(TransportError, match="MemoryNetwork has no file descriptor"):
        PumpRig().pump.wait(0)


def test_services_see_that_a_connection_was_closed() -> None:
    rig, seen = PumpRig(), []

    class Counting:
        def pump(self, now: int) -> bool:
            seen.append(pump.connection_count)
            return False

    pump = rig.pump = StreamPump(rig.endpoint, rig.network, rig.clock, [Counting()])
    core, _ = rig.connected()
    core.is_over = True
    rig.say(core)
    assert (pump.has_more, seen) == (True, [1, 1])
    rig.pump.pump()
    assert (pump.has_more, seen) == (False, [1, 1, 0])
