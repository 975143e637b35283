"""What is not of the peer is dropped in silence, and changes nothing (RFC 9000 5.2, 6.2, 10.3, 12.2, 17.2.5)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.keys import initial_keys, retry_tag
from tests.stacks.quic.rig import CLIENT, SECOND_NS, SERVER, Rig, events_of
from transports.datagram import Address, Transmit
from transports.packets import Packet
from wire.quic.frames import ConnectionClose
from wire.quic.packet import (
    KIND_HANDSHAKE,
    KIND_INITIAL,
    KIND_ZERO_RTT,
    decode_header,
    encode_long_header,
    encode_retry,
    encode_version_negotiation,
    write_length,
)

BOTH = ("server", "client")


class Line:
    """An honest connection, and somebody who can send any datagram to `victim`. seen: what passed, each way."""

    def __init__(self, victim: str) -> None:
        self.rig = Rig()
        self.seen: dict[Address, list[bytes]] = {CLIENT: [], SERVER: []}
        self.rig.network.trace = self._note
        self.client, self.server = self.rig.establish()
        self.victim = self.server if victim == "server" else self.client
        self.at, self.from_ = (SERVER, CLIENT) if victim == "server" else (CLIENT, SERVER)
        self.rig.run(SECOND_NS)

    def inject(self, datagram: bytes, source: Address | None = None) -> list[bytes]:
        """Send it; what the victim answers within a second."""
        before = len(self.seen[self.at])
        self.rig.network.send(Transmit([datagram], 0, None, self.at), source or self.from_)
        self.rig.run(SECOND_NS)
        return self.seen[self.at][before:]

    def works(self) -> bool:
        """Whether the connection still carries data both ways."""
        if self.client.state != ConnectionState.CONFIRMED or self.server.state != ConnectionState.CONFIRMED:
            return False
        return _carries(self.rig, self.client, self.server) and _carries(self.rig, self.server, self.client)

    def _note(self, now: int, what: str, packet: Packet) -> None:
        if what == "sent":
            self.seen.setdefault(packet.source, []).append(packet.payload)


def _carries(rig: Rig, source: Connection, sink: Connection) -> bool:
    stream = source.open_stream()
    source.write(stream, b"data" * 500, is_fin=True)
    rig.run(SECOND_NS)
    events_of(sink)
    return sink.read(stream) == b"data" * 500


def short(line: Line, size: int = 60) -> bytes:
    """Noise with a short header and the victim's connection ID."""
    peer = line.client if line.victim is line.server else line.server
    return b"\x40" + peer.path.peer_cid + random.Random(5).randbytes(size)


def long(line: Line, kind: int, version: int = 1) -> bytes:
    """Noise with a long header and the connection IDs of the line."""
    peer = line.client if line.victim is line.server else line.server
    buffer = bytearray(1200)
    length_offset, number_offset = encode_long_header(
        buffer, 0, kind, version, peer.path.peer_cid, line.victim.path.peer_cid, b"", 4
    )
    buffer[number_offset:] = random.Random(6).randbytes(1200 - number_offset)
    write_length(buffer, length_offset, 1200 - number_offset)
    return bytes(buffer)


def retry(line: Line) -> bytes:
    """A Retry whose tag is right, for whoever knows the client's first connection ID."""
    first = decode_header(line.seen[CLIENT][0], 0, 1200, 8)
    packet = encode_retry(1, first.source_cid, b"another!", b"token", 0)
    return packet + retry_tag(1, first.destination_cid, packet)


def version_negotiation(line: Line) -> bytes:
    first = decode_header(line.seen[CLIENT][0], 0, 1200, 8)
    return encode_version_negotiation(first.source_cid, first.destination_cid, (0xFF00001D,), 0)


def initial_close(line: Line) -> bytes:
    """CONNECTION_CLOSE in an Initial packet: anybody who saw the first one has those keys."""
    first = decode_header(line.seen[CLIENT][0], 0, 1200, 8)
    is_client = line.victim is line.server
    sealer, _ = initial_keys(1, first.destination_cid, is_client=is_client)
    cids = (first.destination_cid, first.source_cid) if is_client else (first.source_cid, line.client.path.peer_cid)
    buffer = bytearray(1200)
    length_offset, number_offset = encode_long_header(buffer, 0, KIND_INITIAL, 1, *cids, b"", 4)
    buffer[number_offset : number_offset + 4] = (77).to_bytes(4, "big")
    frame = ConnectionClose(0, b"bye").encode()
    buffer[number_offset + 4 : number_offset + 4 + len(frame)] = frame
    write_length(buffer, length_offset, 1200 - number_offset)
    sealer.seal(memoryview(buffer), [(0, number_offset, 4, 77, 1200)])
    return bytes(buffer)


