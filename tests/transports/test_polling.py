"""Busy polling: the short pass of the pump, and what it must not starve."""

from __future__ import annotations

from collections import deque

import pytest

from tests.transports.cores import ScriptedCore
from transports.clock import VirtualClock
from transports.datagram import Address, Burst, Transmit
from transports.pump import POLLS_PER_PASS, Pump

NEAR, FAR = ("10.0.0.1", 1), ("10.0.0.2", 1)


class DeskTransport:
    """Datagrams lie on the desk: `inbox` is received in order, None for a look that finds nothing; sends pile up."""

    def __init__(self, *inbox: bytes | None) -> None:
        self.inbox = deque(inbox)
        self.sent: list[bytes] = []
        self.looks = 0
        self.is_full = False

    @property
    def address(self) -> Address:
        return NEAR

    def send(self, transmit: Transmit) -> bool:
        if not self.is_full:
            self.sent.append(b"".join(transmit.views))
        return not self.is_full

    def receive(self) -> Burst | None:
        self.looks += 1
        content = self.inbox.popleft() if self.inbox else None
        return None if content is None else Burst(memoryview(content), len(content), FAR, NEAR)

    async def wait_readable(self) -> None: ...

    async def wait_writable(self) -> None: ...

    def close(self) -> None: ...


class LoggingService:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def pump(self, now: int) -> bool:
        self.log.append("service")
        return False


class Desk:
    """A pump of a scripted core over a transport whose every datagram is in the test's hand."""

    def __init__(self, *inbox: bytes | None, send_budget: int = 32) -> None:
        self.clock = VirtualClock(0)
        self.core = ScriptedCore()
        self.transport = DeskTransport(*inbox)
        services = [LoggingService(self.core.log)]
        self.pump = Pump(self.core, self.transport, self.clock, services, send_budget=send_budget)

    def poll_until_whole_pass(self) -> None:
        """Make every poll but the one that is a whole pass."""
        for _ in range(POLLS_PER_PASS - 1):
            self.pump.poll()
        assert "service" not in self.core.log


def test_a_poll_sends_what_is_queued_before_it_takes_a_burst() -> None:
    desk = Desk(b"in")
    desk.core.echoes = True
    desk.core.post(b"out", to=FAR)
    assert desk.pump.poll()
    assert desk.core.log == ["sent", "burst"]
    assert desk.transport.sent == [b"out"]
    # What the burst asked for leaves with the next pass, behind what is posted in between.
    desk.core.queue.appendleft(Transmit([b"answer"], 0, None, FAR))
    assert desk.pump.poll()
    assert desk.transport.sent == [b"out", b"answer", b"in"]


def test_a_poll_takes_one_burst() -> None:
    desk = Desk(b"1", b"2", b"3")
    for count in (1, 2, 3):
        assert desk.pump.poll()
        assert (len(desk.core.received), desk.pump.has_more) == (count, True)
    assert not desk.pump.poll()
    assert not desk.pump.has_more


def test_a_poll_stamps_the_burst_with_its_arrival() -> None:
    desk = Desk(b"x")
    desk.clock.move_to(77)
    desk.pump.poll()
    assert desk.core.bursts == [(1, 77, 77)]


@pytest.mark.parametrize("spins", [1, 2, 3, 10])
def test_a_poll_looks_as_often_as_it_is_told_and_not_after_it_found_something(spins: int) -> None:
    desk = Desk(None, None, b"late", b"later")
    assert desk.pump.poll(spins) is (spins >= 3)
    assert desk.transport.looks == min(spins, 3)
    assert desk.core.received == ([b"late"] if spins >= 3 else [])


def test_one_poll_of_sixteen_is_a_whole_pass_although_bursts_never_end() -> None:
    desk = Desk(*[b"x"] * 400)
    for _ in range(2):
        desk.core.deadline = 0
        desk.core.log.clear()
        desk.poll_until_whole_pass()
        assert desk.core.log == ["burst"] * (POLLS_PER_PASS - 1)
        desk.pump.poll()
        assert desk.core.log[-2:] == ["timeout", "service"]
        assert desk.core.deadline is None


