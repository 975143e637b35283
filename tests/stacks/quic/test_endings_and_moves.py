"""Key updates, moves to other addresses, stateless resets, the MTU, and how connections end."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.errors import TransportErrorCode
from stacks.quic.events import PathChanged, StreamReadable
from stacks.quic.keys import SUITES
from stacks.runtime import LocalError
from tests.stacks.quic.rig import CLIENT, SECOND_NS, Rig, client_configuration, events_of, server_configuration
from transports.packets import Packet


def transfer(rig: Rig, source: Connection, sink: Connection, size: int = 300_000) -> None:
    """`size` bytes on a stream of their own, all of which must arrive."""
    stream = source.open_stream()
    data = bytes(index & 255 for index in range(size))
    source.write(stream, data, is_fin=True)
    received = bytearray()
    for _ in range(600):
        rig.run(20_000_000)
        while (event := sink.poll_event()) is not None:
            if isinstance(event, StreamReadable) and event.stream_id == stream:
                received += sink.read(stream)
        if sink.streams.is_finished(stream):
            break
    assert bytes(received) == data


def test_either_end_changes_its_keys_and_the_other_follows() -> None:
    rig = Rig()
    client, server = rig.establish()
    transfer(rig, client, server)
    client.update_keys(rig.now)
    transfer(rig, server, client)
    server.update_keys(rig.now)
    transfer(rig, server, client)
    assert client.state == server.state == ConnectionState.CONFIRMED


def test_keys_change_by_themselves_after_so_many_packets() -> None:
    rig = Rig(client=client_configuration(key_update_packets=50))
    client, server = rig.establish()
    for _ in range(4):
        transfer(rig, client, server)
        rig.run(SECOND_NS)  # old keys are kept for a while, and no third ones come before
    assert client.counters.key_updates >= 3
    assert server.state == ConnectionState.CONFIRMED


def test_keys_may_not_change_before_the_handshake_is_confirmed() -> None:
    rig = Rig()
    client = rig.connect()
    with pytest.raises(LocalError):
        client.update_keys(rig.now)


def rebind(rig: Rig, port: int) -> None:
    """From now on the client's packets come from another port, as behind a NAT that forgot it."""

    def translate(packet: Packet) -> tuple[Packet, ...]:
        if packet.source == CLIENT:
            packet.source = (CLIENT[0], port)
        elif packet.destination[0] == CLIENT[0]:
            packet.destination = CLIENT
        return (packet,)

    rig.network.hook = translate


def test_a_rebound_client_is_followed_and_validated() -> None:
    rig = Rig()
    client, server = rig.establish()
    transfer(rig, client, server)
    rebind(rig, 61_000)
    transfer(rig, client, server)
    transfer(rig, server, client)
    assert server.path.remote == (CLIENT[0], 61_000)
    assert server.path.is_validated


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_rebinding_whose_first_datagrams_are_lost_ends_neither_the_transfer_nor_the_connection(lost: int) -> None:
    rig = Rig()
    client, server = rig.establish()
    stream = client.open_stream()
    client.write(stream, b"please", is_fin=True)
    rig.run(SECOND_NS)
    server.write(stream, bytes(1_000_000), is_fin=True)
    rig.server_host.wake()
    rig.run(60_000_000)
    rebind(rig, 61_000)
    translate = rig.network.hook
    assert translate is not None
    left = [lost]

    def lose_first(packet: Packet) -> Iterable[Packet]:
        if packet.destination == (CLIENT[0], 61_000) and left[0]:
            left[0] -= 1
            return ()
        if packet.destination == CLIENT:
            return ()  # the former binding is gone
        return translate(packet)

    rig.network.hook = lose_first
    received = 0
    for _ in range(3000):
        rig.run(20_000_000)
        received += len(client.read(stream, 1 << 20))
        rig.client_host.wake()
        if client.streams.is_finished(stream):
            break
    assert received == 1_000_000


