"""The driver under trio, with trio's own virtual clock: no test sleeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from tests.transports.cores import ScriptedCore
from transports.driver import Driver
from transports.impairments import Impairments
from transports.memory import MemoryNetwork, MemoryTransport, TrioClock

NEAR, FAR = ("10.0.0.1", 1), ("10.0.0.2", 1)


class CountingTransport:
    """A transport that counts how often it is asked."""

    def __init__(self, inner: MemoryTransport) -> None:
        self.inner = inner
        self.receives = 0
        self.address = inner.address
        self.send = inner.send
        self.wait_readable = inner.wait_readable
        self.wait_writable = inner.wait_writable
        self.close = inner.close

    def receive(self):  # type: ignore[no-untyped-def]
        self.receives += 1
        return self.inner.receive()


class DriverRig:
    def __init__(self, delay_ns: int = 0) -> None:
        self.clock = TrioClock()
        self.network = MemoryNetwork(0, Impairments(delay_ns=delay_ns))
        self.near, self.far = self.network.open(NEAR), self.network.open(FAR)
        self.counting = CountingTransport(self.near)
        self.core = ScriptedCore()
        self.driver = Driver(self.core, self.counting, self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.driver.run)
            await trio.testing.wait_all_tasks_blocked()
            yield
            nursery.cancel_scope.cancel()


def run(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_two_drivers_carry_a_request_and_its_echo() -> None:
    async def main() -> None:
        rig = DriverRig(delay_ns=1_000_000)
        other = Driver(ScriptedCore(echoes=True), rig.far, rig.clock)
        rig.core.post(bytes(3000), to=FAR, segment_bytes=1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            async with rig.running():
                await trio.sleep(0.0025)
            nursery.cancel_scope.cancel()
        assert rig.core.received == [bytes(1000)] * 3

    run(main)


def test_a_deadline_is_met_and_the_scope_survives_moving_it() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            start = rig.clock.now()
            for delay_ns in (5_000_000, 1_000_000, 2_000_000):
                rig.core.deadline = rig.clock.now() + delay_ns
                rig.driver.pump()
                await trio.sleep(delay_ns / 1e9 + 0.001)
            elapsed = [time_ns - start for time_ns in rig.core.timeouts]
        assert [round(time_ns / 1e6) for time_ns in elapsed] == [5, 7, 10]

    run(main)


def test_a_deadline_taken_back_does_not_fire_and_costs_at_most_one_pass() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            rig.core.deadline = rig.clock.now() + 1_000_000
            rig.driver.pump()
            rig.core.deadline = None
            rig.driver.pump()
            passes = rig.counting.receives
            await trio.sleep(1)
            assert rig.counting.receives <= passes + 1
        assert rig.core.timeouts == []

    run(main)


def test_a_deadline_put_off_again_and_again_fires_once_at_the_last() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            start = rig.clock.now()
            for _ in range(20):
                rig.core.deadline = rig.clock.now() + 5_000_000
                rig.driver.pump()
                await trio.sleep(0.001)
            await trio.sleep(1)
        assert [round((time_ns - start) / 1e6) for time_ns in rig.core.timeouts] == [24]

    run(main)


def test_what_is_posted_goes_out_after_wake_and_not_before() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            rig.core.post(b"x", to=FAR)
            await trio.testing.wait_all_tasks_blocked()
            assert rig.far.receive() is None
            rig.driver.wake()
            await trio.testing.wait_all_tasks_blocked()
            burst = rig.far.receive()
            assert burst is not None

    run(main)


def test_many_wakes_cost_one_pass() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            before = rig.counting.receives
            for _ in range(50):
                rig.driver.wake()
            await trio.testing.wait_all_tasks_blocked()
            assert rig.counting.receives == before + 1

    run(main)


def test_an_idle_driver_does_not_spin() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            before = rig.counting.receives
            await trio.sleep(3600)
            assert rig.counting.receives == before

    run(main)


def test_a_kept_transmit_leaves_when_the_transport_becomes_writable() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            rig.near.is_full = True
            rig.core.post(b"x", to=FAR)
            rig.driver.wake()
            await trio.testing.wait_all_tasks_blocked()
            before = rig.counting.receives
            await trio.sleep(60)
            assert rig.counting.receives == before
            assert rig.driver.is_blocked
            rig.near.is_full = False
            await trio.testing.wait_all_tasks_blocked()
            assert len(rig.core.sent_transmits) == 1
            assert rig.far.receive() is not None

    run(main)


def test_an_inline_pump_that_finds_the_transport_full_leaves_the_rest_to_the_tasks() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            rig.near.is_full = True
            rig.core.post(b"x", to=FAR)
            rig.driver.pump()
            assert rig.driver.is_blocked
            rig.near.is_full = False
            await trio.testing.wait_all_tasks_blocked()
            assert len(rig.core.sent_transmits) == 1

    run(main)


def test_input_is_handled_while_a_transmit_is_kept() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            rig.near.is_full = True
            rig.core.post(b"x", to=FAR)
            rig.driver.wake()
            await trio.testing.wait_all_tasks_blocked()
            sender = ScriptedCore()
            sender.post(b"in", to=NEAR)
            Driver(sender, rig.far, rig.clock).pump()
            await trio.testing.wait_all_tasks_blocked()
            assert rig.core.received == [b"in"]

    run(main)


def test_others_run_between_the_passes_of_a_core_that_never_ends() -> None:
    class Endless(ScriptedCore):
        def poll_transmit(self, now: int):  # type: ignore[no-untyped-def]
            self.post(b"x", to=("10.0.0.9", 1))
            return super().poll_transmit(now)

    async def main() -> None:
        rig = DriverRig()
        driver = Driver(Endless(), rig.near, rig.clock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            for _ in range(20):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    run(main)


def test_a_delayed_transmit_leaves_on_time() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            rig.core.post(b"x", to=FAR, not_before_ns=rig.clock.now() + 4_000_000)
            rig.driver.wake()
            await trio.sleep(0.0039)
            assert rig.core.sent_transmits == []
            await trio.sleep(0.0002)
            assert len(rig.core.sent_transmits) == 1

    run(main)


def test_a_driver_runs_again_after_it_was_cancelled() -> None:
    async def main() -> None:
        rig = DriverRig()
        async with rig.running():
            pass
        rig.core.post(b"x", to=FAR)
        async with rig.running():
            assert len(rig.core.sent_transmits) == 1

    run(main)
