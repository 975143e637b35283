"""Much of everything: memory stays bounded, the answers are few, and others go on (RFC 9000 21).

The application of the victim reads nothing and takes no events: nobody can rely on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.quic.connection import ConnectionState
from stacks.quic.errors import TransportErrorCode as Code
from tests.stacks.quic.malicious.footprint import footprint
from tests.stacks.quic.malicious.stage import Stage
from tests.stacks.quic.malicious.test_frames import BIDI, BOTH, UNI, new_cid, stream, their_stream
from tests.stacks.quic.rig import events_of
from wire.quic import frames as f
from wire.quic.varint import encode_varint

Flood = Callable[[Stage, int], bytes]
MOST_BYTES = 2 << 20
GROWTH_BYTES = 48 << 10
ALLOWED_GROWTH_BYTES = 64 << 10


def churn(stage: Stage, index: int) -> bytes:
    """A stream begun and ended in one packet."""
    return stream(their_stream(stage, BIDI, index), 0, b"", is_fin=True)


def churn_by_reset(stage: Stage, index: int) -> bytes:
    return f.ResetStream(their_stream(stage, UNI, index), 7, 0).encode()


def stop(stage: Stage, index: int) -> bytes:
    """STOP_SENDING again and again for the same few streams."""
    return f.StopSending(their_stream(stage, BIDI, index % 4), index).encode()


def fragments(stage: Stage, index: int) -> bytes:
    """Every second byte of a stream, from behind."""
    return stream(their_stream(stage, BIDI), 400_000 - 2 * index, b"x")


def crypto_fragments(_: Stage, index: int) -> bytes:
    return f.Crypto(60_000 - 2 * index % 50_000, b"x").encode()


def identifiers(_: Stage, index: int) -> bytes:
    """Each retires the one before, and the RETIRE_CONNECTION_ID frames are never acknowledged."""
    return new_cid(10 + index, b"%08d" % index, prior=10 + index)


def identifiers_acknowledged(stage: Stage, index: int) -> bytes:
    """The same by a peer that acknowledges: it may go on for ever."""
    heard = [number for number, _ in stage.rogue.heard[-50:]]
    ack = f.Ack([(max(heard), max(heard))], 0).encode() if heard else b""
    return ack + identifiers(stage, index)


def retirements(_: Stage, index: int) -> bytes:
    return f.RetireConnectionId(1 + index % 3).encode()


def challenges(_: Stage, index: int) -> bytes:
    return f.PathChallenge(b"%08d" % index).encode()


def tokens(_: Stage, index: int) -> bytes:
    return f.NewToken(b"%08d" % index * 10).encode()


def tickets(stage: Stage, index: int) -> bytes:
    """NewSessionTicket, one after the other."""
    body = bytes(8) + b"\x01n" + b"\x00\x28" + b"t" * 40 + b"\x00\x00"
    message = b"\x04" + len(body).to_bytes(3, "big") + body
    return f.Crypto(stage.tickets_bytes + index * len(message), message).encode()


def datagrams(_: Stage, index: int) -> bytes:
    return b"\x30" + b"%08d" % index * 140


def gaps(stage: Stage, _: int) -> bytes:
    """Every second packet number: as many ranges to acknowledge."""
    stage.rogue.number += 1
    return b"\x01"


def credit(stage: Stage, index: int) -> bytes:
    return f.MaxData(index).encode() + f.MaxStreamData(their_stream(stage, BIDI), index).encode()


def blocked(stage: Stage, index: int) -> bytes:
    return f.DataBlocked(index).encode() + f.StreamDataBlocked(their_stream(stage, BIDI), index).encode() + b"\x16\x05"


def frequencies(_: Stage, index: int) -> bytes:
    return f.AckFrequency(index, index, 25_000, index).encode() + b"\x1f"


def many_streams_allowed(_: Stage, index: int) -> bytes:
    return f.MaxStreams(200 + index).encode()


def data_for_nobody(stage: Stage, index: int) -> bytes:
    """1000 bytes on a stream that nobody reads, up to the window."""
    return stream(their_stream(stage, BIDI), 1000 * index, b"d" * 1000)


LIMITS = (Code.INTERNAL_ERROR, Code.PROTOCOL_VIOLATION)
FLOODS: dict[str, tuple[Flood, int, tuple[str, ...], tuple[int | None, ...]]] = {
    # name: (what, frames in a packet, victims, how it may end: None for not at all)
    "PING": (lambda _, __: b"\x01", 1, BOTH, (None,)),
    "streams begun and ended": (churn, 50, BOTH, (Code.STREAM_LIMIT_ERROR,)),
    "streams reset": (churn_by_reset, 50, BOTH, (Code.STREAM_LIMIT_ERROR,)),
    "STOP_SENDING": (stop, 50, BOTH, (None,)),
    "bytes behind gaps": (fragments, 50, BOTH, (None, *LIMITS)),
    "CRYPTO bytes behind gaps": (crypto_fragments, 50, BOTH, (None, *LIMITS, Code.CRYPTO_BUFFER_EXCEEDED)),
    "connection IDs": (identifiers, 1, BOTH, (Code.CONNECTION_ID_LIMIT_ERROR,)),
    "connection IDs, acknowledged": (identifiers_acknowledged, 1, BOTH, (None, Code.CONNECTION_ID_LIMIT_ERROR)),
    "RETIRE_CONNECTION_ID": (retirements, 50, BOTH, (None,)),
    "PATH_CHALLENGE": (challenges, 50, BOTH, (None,)),
    "NEW_TOKEN": (tokens, 10, ("client",), (None,)),
    "tickets": (tickets, 10, ("client",), (None,)),
    "DATAGRAM": (datagrams, 1, BOTH, (None,)),
    "packet numbers with gaps": (gaps, 1, BOTH, (None,)),
    "credit": (credit, 50, BOTH, (None,)),
    "BLOCKED": (blocked, 50, BOTH, (None,)),
    "ACK_FREQUENCY": (frequencies, 50, BOTH, (None,)),
    "MAX_STREAMS": (many_streams_allowed, 100, BOTH, (None,)),
}


EACH = pytest.mark.parametrize(
    ("name", "victim"),
    [pytest.param(name, v, id=f"{v}-{name}".replace(" ", "-")) for name, row in FLOODS.items() for v in row[2]],
)


@EACH
@pytest.mark.slow
def test_a_flood_is_borne_in_bounded_memory(name: str, victim: str) -> None:
    """What the second half of it adds is next to nothing, and the first is bounded, too."""
    inundate(name, victim, packets=1800 if FLOODS[name][1] == 1 else 200)


@EACH
@pytest.mark.long
def test_a_flood_that_does_not_end_is_borne_in_bounded_memory(name: str, victim: str) -> None:
    inundate(name, victim, packets=30_000 if FLOODS[name][1] == 1 else 4000)


def inundate(name: str, victim: str, *, packets: int) -> None:
    """Send a flood, and look at the victim's memory before it, half way and at the end."""
    flood, width, _, ends = FLOODS[name]
    stage = Stage(victim)
    sizes = [footprint(stage.victim)]
    for index in range(packets):
        stage.rogue.send(b"".join(flood(stage, index * width + part) for part in range(width)))
        if index % 10 == 9:
            stage.rogue.run(1_000_000)
        if index in (packets // 2, packets - 1):
            stage.rogue.run()
            sizes.append(footprint(stage.victim))
        if stage.code is not None:
            break
    stage.rogue.run()
    assert stage.code in ends
    assert max(sizes) < sizes[0] + MOST_BYTES
    if stage.code is None:
        assert sizes[2] < sizes[1] + GROWTH_BYTES
    assert len(stage.rogue.datagrams) <= packets + 200
    assert stage.bystander_lives()


@pytest.mark.parametrize("victim", BOTH)
def test_what_nobody_reads_ends_at_the_window(victim: str) -> None:
    stage = Stage(victim, **{victim: {"stream_window_bytes": 100_000, "connection_window_bytes": 150_000}})
    before = footprint(stage.victim)
    for index in range(100):
        stage.rogue.send(data_for_nobody(stage, index))
    assert stage.attack() is None
    assert footprint(stage.victim) < before + 100_000 + ALLOWED_GROWTH_BYTES
    assert stage.attack(data_for_nobody(stage, 100)) == Code.FLOW_CONTROL_ERROR


def test_moves_of_the_client_cost_little() -> None:
    """Each packet from another port, each with the keys."""
    stage = Stage("server")
    before = 0
    for index in range(600):
        stage.rogue.send_datagram(stage.rogue.packet(b"\x01"), source=("10.0.0.1", 2000 + index))
        if index % 10 == 9:
            stage.rogue.run(1_000_000)
        if index == 100:
            before = footprint(stage.victim)
        events_of(stage.victim)
    stage.rogue.run(10_000_000_000)
    assert footprint(stage.victim) < before + ALLOWED_GROWTH_BYTES
    assert stage.bystander_lives()


def test_moves_with_another_connection_id_each_end_with_the_ids() -> None:
    stage = Stage("server")
    cids = []
    while (cid := stage.peer.peer_ids.take_fresh()) is not None:
        cids.append(cid)
    assert len(cids) == 3
    before = footprint(stage.victim)
    for index in range(300):
        packet = stage.rogue.packet(b"\x01", cid=cids[index % 3])
        stage.rogue.send_datagram(packet, source=(f"10.1.{index // 200}.{index % 200}", 9))
    stage.rogue.run(10_000_000_000)
    assert footprint(stage.victim) < before + 2 * ALLOWED_GROWTH_BYTES
    assert stage.bystander_lives()


def test_many_ranges_in_an_ack_are_read_and_cost_nothing() -> None:
    stage = Stage("server")
    stage.victim.ping()
    stage.rogue.run()
    largest = max(number for number, _ in stage.rogue.heard)
    before = footprint(stage.victim)
    for _ in range(300):
        stage.rogue.send(b"\x02" + encode_varint(largest) + b"\x00" + encode_varint(300) + bytes(601))
    assert stage.attack() in (None, Code.FRAME_ENCODING_ERROR)
    assert footprint(stage.victim) < before + ALLOWED_GROWTH_BYTES


@pytest.mark.parametrize("victim", BOTH)
def test_who_is_closing_answers_less_and_less(victim: str) -> None:
    """10.2.1: the rate of CONNECTION_CLOSE is limited."""
    stage = Stage(victim)
    stage.victim.close(3, "enough", now=stage.rig.now)
    for index in range(500):
        stage.rogue.send(b"\x01")
        if index % 10 == 9:
            stage.rogue.run(500_000)
    stage.rogue.run()
    assert 2 <= len(stage.rogue.closes) <= 12


def test_garbage_that_looks_like_first_packets_leaves_nothing_behind() -> None:
    stage = Stage("server")
    rng = random.Random(4)
    before, connections = footprint(stage.endpoint), len(stage.endpoint.connections)
    for index in range(100):
        datagram = b"\xc3\x00\x00\x00\x01\x08" + rng.randbytes(8) + b"\x08" + rng.randbytes(8) + b"\x00\x44\x96"
        datagram += rng.randbytes(1200 - len(datagram))
        stage.rogue.send_datagram(datagram, source=(f"10.2.0.{index}", 1))
    stage.rogue.run()
    assert len(stage.endpoint.connections) == connections
    assert footprint(stage.endpoint) < before + ALLOWED_GROWTH_BYTES
    assert stage.bystander_lives()


@pytest.mark.parametrize("victim", BOTH)
def test_nothing_is_read_of_what_follows_the_mistake(victim: str) -> None:
    """10.2.1: no data, no events, no answers but the one that says that it is over."""
    stage = Stage(victim)
    stage.rogue.send(b"\x21")
    stage.rogue.send(stream(their_stream(stage, BIDI), 0, b"too late"))
    stage.rogue.send(f.PathChallenge(b"too late").encode())
    assert stage.attack(b"\x21") == Code.FRAME_ENCODING_ERROR
    assert not stage.rogue.all(f.PathResponse)
    assert [type(event).__name__ for event in events_of(stage.victim)][-1] == "ConnectionClosed"
    stage.rogue.send(f.ConnectionClose(0, b"me too").encode())
    stage.rogue.run()
    assert stage.victim.state == ConnectionState.DRAINING
    closes = len(stage.rogue.closes)
    for _ in range(20):
        stage.rogue.send(b"\x01")
    stage.rogue.run()
    assert len(stage.rogue.closes) == closes