def test_the_whole_pass_comes_although_nothing_arrives() -> None:
    desk = Desk()
    desk.core.deadline = 0
    desk.poll_until_whole_pass()
    assert desk.core.timeouts == []
    assert desk.pump.poll()
    assert desk.core.timeouts == [0]
    assert desk.core.log == ["timeout", "service"]


def test_the_whole_pass_sends_before_it_receives() -> None:
    desk = Desk(*[None] * (POLLS_PER_PASS - 1), b"in")
    desk.poll_until_whole_pass()
    desk.core.post(b"out", to=FAR)
    desk.pump.poll()
    assert desk.core.log == ["sent", "burst", "service"]


def test_there_is_more_while_the_send_budget_leaves_output_behind() -> None:
    desk = Desk(send_budget=3)
    for number in range(7):
        desk.core.post(bytes([number]), to=FAR)
    seen = []
    for _ in range(3):
        assert desk.pump.poll()
        seen.append((len(desk.transport.sent), desk.pump.has_more))
    assert seen == [(3, True), (6, True), (7, False)]


def test_there_is_more_while_output_is_left_behind_in_a_whole_pass() -> None:
    desk = Desk(send_budget=3)
    desk.poll_until_whole_pass()
    for number in range(4):
        desk.core.post(bytes([number]), to=FAR)
    assert desk.pump.poll()
    assert (len(desk.transport.sent), desk.pump.has_more) == (3, True)
    assert desk.pump.poll()
    assert (len(desk.transport.sent), desk.pump.has_more) == (4, False)


def test_there_is_more_after_a_whole_pass_that_took_a_burst_whose_answer_waits() -> None:
    desk = Desk(*[None] * (POLLS_PER_PASS - 1), b"in")
    desk.core.echoes = True
    desk.poll_until_whole_pass()
    assert not desk.pump.has_more
    assert desk.pump.poll()
    assert (desk.pump.has_more, desk.transport.sent) == (True, [])
    assert desk.pump.poll()
    assert (desk.pump.has_more, desk.transport.sent) == (False, [b"in"])


def test_there_is_no_more_after_a_whole_pass_that_did_nothing() -> None:
    desk = Desk(b"x")
    desk.poll_until_whole_pass()
    assert not desk.pump.poll()
    assert not desk.pump.has_more


def test_a_full_transport_keeps_the_transmit_and_bursts_are_taken_all_the_same() -> None:
    desk = Desk(b"1", b"2")
    desk.transport.is_full = True
    desk.core.post(b"first", to=FAR)
    desk.core.post(b"second", to=FAR)
    assert desk.pump.poll()
    assert desk.pump.poll()
    assert not desk.pump.poll()
    assert desk.pump.is_blocked
    assert (desk.core.received, desk.transport.sent, len(desk.core.queue)) == ([b"1", b"2"], [], 1)
    desk.transport.is_full = False
    assert desk.pump.poll()
    assert not desk.pump.is_blocked
    assert desk.transport.sent == [b"first", b"second"]
    assert len(desk.core.sent_transmits) == 2


def test_a_full_transport_starves_neither_timers_nor_services() -> None:
    desk = Desk()
    desk.transport.is_full = True
    desk.core.post(b"stuck", to=FAR)
    desk.core.deadline = 0
    for _ in range(POLLS_PER_PASS):
        desk.pump.poll()
    assert desk.core.log == ["timeout", "service"]


def test_polling_from_within_a_pass_does_nothing() -> None:
    class Nested(ScriptedCore):
        def handle_burst(self, burst: Burst, now: int) -> None:
            super().handle_burst(burst, now)
            outcomes.append(pump.poll())

    outcomes: list[bool] = []
    transport = DeskTransport(b"1", b"2")
    core = Nested()
    pump = Pump(core, transport, VirtualClock(0))
    assert pump.poll()
    assert (outcomes, core.received) == ([False], [b"1"])


def test_a_core_that_raises_in_a_poll_leaves_the_pump_usable() -> None:
    class Broken(ScriptedCore):
        def handle_burst(self, burst: Burst, now: int) -> None:
            raise RuntimeError("a bug")

    core = Broken()
    transport = DeskTransport(b"1")
    pump = Pump(core, transport, VirtualClock(0))
    with pytest.raises(RuntimeError, match="a bug"):
        pump.poll()
    core.post(b"x", to=FAR)
    assert pump.poll()
    assert transport.sent == [b"x"]
