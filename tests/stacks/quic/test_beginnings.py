"""How connections begin: Retry, versions, resumption, 0-RTT, tokens, loss."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import pytest

from stacks.quic.configuration import VERSION_1, VERSION_2
from stacks.quic.connection import Connection, ConnectionState, own_parameters
from stacks.quic.events import HandshakeCompleted, StreamReadable, TicketReceived, TokenReceived, VersionsOffered
from stacks.quic.tls import Ticket
from tests.stacks.quic.rig import SECOND_NS, Rig, client_configuration, events_of, server_configuration
from transports.packets import Packet
from transports.simulation import Impairments
from wire.quic.packet import (
    KIND_RETRY,
    KIND_ZERO_RTT,
    decode_header,
    encode_long_header,
    encode_version_negotiation,
    write_length,
)


@contextlib.contextmanager
def mock_max_payload(size: int) -> Iterator[None]:
    """Have ends announce that they take no larger datagrams than that."""
    before, own_parameters.MAX_UDP_PAYLOAD_BYTES = own_parameters.MAX_UDP_PAYLOAD_BYTES, size
    try:
        yield
    finally:
        own_parameters.MAX_UDP_PAYLOAD_BYTES = before


def ticket_of(connection: Connection) -> tuple[Ticket, bytes]:
    events = events_of(connection)
    ticket = next(event.ticket for event in events if isinstance(event, TicketReceived))
    token = next(event.token for event in events if isinstance(event, TokenReceived))
    return Ticket.from_bytes(ticket), token


def test_a_retry_is_followed_and_authenticated() -> None:
    rig = Rig(server=server_configuration(is_retrying=True))
    client, server = rig.establish()
    assert client.state == server.state == ConnectionState.CONFIRMED
    assert rig.server.counters.retries_sent == 1


def test_a_token_of_new_token_spares_the_retry_once() -> None:
    rig = Rig(server=server_configuration(is_retrying=True))
    client, _ = rig.establish()
    _, token = ticket_of(client)
    rig.connect(token=token)
    rig.run(SECOND_NS)
    assert rig.server.poll_accepted() is not None
    assert rig.server.counters.retries_sent == 1
    rig.connect(token=token)
    rig.run(SECOND_NS)
    assert rig.server.poll_accepted() is not None
    assert rig.server.counters.retries_sent == 2  # it was used


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_either_version_is_spoken(version: int) -> None:
    versions = (version,)
    rig = Rig(
        client=client_configuration(versions=versions, initial_version=version),
        server=server_configuration(versions=versions),
    )
    client, server = rig.establish()
    assert client.version == server.version == version
    assert client.state == ConnectionState.CONFIRMED


def test_a_server_that_prefers_version_2_answers_in_it() -> None:
    rig = Rig(server=server_configuration(versions=(VERSION_2, VERSION_1)))
    client, server = rig.establish()
    assert client.version == server.version == VERSION_2
    assert client.state == server.state == ConnectionState.CONFIRMED


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_version_changes_although_the_hello_takes_two_datagrams_and_one_is_late(lost: int) -> None:
    names = tuple(f"{index:02}" + "n" * 100 for index in range(13))
    rig = Rig(
        client=client_configuration(alpn=names),
        server=server_configuration(alpn=names, versions=(VERSION_2, VERSION_1)),
    )
    count = [0]

    def lose(packet: Packet) -> tuple[Packet, ...]:
        if packet.source == rig.client.address:
            count[0] += 1
            return () if count[0] == lost else (packet,)
        return (packet,)

    rig.network.hook = lose
    client = rig.connect()
    rig.run(10 * SECOND_NS)
    assert client.state == ConnectionState.CONFIRMED
    assert client.version == VERSION_2


def test_version_negotiation_after_a_retry_is_not_believed() -> None:
    rig = Rig(server=server_configuration(is_retrying=True))
    forged: list[bytes] = []

    def forge(packet: Packet) -> tuple[Packet, ...]:
        payload = bytes(packet.payload)
        if packet.source == rig.server.address and not forged:
            header = decode_header(payload, 0, len(payload), 8)
            if header.kind == KIND_RETRY:
                forged.append(encode_version_negotiation(header.destination_cid, header.source_cid, (VERSION_2,)))
                false = copy.copy(packet)
                false.payload = memoryview(forged[0])
                return (packet, false)
        return (packet,)

    rig.network.hook = forge
    client = rig.connect(client_configuration(versions=(VERSION_1,)))
    rig.run(2 * SECOND_NS)
    assert forged
    assert client.state == ConnectionState.CONFIRMED


def test_a_peer_that_takes_small_datagrams_gets_no_larger_ones() -> None:
    rig = Rig(client=client_configuration(initial_datagram_bytes=1400))
    sizes: list[int] = []
    rig.network.trace = lambda now, what, packet: (
        sizes.append(len(packet.payload)) if packet.source == rig.client.address and what == "sent" else None
    )
    with mock_max_payload(1200):
        client, _ = rig.establish()
        del sizes[:]
        client.write(client.open_stream(), bytes(50_000))
        rig.client_host.wake()
        rig.run(SECOND_NS)
    assert sizes
    assert max(sizes) <= 1200


def test_forged_early_data_is_not_kept_when_the_handshake_is_done() -> None:
    rig = Rig()
    client, server = rig.establish()
    before = server.counters.dropped_keys
    packet = bytearray(1200)
    length_offset, number_offset = encode_long_header(
        packet, 0, KIND_ZERO_RTT, VERSION_1, client.path.peer_cid, client.local_ids.handshake_cid, b"", 4
    )
    write_length(packet, length_offset, len(packet) - number_offset)
    for _ in range(5):
        server.handle_datagram(memoryview(bytearray(packet)), rig.client.address, rig.server.address, 0, rig.now)
    assert server.counters.dropped_keys == before + 5


def test_a_server_without_our_version_says_which_it_has() -> None:
    rig = Rig(
        client=client_configuration(versions=(VERSION_2,), initial_version=VERSION_2),
        server=server_configuration(versions=(VERSION_1,)),
    )
    client = rig.connect()
    rig.run(SECOND_NS)
    (offered,) = (event for event in events_of(client) if isinstance(event, VersionsOffered))
    assert VERSION_1 in offered.versions
    assert client.state == ConnectionState.CLOSED
    assert client.close_reason is not None
    assert "0x6b3343cf" in client.close_reason.reason


def test_a_ticket_resumes_and_its_early_data_arrives_in_the_first_flight() -> None:
    rig = Rig()
    first, _ = rig.establish()
    ticket, _ = ticket_of(first)
    rig.server.poll_accepted()
    client = rig.connect(ticket=ticket)
    stream = client.open_stream()
    client.write(stream, b"early", is_fin=True)
    rig.client_host.wake()
    rig.run(15_000_000)  # less than a round trip
    server = rig.server.poll_accepted()
    assert server is not None
    assert [event for event in events_of(server) if isinstance(event, StreamReadable)]
    assert server.read(stream) == b"early"
    rig.run(SECOND_NS)
    (completed,) = (event for event in events_of(client) if isinstance(event, HandshakeCompleted))
    assert (completed.is_resumed, completed.is_early_data_accepted) == (True, True)


def test_early_data_that_is_refused_arrives_after_the_handshake() -> None:
    rig = Rig()
    first, _ = rig.establish()
    ticket, _ = ticket_of(first)
    other = Rig(seed=9)  # a server with another ticket key
    client = other.connect(ticket=ticket)
    stream = client.open_stream()
    client.write(stream, b"early", is_fin=True)
    other.run(2 * SECOND_NS)
    server = other.server.poll_accepted()
    assert server is not None
    assert server.read(stream) == b"early"
    (completed,) = (event for event in events_of(client) if isinstance(event, HandshakeCompleted))
    assert (completed.is_resumed, completed.is_early_data_accepted) == (False, False)


def test_a_client_that_is_refused_hears_why() -> None:
    rig = Rig(client=client_configuration(alpn=("other",)))
    client = rig.connect()
    rig.run(SECOND_NS)
    assert client.close_reason is not None
    assert client.close_reason.code == 0x178
    assert client.close_reason.by_peer


def test_nobody_there_ends_the_connection_after_the_idle_timeout() -> None:
    rig = Rig()
    rig.network.hook = lambda _: ()
    client = rig.connect()
    rig.run(60 * SECOND_NS)
    assert client.state == ConnectionState.CLOSED
    assert client.close_reason is not None
    assert "30 s" in client.close_reason.reason


@pytest.mark.parametrize("seed", range(25))
def test_handshake_and_data_survive_thirty_percent_loss(seed: int) -> None:
    rig = Rig(
        seed=seed,
        impairments=Impairments(delay_ns=10_000_000, loss=0.3, duplication=0.05, reordering=0.05),
        client=client_configuration(max_idle_timeout_ns=600 * SECOND_NS),
        server=server_configuration(max_idle_timeout_ns=600 * SECOND_NS),
    )
    client = rig.connect()
    stream = client.open_stream()
    data = bytes(range(256)) * 80
    client.write(stream, data, is_fin=True)
    received = bytearray()
    server = None
    for _ in range(6000):
        rig.run(50_000_000)
        server = server or rig.server.poll_accepted()
        if server is not None:
            received += server.read(stream)
            if server.streams.is_finished(stream):
                break
    assert bytes(received) == data


def test_the_server_sends_no_more_than_three_times_what_came() -> None:
    rig = Rig()
    sent = {rig.client.address[0]: 0, rig.server.address[0]: 0}

    def count(packet: Packet) -> tuple[Packet, ...]:
        if packet.source[0] == rig.client.address[0]:
            if sent[packet.source[0]]:
                return ()  # only the client's first datagram arrives
            sent[packet.source[0]] += len(packet.payload)
            return (packet,)
        sent[packet.source[0]] += len(packet.payload)
        return (packet,)

    rig.network.hook = count
    rig.connect()
    rig.run(20 * SECOND_NS)
    assert 0 < sent[rig.server.address[0]] <= 3 * sent[rig.client.address[0]]
