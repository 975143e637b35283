"""Connections under trio: a driver on kernel sockets, and what turns it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.transports.stream_cores import TalkingEndpoint
from transports.clock import RealClock
from transports.driver import StreamDriver
from transports.stream_network import KernelStreams, tcp_listener
from transports.turning import Turner

MILLISECOND = 1_000_000


class Served:
    """An echoing endpoint behind a driver, on a loopback port."""

    def __init__(self) -> None:
        listening = tcp_listener("127.0.0.1", 0)
        self.address = listening.getsockname()
        self.network = KernelStreams()
        self.network.listen(listening)
        self.endpoint = TalkingEndpoint(echoes=True)
        self.driver = StreamDriver(self.endpoint, self.network, RealClock())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.driver.run)
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()
        self.driver.close()
        self.network.close()


async def become(condition: Callable[[], bool]) -> None:
    """Return when the condition holds, letting others have their turn."""
    while not condition():
        await trio.lowlevel.checkpoint()


def run(main: Callable[[Served], Awaitable[None]]) -> None:
    async def bounded() -> None:
        served = Served()
        with trio.fail_after(30):
            async with served.running():
                await main(served)

    trio.run(bounded)


def test_who_connects_is_answered() -> None:
    async def main(served: Served) -> None:
        stream = await trio.open_tcp_stream(*served.address)
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
        await stream.aclose()
        await become(lambda: not served.driver.connection_count)

    run(main)


def test_many_are_served_side_by_side() -> None:
    async def main(served: Served) -> None:
        async def talk(number: int) -> None:
            stream = await trio.open_tcp_stream(*served.address)
            word = bytes([number]) * 100_000
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, word)
                heard = bytearray()
                while len(heard) < len(word):
                    heard += await stream.receive_some()
                assert heard == word

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(talk, number)

    run(main)


def test_the_doorbell_brings_a_pass_and_a_pass_made_inline_is_noticed() -> None:
    async def main(served: Served) -> None:
        stream = await trio.open_tcp_stream(*served.address)
        await stream.send_all(b"x")
        assert await stream.receive_some() == b"x"
        [core] = served.endpoint.cores
        core.say(b"unasked")
        served.driver.wake()
        assert await stream.receive_some() == b"unasked"
        core.say(b"inline")
        assert served.driver.pump()
        assert await stream.receive_some() == b"inline"
        await stream.aclose()

    run(main)


def test_a_deadline_that_is_set_inline_is_kept() -> None:
    async def main(served: Served) -> None:
        await trio.testing.wait_all_tasks_blocked()
        served.endpoint.deadline = RealClock().now() + 5 * MILLISECOND
        served.driver.pump()
        await become(lambda: bool(served.endpoint.timeouts))
        assert len(served.endpoint.timeouts) == 1

    run(main)


def test_a_core_connects_out() -> None:
    async def main(served: Served) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            core = served.endpoint.connect(server.getsockname())
            core.say(b"from here")
            served.driver.wake()
            await trio.lowlevel.wait_readable(server)
            accepted, _ = server.accept()
            with accepted:
                accepted.setblocking(False)
                await trio.lowlevel.wait_readable(accepted)
                assert accepted.recv(100) == b"from here"

    run(main)


def test_what_a_core_raises_ends_the_driver() -> None:
    async def main() -> None:
        served = Served()

        def fail(*_: object) -> None:
            raise RuntimeError("a bug in a core")

        served.endpoint.handle_timeout = fail  # type: ignore[method-assign]
        served.endpoint.deadline = 0
        with trio.fail_after(30):
            await served.driver.run()

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="a bug in a core"), flatten_subgroups=True):
        trio.run(main)


class Turned:
    """A pump that counts its passes, for a turner under trio's virtual clock."""

    def __init__(self) -> None:
        self.passes: list[float] = []
        self.deadline_ns: int | None = None
        self.more = 0
        self.is_blocked = False
        self.readable = trio.lowlevel.ParkingLot()
        self.writable = trio.lowlevel.ParkingLot()
        self.turner = Turner(self, self.turn, self)

    @property
    def has_more(self) -> bool:
        return self.more > 0

    def now(self) -> int:
        return round(trio.current_time() * 1e9)

    def turn(self) -> None:
        self.passes.append(trio.current_time())
        self.more = max(0, self.more - 1)
        if self.deadline_ns is not None and self.deadline_ns <= self.now():
            self.deadline_ns = None

    async def wait_readable(self) -> None:
        await self.readable.park()

    async def wait_writable(self) -> None:
        await self.writable.park()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.turner.run)
            await trio.testing.wait_all_tasks_blocked()
            self.passes.clear()
            yield
            nursery.cancel_scope.cancel()


def turned(main: Callable[[Turned], Awaitable[None]]) -> None:
    async def body() -> None:
        pump = Turned()
        async with pump.running():
            await main(pump)
        assert not pump.turner.is_running

    trio.run(body, clock=trio.testing.MockClock(autojump_threshold=0))


def test_input_brings_a_pass() -> None:
    async def main(pump: Turned) -> None:
        for _ in range(3):
            pump.readable.unpark()
            await trio.testing.wait_all_tasks_blocked()
        assert len(pump.passes) == 3

    turned(main)


def test_many_calls_of_wake_cost_one_pass() -> None:
    async def main(pump: Turned) -> None:
        for _ in range(5):
            pump.turner.wake()
        await trio.testing.wait_all_tasks_blocked()
        assert len(pump.passes) == 1

    turned(main)


def test_passes_follow_each_other_while_there_is_more_and_others_get_their_turn() -> None:
    async def main(pump: Turned) -> None:
        pump.more = 5
        seen = []
        pump.readable.unpark()
        while pump.more:
            seen.append(len(pump.passes))
            await trio.lowlevel.checkpoint()
        assert len(pump.passes) == 5
        assert len(set(seen)) > 2

    turned(main)


def test_a_deadline_moves_forward_at_once_and_back_when_it_comes() -> None:
    async def main(pump: Turned) -> None:
        start = trio.current_time()
        pump.deadline_ns = pump.now() + 10 * 10**9
        pump.turner.passed()
        pump.deadline_ns = pump.now() + 2 * 10**9
        pump.turner.passed()
        await trio.sleep(3)
        assert [round(each - start) for each in pump.passes] == [2]
        await trio.sleep(20)
        # A deadline that was put off or taken back costs an idle pass at most.
        assert len(pump.passes) <= 2

    turned(main)


def test_output_that_is_kept_waits_for_room() -> None:
    async def main(pump: Turned) -> None:
        pump.is_blocked = True
        pump.turner.passed()
        await trio.testing.wait_all_tasks_blocked()
        assert pump.passes == []
        pump.is_blocked = False
        pump.writable.unpark()
        await trio.testing.wait_all_tasks_blocked()
        assert len(pump.passes) == 1

    turned(main)
