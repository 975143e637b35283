"""The pump without an event loop: order, budgets, what is kept and what waits."""

from __future__ import annotations

import pytest

from tests.transports.cores import ScriptedCore
from transports.clock import RealClock, VirtualClock
from transports.datagram import Transmit
from transports.errors import TransportError
from transports.pump import Pump
from transports.simulation import Impairments, Network, SimulatedTransport, Simulation
from transports.udp import UdpTransport

NEAR, FAR = ("10.0.0.1", 1), ("10.0.0.2", 1)


class CountingService:
    def __init__(self, log: list[str], work: int = 1) -> None:
        self.work = work
        self.log = log

    def pump(self, now: int) -> bool:
        self.log.append("service")
        self.work -= 1
        return self.work >= 0


class AlarmService:
    def __init__(self) -> None:
        self.due: int | None = None

    def pump(self, now: int) -> bool:
        return False

    def poll_deadline(self) -> int | None:
        return self.due


class PumpRig:
    """A pump on one end of a simulated wire, the bare other end, and the clock in hand."""

    def __init__(self, *, receive_budget: int = 16, send_budget: int = 32, merges: bool = True) -> None:
        self.simulation = Simulation(0)
        self.network = Network(self.simulation, Impairments(delay_ns=0), merges=merges)
        self.near: SimulatedTransport = self.network.open(NEAR)
        self.far: SimulatedTransport = self.network.open(FAR)
        self.core = ScriptedCore()
        self.services: list[CountingService | AlarmService] = []
        self.budgets = receive_budget, send_budget

    def pump(self) -> Pump:
        receive_budget, send_budget = self.budgets
        return Pump(
            self.core,
            self.near,
            self.simulation.clock,
            self.services,
            receive_budget=receive_budget,
            send_budget=send_budget,
        )

    def arrived(self) -> list[bytes]:
        while self.simulation.step():
            pass
        arrived = []
        while (burst := self.far.receive()) is not None:
            step = burst.segment_bytes
            arrived += [bytes(burst.view[start : start + step]) for start in range(0, len(burst.view), step)]
        return arrived


def test_a_pass_with_nothing_to_do_says_so() -> None:
    pump = PumpRig().pump()
    assert not pump.pump()
    assert not pump.has_more
    assert pump.deadline_ns is None


def test_a_pass_takes_input_then_timeouts_then_services_then_sends() -> None:
    rig = PumpRig()
    rig.services = [CountingService(rig.core.log)]
    rig.core.echoes = True
    rig.core.deadline = 0
    pump = rig.pump()
    other = ScriptedCore()
    other.post(b"x", to=NEAR)
    Pump(other, rig.far, rig.simulation.clock).pump()
    assert rig.simulation.step()
    assert pump.pump()
    assert rig.core.log == ["burst", "timeout", "service", "sent"]


def test_a_burst_is_stamped_with_its_arrival_where_the_transport_left_it_out() -> None:
    rig = PumpRig()
    rig.simulation.clock.move_to(77)
    other = ScriptedCore()
    other.post(b"x", to=NEAR)
    Pump(other, rig.far, rig.simulation.clock).pump()
    rig.simulation.step()
    rig.pump().pump()
    assert rig.core.bursts == [(1, 77, 77)]


def test_a_full_transport_keeps_the_transmit_and_polls_no_further() -> None:
    rig = PumpRig()
    first = rig.core.post(b"first", to=FAR)
    rig.core.post(b"second", to=FAR)
    pump = rig.pump()
    rig.near.is_full = True
    for _ in range(3):
        pump.pump()
    assert pump.is_blocked
    assert rig.core.sent_transmits == []
    assert len(rig.core.queue) == 1
    rig.near.is_full = False
    assert pump.pump()
    assert rig.arrived() == [b"first", b"second"]
    assert rig.core.sent_transmits[0] is first
    assert not pump.is_blocked


def test_input_is_taken_while_output_is_blocked() -> None:
    rig = PumpRig()
    rig.core.post(b"stuck", to=FAR)
    rig.near.is_full = True
    pump = rig.pump()
    pump.pump()
    rig.core.deadline = 0
    assert pump.pump()
    assert rig.core.timeouts == [0]


def test_a_departure_time_delays_one_transmit_and_not_the_others() -> None:
    rig = PumpRig()
    rig.core.post(b"late", to=FAR, not_before_ns=500)
    rig.core.post(b"later", to=FAR, not_before_ns=900)
    rig.core.post(b"also late", to=FAR, not_before_ns=500)
    rig.core.post(b"now", to=FAR)
    pump = rig.pump()
    pump.pump()
    assert rig.arrived() == [b"now"]
    assert pump.deadline_ns == 500
    rig.simulation.clock.move_to(500)
    pump.pump()
    assert rig.arrived() == [b"late", b"also late"]
    assert pump.deadline_ns == 900
    rig.simulation.clock.move_to(900)
    pump.pump()
    assert rig.arrived() == [b"later"]
    assert len(rig.core.sent_transmits) == 4