NOISE: dict[str, Callable[[Line], bytes]] = {
    "a short packet that nobody sealed": short,
    "a short packet of no length": lambda line: short(line, 0),
    "a short packet too short for a sample": lambda line: short(line, 19),
    "one byte": lambda _: b"\x40",
    "a byte of a long header": lambda _: b"\xc0",
    "a long header cut off": lambda line: long(line, KIND_HANDSHAKE)[:20],
    "a Handshake packet that nobody sealed": lambda line: long(line, KIND_HANDSHAKE),
    "an Initial packet that nobody sealed": lambda line: long(line, KIND_INITIAL),
    "a 0-RTT packet that nobody sealed": lambda line: long(line, KIND_ZERO_RTT),
    "a packet of version 2": lambda line: long(line, KIND_INITIAL, 0x6B3343CF),
    "a packet of no known version": lambda line: long(line, KIND_INITIAL)[:1] + b"\x0a" * 4 + long(line, 0)[5:],
    "a Retry": retry,
    "Version Negotiation": version_negotiation,
    "CONNECTION_CLOSE in an Initial packet": initial_close,
}


@pytest.mark.parametrize("victim", BOTH)
@pytest.mark.parametrize("noise", NOISE, ids=lambda name: name.replace(" ", "-"))
def test_noise_gets_no_answer_and_changes_nothing(victim: str, noise: str) -> None:
    line = Line(victim)
    state = line.victim.state
    answers = line.inject(NOISE[noise](line))
    assert answers == []
    assert line.victim.state == state
    assert len(line.rig.server.connections) == 1
    assert line.works()


@pytest.mark.parametrize("victim", BOTH)
def test_a_short_packet_for_nobody_gets_a_reset_and_resets_that_answer_each_other_come_to_an_end(victim: str) -> None:
    """The reset goes to whom the packet was said to come from, who knows nothing of it either (10.3.3)."""
    line = Line(victim)
    sizes = [len(answer) for answer in line.inject(bytes(1200))]
    assert sizes == list(range(43, 20, -2))
    assert line.works()


def test_a_version_that_nobody_speaks_gets_those_that_are_spoken_and_changes_nothing() -> None:
    line = Line("server")
    (answer,) = line.inject(b"\xff" * 1200)
    assert answer[1:5] == bytes(4)
    assert len(answer) < 1200
    assert line.works()
    assert Line("client").inject(b"\xff" * 1200) == []


@pytest.mark.parametrize("victim", BOTH)
def test_all_packets_again_are_dropped_as_duplicates(victim: str) -> None:
    line = Line(victim)
    assert line.works()
    for datagram in list(line.seen[line.from_]):
        line.rig.network.send(Transmit([datagram], 0, None, line.at), line.from_)
    before = len(line.seen[line.at])
    line.rig.run(SECOND_NS)
    assert len(line.seen[line.at]) == before
    assert len(line.rig.server.connections) == 1
    assert line.rig.server.poll_accepted() is None
    assert line.works()


@pytest.mark.parametrize("victim", BOTH)
def test_packets_with_a_changed_byte_are_dropped(victim: str) -> None:
    line = Line(victim)
    assert line.works()
    datagram = line.seen[line.from_][-1]
    for index in range(9, len(datagram)):
        changed = bytearray(datagram)
        changed[index] ^= 0x55
        line.rig.network.send(Transmit([bytes(changed)], 0, None, line.at), line.from_)
    line.rig.run(SECOND_NS)
    assert line.works()


@pytest.mark.parametrize("victim", BOTH)
def test_a_stateless_reset_with_a_guessed_token_is_noise(victim: str) -> None:
    line = Line(victim)
    for seed in range(50):
        datagram = b"\x40" + random.Random(seed).randbytes(40)
        line.rig.network.send(Transmit([datagram], 0, None, line.at), line.from_)
    assert line.works()


def test_a_true_stateless_reset_from_elsewhere_is_noise_and_from_the_server_it_is_the_end() -> None:
    line = Line("client")
    cid = line.client.path.peer_cid
    line.rig.network.detach(line.rig.server_host)
    line.rig.restart_server(reset_key=line.rig.server.reset_key)
    resets: list[bytes] = []

    def catch(packet: Packet) -> tuple[Packet, ...]:
        if packet.source == SERVER:
            resets.append(packet.payload)
            return ()
        return (packet,)

    line.rig.network.hook = catch
    line.rig.network.send(Transmit([b"\x40" + cid + bytes(100)], 0, None, SERVER), CLIENT)
    line.rig.run(SECOND_NS)
    line.rig.network.hook = None
    assert len(resets) == 1
    line.inject(resets[0], source=("10.0.0.66", 4433))
    assert line.client.state == ConnectionState.CONFIRMED
    line.inject(resets[0])
    assert line.client.state >= ConnectionState.DRAINING


def test_two_packets_for_two_connections_in_one_datagram_are_one() -> None:
    """12.2: what follows in a datagram is of the same connection, or of nobody."""
    line = Line("server")
    other = line.rig.connect()
    line.rig.run(2 * SECOND_NS)
    assert other.state == ConnectionState.CONFIRMED
    first = long(line, KIND_HANDSHAKE)[:300]
    head = bytearray(first)
    length_offset, number_offset = encode_long_header(
        head, 0, KIND_HANDSHAKE, 1, line.client.path.peer_cid, line.server.path.peer_cid, b"", 4
    )
    write_length(head, length_offset, 300 - number_offset)
    before = other.counters.packets_received
    assert line.inject(bytes(head) + b"\x40" + other.path.peer_cid + bytes(40)) == []
    assert other.counters.packets_received == before
    assert line.works()
