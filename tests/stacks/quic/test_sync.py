"""The synchronous face over real sockets: two endpoints of this process, turned by hand or each in a thread."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from stacks.quic.sync import ConnectionLost, QuicConnection, QuicEndpoint, StreamAborted, open_endpoint
from stacks.runtime import LocalError
from tests.stacks.quic.rig import client_configuration, server_configuration

SECOND = 1_000_000_000
LIMIT_NS = 30 * SECOND
CLIENT = replace(client_configuration(), unix_epoch_ns=0)
SERVER = replace(server_configuration(), unix_epoch_ns=0)


@contextmanager
def served(program: Callable[[QuicConnection], None]) -> Iterator[QuicEndpoint]:
    """A server in a thread of its own, whose first connection `program` has."""
    endpoint = open_endpoint("127.0.0.1", server=SERVER, rng=random.Random(1))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with endpoint:
                connection = endpoint.accept(timeout_ns=LIMIT_NS)
                program(connection)
                endpoint.wait_until(lambda: connection.is_closed, timeout_ns=LIMIT_NS)
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield endpoint
    thread.join(30)
    assert not thread.is_alive()
    assert failures == []


def test_question_and_answer() -> None:
    data = random.Random(2).randbytes(2_000_000)

    def program(connection: QuicConnection) -> None:
        stream = connection.accept_stream(timeout_ns=LIMIT_NS)
        stream.send(stream.receive_all(timeout_ns=LIMIT_NS)[::-1], is_fin=True)

    with served(program) as server, open_endpoint() as client:
        connection = client.connect(*server.address, CLIENT, timeout_ns=LIMIT_NS)
        assert connection.alpn == "test"
        stream = connection.open_stream()
        stream.send(data, is_fin=True)
        assert stream.receive_all(timeout_ns=LIMIT_NS) == data[::-1]
        connection.send_datagram(b"bye")
        connection.close()


def test_end_of_the_connection_is_an_error_with_its_reason() -> None:
    def program(connection: QuicConnection) -> None:
        connection.accept_stream(timeout_ns=LIMIT_NS)
        connection.close(42, "enough")

    with served(program) as server, open_endpoint() as client:
        connection = client.connect(*server.address, CLIENT, timeout_ns=LIMIT_NS)
        stream = connection.open_stream()
        stream.send(b"x")
        with pytest.raises(ConnectionLost, match="enough") as caught:
            stream.receive(timeout_ns=LIMIT_NS)
        assert caught.value.code == 42
        with pytest.raises(ConnectionLost):
            stream.send(b"more")


def test_peer_that_wants_no_more_stops_the_sender() -> None:
    def program(connection: QuicConnection) -> None:
        connection.accept_stream(timeout_ns=LIMIT_NS).stop_sending(7)

    with served(program) as server, open_endpoint() as client:
        connection = client.connect(*server.address, CLIENT, timeout_ns=LIMIT_NS)
        with pytest.raises(StreamAborted) as caught:
            connection.open_stream().send(bytes(64 << 20))
        assert caught.value.code == 7


def test_nobody_there_takes_as_long_as_it_may() -> None:
    with open_endpoint() as client:
        with pytest.raises(TimeoutError, match="connected"):
            client.connect("127.0.0.1", 9, CLIENT, timeout_ns=SECOND // 20)
        with pytest.raises(TimeoutError):
            client.accept(timeout_ns=0)


def test_server_without_a_certificate_is_misuse() -> None:
    with pytest.raises(LocalError, match="certificate"):
        open_endpoint(server=replace(SERVER, certificate_chain=b"", private_key=b""))