def test_a_core_that_dates_everything_forward_does_not_fill_the_memory() -> None:
    rig = PumpRig()
    for _ in range(1000):
        rig.core.post(b"x", to=FAR, not_before_ns=10)
    pump = rig.pump()
    for _ in range(100):
        pump.pump()
    assert len(rig.core.queue) > 500
    rig.simulation.clock.move_to(10)
    while pump.pump():
        pass
    assert len(rig.arrived()) == 1000


def test_the_deadline_is_the_earliest_of_core_departures_and_services() -> None:
    rig = PumpRig()
    alarm = AlarmService()
    rig.services = [alarm]
    rig.core.post(b"x", to=FAR, not_before_ns=300)
    pump = rig.pump()
    pump.pump()
    assert pump.deadline_ns == 300
    rig.core.deadline = 200
    assert pump.deadline_ns == 200
    alarm.due = 100
    assert pump.deadline_ns == 100


def test_a_timeout_is_not_handled_before_it_is_due() -> None:
    rig = PumpRig()
    rig.core.deadline = 10
    pump = rig.pump()
    rig.simulation.clock.move_to(9)
    assert not pump.pump()
    rig.simulation.clock.move_to(10)
    assert pump.pump()
    assert rig.core.timeouts == [10]


def test_a_pass_stops_at_its_receive_budget_and_says_that_there_is_more() -> None:
    rig = PumpRig(receive_budget=2, merges=False)
    other = ScriptedCore()
    for number in range(5):
        other.post(bytes([number]), to=NEAR)
    Pump(other, rig.far, rig.simulation.clock).pump()
    while rig.simulation.step():
        pass
    pump = rig.pump()
    seen = []
    while pump.pump():
        seen.append((len(rig.core.received), pump.has_more))
    assert seen == [(2, True), (4, True), (5, False)]


def test_a_pass_stops_at_its_send_budget_and_says_that_there_is_more() -> None:
    rig = PumpRig(send_budget=3)
    for number in range(4):
        rig.core.post(bytes([number]), to=FAR)
    pump = rig.pump()
    assert pump.pump()
    assert (len(rig.core.sent_transmits), pump.has_more) == (3, True)
    assert pump.pump()
    assert (len(rig.core.sent_transmits), pump.has_more) == (4, False)


def test_pumping_from_within_a_pass_does_nothing() -> None:
    rig = PumpRig()
    outcomes: list[bool] = []

    class Nested:
        def pump(self, now: int) -> bool:
            outcomes.append(pump.pump())
            return False

    rig.core.post(b"x", to=FAR)
    pump = Pump(rig.core, rig.near, rig.simulation.clock, [Nested()])
    assert pump.pump()
    assert outcomes == [False]


def test_a_core_that_raises_leaves_the_pump_usable() -> None:
    rig = PumpRig()

    class Broken(ScriptedCore):
        def handle_timeout(self, now: int) -> None:
            self.deadline = None
            raise RuntimeError("a bug")

    core = Broken()
    core.deadline = 0
    core.post(b"x", to=FAR)
    pump = Pump(core, rig.near, rig.simulation.clock)
    with pytest.raises(RuntimeError, match="a bug"):
        pump.pump()
    assert pump.pump()
    assert rig.arrived() == [b"x"]


def test_a_program_without_event_loop_waits_for_the_socket_and_for_the_deadline() -> None:
    near, far = UdpTransport("127.0.0.83", 0), UdpTransport("127.0.0.84", 0)
    core, clock = ScriptedCore(), RealClock()
    pump = Pump(core, far, clock)
    sender = ScriptedCore()
    sender.post(b"x", to=far.address)
    Pump(sender, near, clock).pump()
    pump.wait(5_000_000_000)
    pump.pump()
    assert core.received == [b"x"]
    core.deadline = clock.now() + 1_000_000
    pump.wait(5_000_000_000)
    pump.pump()
    assert len(core.timeouts) == 1
    near.close()
    far.close()


def test_waiting_beside_another_pump_ends_when_either_has_something_to_do() -> None:
    clock = RealClock()
    near, far = UdpTransport("127.0.0.87", 0), UdpTransport("127.0.0.88", 0)
    idle, busy = Pump(ScriptedCore(), near, clock), Pump(ScriptedCore(), far, clock)
    assert near.send(Transmit([b"hello"], 0, None, far.address))
    started = clock.now()
    idle.wait(60_000_000_000, beside=[busy])
    assert clock.now() - started < 55_000_000_000
    near.close()
    far.close()


def test_waiting_on_a_transport_without_descriptor_says_what_to_use() -> None:
    with pytest.raises(TransportError, match=r"Driver\.run"):
        PumpRig().pump().wait(0)


def test_a_virtual_clock_does_not_go_back() -> None:
    clock = VirtualClock(5)
    clock.advance(3)
    assert clock.now() == 8
    with pytest.raises(ValueError, match="does not go back"):
        clock.move_to(7)
