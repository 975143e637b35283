"""Limits that a peer, or many who are none, may run into: forgeries, ACKs of the unseen, handshakes, amplification."""

from __future__ import annotations

import dataclasses

import pytest

from stacks.quic.configuration import VERSION_2
from stacks.quic.connection import ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.errors import TransportErrorCode as Code
from stacks.quic.keys import SUITES, initial_keys
from tests.stacks.quic.malicious.footprint import footprint
from tests.stacks.quic.malicious.opening import Opening
from tests.stacks.quic.malicious.stage import Stage
from tests.stacks.quic.malicious.test_frames import BOTH
from tests.stacks.quic.malicious.test_parameters import rig_with, set_to
from tests.stacks.quic.rig import CLIENT, SECOND_NS, SERVER, Rig, client_configuration, server_configuration
from transports.datagram import Transmit
from transports.packets import Packet
from wire.quic import frames as f
from wire.quic.packet import KIND_INITIAL, decode_header, encode_long_header, write_length
from wire.quic.parameters import VersionInformation


@pytest.mark.parametrize("victim", BOTH)
def test_too_many_forgeries_end_the_connection(victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9001 6.6, with a limit that can be reached in a test."""
    monkeypatch.setitem(SUITES, 0x1301, dataclasses.replace(SUITES[0x1301], integrity_limit=20))
    stage = Stage(victim)
    for index in range(19):
        stage.rogue.send_datagram(b"\x40" + stage.rogue.cid + bytes((index,)) * 40)
    assert stage.attack() is None
    assert stage.is_alive
    for index in range(5):
        stage.rogue.send_datagram(b"\x40" + stage.rogue.cid + bytes((index,)) * 41)
    assert stage.attack() == Code.AEAD_LIMIT_REACHED


@pytest.mark.parametrize("victim", BOTH)
def test_acknowledging_what_was_not_seen_is_found_out(victim: str) -> None:
    """21.4: a number is left out now and then, and whoever acknowledges it lies."""
    stage = Stage(victim)
    stage.victim.write(stage.victim.open_stream(), bytes(6_000_000))
    stage.rogue.run()
    for _ in range(200):
        seen = [number for number, _ in stage.rogue.heard]
        stage.rogue.send(f.Ack([(0, max(seen))], 0).encode() + f.MaxData(1 << 40).encode())
        stage.rogue.run(5_000_000)
        if stage.code is not None:
            break
    assert stage.code == Code.PROTOCOL_VIOLATION


@pytest.mark.parametrize("victim", BOTH)
def test_acknowledging_what_was_seen_is_not(victim: str) -> None:
    stage = Stage(victim)
    stage.victim.write(stage.victim.open_stream(), bytes(1_000_000), is_fin=True)
    stage.rogue.run()
    for _ in range(200):
        ranges: list[tuple[int, int]] = []
        for number in sorted({number for number, _ in stage.rogue.heard}, reverse=True):
            if ranges and ranges[-1][0] == number + 1:
                ranges[-1] = (number, ranges[-1][1])
            else:
                ranges.append((number, number))
        stage.rogue.send(f.Ack(ranges[:30], 0).encode())
        stage.rogue.run(5_000_000)
    assert stage.is_alive
    assert max(number for number, _ in stage.rogue.heard) > 600  # a number was left out by then


def test_a_retry_token_that_is_none_is_refused_at_once_and_without_state() -> None:
    rig = Rig()
    client = rig.connect(token=b"\x52" + bytes(60))
    rig.run(SECOND_NS)
    assert client.close_reason is not None
    assert (client.close_reason.code, client.close_reason.by_peer) == (Code.INVALID_TOKEN, True)
    assert not rig.server.connections


def test_another_token_that_is_none_is_no_token() -> None:
    rig = Rig()
    client = rig.connect(token=b"\x4e" + bytes(60))
    rig.run(SECOND_NS)
    assert client.state == ConnectionState.CONFIRMED


def test_a_server_that_chose_another_version_than_it_speaks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9368 4."""
    rig = rig_with("server", set_to(version_information=VersionInformation(VERSION_2, (1, VERSION_2))), monkeypatch)
    client = rig.connect()
    rig.run(SECOND_NS)
    assert client.close_reason is not None
    assert client.close_reason.code == Code.VERSION_NEGOTIATION_ERROR


def half_open(rig: Rig, count: int) -> dict[tuple[str, int], int]:
    """First packets of `count` clients, each from an address of its own, and nothing more; bytes that each got."""
    first: list[bytes] = []
    rig.network.hook = lambda packet: (first.append(packet.payload), ())[1]  # type: ignore[func-returns-value]
    rig.connect()
    rig.run(1_000_000)
    header = decode_header(first[0], 0, 1200, 8)
    _, opener = initial_keys(1, header.destination_cid, is_client=False)
    ((_, _, payload),) = [
        opened for opened in opener.open_burst(
            memoryview(bytearray(first[0])), [(0, header.number_offset, header.end)], -1
        ) if opened is not None
    ]  # fmt: skip
    got: dict[tuple[str, int], int] = {}

    def catch(packet: Packet) -> tuple[Packet, ...]:
        if packet.destination[0].startswith("10.3."):
            got[packet.destination] = got.get(packet.destination, 0) + len(packet.payload)
            return ()
        return (packet,)

    rig.network.hook = catch
    for index in range(count):
        cid = b"first-%03d" % index
        sealer, _ = initial_keys(1, cid, is_client=True)
        buffer = bytearray(1200)
        length_offset, number_offset = encode_long_header(buffer, 0, KIND_INITIAL, 1, cid, header.source_cid, b"", 1)
        body = bytes(payload)[: 1200 - number_offset - 17]
        buffer[number_offset + 1 : number_offset + 1 + len(body)] = body
        write_length(buffer, length_offset, 1200 - number_offset)
        sealer.seal(memoryview(buffer), [(0, number_offset, 1, 0, 1200)])
        rig.network.send(Transmit([buffer], 0, None, SERVER), (f"10.3.{index // 200}.{index % 200}", 77))
    rig.run(SECOND_NS // 10)
    return got


def test_half_open_handshakes_are_bounded_get_three_times_what_they_sent_and_are_forgotten() -> None:
    rig = Rig()
    rig.network.detach(rig.server_host)
    rig.server = Endpoint(SERVER, rng=rig.simulation.fork_rng(), server=server_configuration(), max_connections=40)
    rig.server_host = rig.network.attach(rig.server, SERVER)
    got = half_open(rig, 120)
    assert len(rig.server.connections) == 40
    assert rig.server.counters.connections_refused == 80
    size = footprint(rig.server)
    rig.run(20 * SECOND_NS)
    assert max(got.values()) <= 3 * 1200
    assert footprint(rig.server) < size + 50_000
    rig.run(60 * SECOND_NS)
    assert not rig.server.connections
    rig.network.hook = None
    client = rig.connect()
    rig.run(SECOND_NS)
    assert client.state == ConnectionState.CONFIRMED


def test_a_server_that_sends_retry_remembers_nobody() -> None:
    rig = Rig(server=server_configuration(is_retrying=True))
    size = footprint(rig.server)
    got = half_open(rig, 120)
    assert not rig.server.connections
    assert len(got) == 120
    assert max(got.values()) < 1200
    assert footprint(rig.server) < size + 20_000


@pytest.mark.parametrize("count", [1, 20])
def test_whoever_is_told_that_it_is_over_gets_three_times_what_it_sent_at_most(count: int) -> None:
    """10.2, 8.1: also in the closing state."""
    opening = Opening("server", "initial")
    sent = 1200
    for _ in range(count):
        opening.send(opening.packet(b"\x1e"))
        sent += 1200
        opening.rig.run(1_000_000)
    opening.rig.run(100_000_000)
    assert opening.code == Code.PROTOCOL_VIOLATION
    assert sum(map(len, opening.answers)) <= 3 * sent


def test_a_client_that_never_answers_is_forgotten_after_the_idle_timeout() -> None:
    rig = Rig(client=client_configuration(max_idle_timeout_ns=5 * SECOND_NS))
    client, server = rig.establish()
    rig.network.hook = lambda packet: () if packet.source == CLIENT else (packet,)
    server.write(server.open_stream(), b"anybody there?")
    rig.run(4 * SECOND_NS)
    assert server.state == ConnectionState.CONFIRMED
    rig.run(2 * SECOND_NS)
    assert server.state == ConnectionState.CLOSED
    assert client.state == ConnectionState.CONFIRMED  # which heard the server up to its end
    rig.run(6 * SECOND_NS)
    assert client.state == ConnectionState.CLOSED