def test_keys_that_are_used_up_end_one_connection_with_the_code_for_it() -> None:
    rig = Rig(client=client_configuration(key_update_packets=0))
    client, server = rig.establish()
    suite = next(iter(SUITES.values()))
    client_keys = client._parts.one_rtt  # noqa: SLF001 - 2^23 packets would take minutes
    assert client_keys is not None
    client_keys.last_sealer.sealed = suite.confidentiality_limit - 64
    client_keys.is_confirmed = False  # so that they cannot be changed
    client.write(client.open_stream(), bytes(100))
    rig.client_host.wake()
    rig.run(SECOND_NS)
    assert client.close_reason is not None
    assert client.close_reason.code == TransportErrorCode.AEAD_LIMIT_REACHED
    assert server.close_reason is not None
    assert server.close_reason.code == TransportErrorCode.AEAD_LIMIT_REACHED


def test_a_client_moves_to_another_address_of_its_own_with_a_fresh_connection_id() -> None:
    rig = Rig()
    client, server = rig.establish()
    transfer(rig, client, server)
    before = client.path.peer_cid
    other = ("10.0.0.9", 50_001)
    rig.network.attach(rig.client, other)
    client.migrate(other, rig.now)
    rig.run(SECOND_NS)
    assert [event for event in events_of(client) if isinstance(event, PathChanged)]
    assert client.path.local == other
    assert client.path.peer_cid != before
    transfer(rig, client, server)
    assert server.path.remote == other


def test_a_client_goes_to_the_preferred_address() -> None:
    preferred = ("10.0.0.8", 4434)
    rig = Rig(server=server_configuration(preferred_addresses=(preferred,)))
    rig.network.attach(rig.server, preferred)
    client, server = rig.establish()
    assert client.path.remote == preferred
    transfer(rig, client, server)
    transfer(rig, server, client)
    assert server.path.local == preferred


def test_a_preferred_address_that_nobody_answers_at_changes_nothing() -> None:
    rig = Rig(server=server_configuration(preferred_addresses=(("10.0.0.8", 4434),)))
    client, server = rig.establish()
    rig.run(10 * SECOND_NS)
    assert client.path.remote == rig.server.address
    transfer(rig, client, server)


def test_a_server_that_forbids_moves_is_obeyed() -> None:
    rig = Rig(server=server_configuration(disable_active_migration=True))
    client, _ = rig.establish()
    with pytest.raises(LocalError):
        client.migrate(("10.0.0.9", 1), rig.now)


def test_a_server_that_lost_its_memory_resets_the_connection() -> None:
    rig = Rig()
    client, _ = rig.establish()
    key = rig.server.reset_key
    rig.network.detach(rig.server_host)
    rig.restart_server(reset_key=key)
    client.ping()
    rig.run(5 * SECOND_NS)
    assert client.close_reason is not None
    assert "forgotten" in client.close_reason.reason
    assert rig.server.counters.stateless_resets_sent >= 1


def test_the_path_mtu_is_found_and_its_loss_noticed() -> None:
    rig = Rig()
    client, server = rig.establish()
    rig.run(SECOND_NS)
    assert client.path.datagram_bytes == 1452

    def black_hole(packet: Packet) -> tuple[Packet, ...]:
        return (packet,) if len(packet.payload) <= 1300 else ()

    rig.network.hook = black_hole
    transfer(rig, client, server)
    assert client.path.datagram_bytes <= 1300


def test_a_silent_connection_ends_at_both_ends() -> None:
    rig = Rig()
    client, server = rig.establish()
    rig.run(100 * SECOND_NS)
    assert client.state == server.state == ConnectionState.CLOSED
    assert not rig.client.connections
    assert not rig.server.connections


def test_close_before_the_handshake_is_done_reaches_the_server() -> None:
    rig = Rig()
    client = rig.connect()
    rig.run(15_000_000)
    client.close(5, "secret words", now=rig.now)
    rig.run(SECOND_NS)
    server = rig.server.poll_accepted()
    assert server is not None
    assert server.close_reason is not None
    assert server.close_reason.by_peer


def test_two_runs_of_a_seed_send_the_same_bytes_at_the_same_times() -> None:
    def run() -> list[tuple[int, bytes]]:
        rig = Rig(seed=3)
        trace: list[tuple[int, bytes]] = []
        rig.network.trace = lambda now, what, packet: trace.append((now, bytes(packet.payload)))
        client, server = rig.establish()
        transfer(rig, client, server)
        return trace

    assert run() == run()


