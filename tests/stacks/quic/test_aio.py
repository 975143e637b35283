"""The asynchronous face: over a network in memory on trio's mock clock, and once over real sockets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing

from stacks.quic.aio import (
    ConnectionLost,
    QuicConnection,
    QuicEndpoint,
    QuicStream,
    StreamAborted,
    connect,
    run_endpoint,
    serve,
)
from stacks.quic.configuration import Configuration
from stacks.quic.endpoint import Endpoint
from stacks.runtime import LocalError
from tests.stacks.quic.rig import CLIENT, SERVER, client_configuration, server_configuration
from transports.impairments import Impairments
from transports.memory import MemoryNetwork, TrioClock

Program = Callable[[QuicConnection, QuicConnection], Awaitable[None]]
DELAY_NS = 10_000_000


@asynccontextmanager
async def opened(
    network: MemoryNetwork, address: tuple[str, int], server: Configuration | None = None
) -> AsyncIterator[QuicEndpoint]:
    core = Endpoint(address, rng=random.Random(address[1]), server=server)
    async with run_endpoint(core, network.open(address), clock=TrioClock()) as endpoint:
        yield endpoint


def run(program: Program, impairments: Impairments | None = None, **changes: object) -> None:
    """Run `program` with both ends of a connection in a network in memory, in mock time."""

    async def main() -> None:
        network = MemoryNetwork(5, impairments or Impairments(delay_ns=DELAY_NS))
        configuration = server_configuration(**changes)
        async with opened(network, CLIENT) as near, opened(network, SERVER, configuration) as far:
            client = await near.connect(SERVER, client_configuration(**changes))
            await program(client, await far.accept())

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def receive_all(stream: QuicStream) -> bytes:
    return b"".join([data async for data in stream])


def test_both_ends_know_what_was_negotiated() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        await server.wait_connected()
        assert client.alpn == server.alpn == "test"
        assert not client.is_resumed
        assert not client.is_closed

    run(program)


def test_streams_of_both_kinds_and_ends_carry_data() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        for opener, other in ((client, server), (server, client)):
            for is_unidirectional in (False, True):
                stream = opener.open_stream(is_unidirectional=is_unidirectional)
                await stream.send_all(b"hello")
                await stream.send_eof()
                accepted = await other.accept_stream()
                assert accepted.stream_id == stream.stream_id
                assert await receive_all(accepted) == b"hello"
                if not is_unidirectional:
                    await accepted.send_all(b"back")
                    await accepted.aclose()
                    assert await receive_all(stream) == b"back"

    run(program)


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_much_data_crosses_in_both_directions_at_once(loss: float) -> None:
    data = random.Random(2).randbytes(1_500_000)

    async def program(client: QuicConnection, server: QuicConnection) -> None:
        async def send(stream: QuicStream) -> None:
            await stream.send_all(data)
            await stream.send_eof()

        async def check(stream: QuicStream) -> None:
            assert await receive_all(stream) == data

        async with trio.open_nursery() as nursery:
            near = client.open_stream()
            nursery.start_soon(send, near)
            far = await server.accept_stream()
            nursery.start_soon(send, far)
            nursery.start_soon(check, near)
            nursery.start_soon(check, far)

    run(program, Impairments(delay_ns=DELAY_NS, loss=loss))


def test_sending_waits_for_a_reader() -> None:
    """Bounded: what nobody reads holds the sender back."""

    async def program(client: QuicConnection, server: QuicConnection) -> None:
        stream = client.open_stream()
        with trio.move_on_after(20) as scope:
            await stream.send_all(bytes(4 << 20))
        assert scope.cancelled_caught
        assert client.core.streams.unsent_bytes(stream.stream_id) < 1 << 20
        accepted = await server.accept_stream()
        got = 0
        with trio.move_on_after(1):
            while data := await accepted.receive_some():
                got += len(data)
        assert got >= 64 << 10

    run(program, stream_window_bytes=64 << 10, connection_window_bytes=64 << 10)


def test_reset_and_stop_are_broken_resources_with_their_codes() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        stream = client.open_stream()
        await stream.send_all(b"12")
        accepted = await server.accept_stream()
        await accepted.send_all(b"34")
        assert await stream.receive_some() == b"34"
        accepted.reset(7)
        accepted.stop_sending(8)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.receive_some()
        assert isinstance(caught.value.__cause__, StreamAborted)
        assert caught.value.__cause__.code == 7
        await trio.sleep(1)
        with pytest.raises(trio.BrokenResourceError) as stopped:
            await stream.send_all(b"3")
        assert isinstance(stopped.value.__cause__, StreamAborted)
        assert stopped.value.__cause__.code == 8

    run(program)


def test_end_of_a_connection_reaches_every_waiting_task_with_its_reason() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        stream = client.open_stream()
        ends: list[object] = []

        async def wait(what: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises((ConnectionLost, trio.BrokenResourceError)) as caught:
                await what()
            ends.append(caught.value)

        async with trio.open_nursery() as nursery:
            for what in (client.accept_stream, client.receive_datagram, stream.receive_some):
                nursery.start_soon(wait, what)
            await trio.sleep(1)
            await server.aclose(42, "enough")
        assert len(ends) == 3
        lost = await client.wait_closed()
        assert (lost.code, lost.is_application, lost.by_peer) == (42, True, True)
        assert str(lost) == "the peer ended the connection (application code 0x2a): enough"
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")

    run(program)


def test_datagrams_cross() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        client.send_datagram(b"ping")
        assert await server.receive_datagram() == b"ping"
        server.send_datagram(b"pong")
        assert await client.receive_datagram() == b"pong"
        with pytest.raises(LocalError):
            client.send_datagram(bytes(70_000))

    run(program)


def test_stream_is_for_one_sender_and_one_receiver_at_a_time() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        stream = client.open_stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await stream.receive_some()
            nursery.cancel_scope.cancel()

    run(program)


def test_closed_stream_is_a_closed_resource() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        stream = client.open_stream()
        await stream.aclose()
        await stream.aclose()
        for call in (partial(stream.send_all, b"x"), stream.receive_some, stream.send_eof):
            with pytest.raises(trio.ClosedResourceError):
                await call()

    run(program)


def test_cancelled_receive_takes_nothing() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        stream = client.open_stream()
        await stream.send_all(b"1")
        accepted = await server.accept_stream()
        assert await accepted.receive_some() == b"1"
        with trio.move_on_after(0.5):
            await accepted.receive_some()
        await stream.send_all(b"2")
        assert await accepted.receive_some(1) == b"2"

    run(program)


def test_keys_can_be_updated() -> None:
    async def program(client: QuicConnection, server: QuicConnection) -> None:
        await trio.sleep(1)
        client.update_keys()
        stream = client.open_stream()
        await stream.send_all(b"new keys")
        assert await (await server.accept_stream()).receive_some() == b"new keys"
        await trio.sleep(1)
        client.update_keys()
        with pytest.raises(LocalError):
            client.update_keys()

    run(program)


def test_ticket_of_one_connection_gives_the_next_early_data() -> None:
    async def main() -> None:
        network = MemoryNetwork(5, Impairments(delay_ns=DELAY_NS))
        async with opened(network, CLIENT) as near, opened(network, SERVER, server_configuration()) as far:
            first = await near.connect(SERVER, client_configuration())
            await trio.sleep(1)
            ticket = first.tickets[-1]
            assert first.tokens
            await first.aclose()
            await far.accept()
            started = trio.current_time()
            second = await near.connect(SERVER, client_configuration(), ticket=ticket)
            stream = second.open_stream()
            await stream.send_all(b"early")
            await stream.send_eof()
            accepted = await (await far.accept()).accept_stream()
            assert await receive_all(accepted) == b"early"
            assert trio.current_time() - started < 1.5 * DELAY_NS / 1e9
            await second.wait_connected()
            assert second.is_resumed
            assert second.is_early_data_accepted

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_connection_to_nobody_is_lost_when_the_idle_timeout_is_over() -> None:
    async def main() -> None:
        network = MemoryNetwork(5)
        async with opened(network, CLIENT) as near:
            with pytest.raises(ConnectionLost, match="nothing was heard for 5 s"):
                await near.connect(SERVER, client_configuration(max_idle_timeout_ns=5_000_000_000))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_cancelled_connect_is_withdrawn() -> None:
    async def main() -> None:
        network = MemoryNetwork(5)
        async with opened(network, CLIENT) as near:
            with trio.move_on_after(1):
                await near.connect(SERVER, client_configuration())
            (core,) = near.core.connections
            assert core.close_reason is not None

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_certificate_that_is_not_trusted_is_said_to_both() -> None:
    async def main() -> None:
        network = MemoryNetwork(5, Impairments(delay_ns=DELAY_NS))
        async with opened(network, CLIENT) as near, opened(network, SERVER, server_configuration()) as far:
            with pytest.raises(ConnectionLost, match="not for other.test") as caught:
                await near.connect(SERVER, client_configuration(server_name="other.test"))
            assert caught.value.code == 0x100 + 42
            lost = await (await far.accept()).wait_closed()
            assert lost.by_peer
            assert lost.code == 0x100 + 42

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_what_the_block_raises_leaves_as_it_is() -> None:
    async def main() -> None:
        network = MemoryNetwork(5)
        with pytest.raises(ZeroDivisionError):
            async with opened(network, CLIENT):
                raise ZeroDivisionError

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_over_real_sockets() -> None:
    """With the system's clock for certificates, and both ends of this process."""
    data = random.Random(1).randbytes(1 << 20)

    async def main() -> None:
        server_side = replace(server_configuration(), unix_epoch_ns=0)
        client_side = replace(client_configuration(), unix_epoch_ns=0)
        async with (
            serve("127.0.0.1", 0, server_side) as server,
            connect("127.0.0.1", server.address[1], client_side) as client,
            trio.open_nursery() as nursery,
        ):
            stream = client.open_stream()
            nursery.start_soon(stream.send_all, data)
            accepted = await (await server.accept()).accept_stream()
            got = b""
            with trio.fail_after(30):
                while len(got) < len(data):
                    got += await accepted.receive_some()
            assert got == data

    trio.run(main)


def test_connection_moves_to_another_address() -> None:
    """RFC 9000 9.2, over real sockets."""

    async def main() -> None:
        server_side = replace(server_configuration(), unix_epoch_ns=0)
        client_side = replace(client_configuration(), unix_epoch_ns=0)
        async with (
            serve("127.0.0.1", 0, server_side) as server,
            connect("127.0.0.1", server.address[1], client_side) as client,
        ):
            accepted = await server.accept()
            with trio.fail_after(30):
                stream = client.open_stream()
                await stream.send_all(b"1")
                far = await accepted.accept_stream()
                assert await far.receive_some() == b"1"
                await far.send_all(b"confirms")
                await stream.receive_some()
                await client.migrate("127.0.0.2")
                await stream.send_all(b"2")
                assert await far.receive_some() == b"2"
                assert accepted.core.path.remote[0] == "127.0.0.2"

    trio.run(main)
