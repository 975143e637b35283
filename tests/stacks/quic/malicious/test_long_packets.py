"""Initial, Handshake and 0-RTT packets with what does not belong in them (RFC 9000 12.4 table 3, 12.5, 17.2)."""

from __future__ import annotations

import pytest

from stacks.quic.connection import ConnectionState
from stacks.quic.errors import TransportErrorCode as Code
from tests.stacks.quic.malicious.opening import Opening
from wire.quic import frames as f

FRAMES = {
    # name: (frame, packets that may carry it: I, H, 0 of table 3 with what 12.5 takes out, and of the extensions)
    "PING": (b"\x01", "IH0"),
    "ACK": (f.Ack([(0, 0)], 0).encode(), "IH"),
    "RESET_STREAM": (f.ResetStream(4, 0, 0).encode(), "0"),
    "STOP_SENDING": (f.StopSending(4, 0).encode(), "0"),
    "CRYPTO": (b"\x06\x00\x00", "IH"),
    "NEW_TOKEN": (f.NewToken(b"token").encode(), ""),
    "STREAM": (b"\x0a\x04\x01x", "0"),
    "MAX_DATA": (f.MaxData(5).encode(), "0"),
    "MAX_STREAM_DATA": (f.MaxStreamData(4, 5).encode(), "0"),
    "MAX_STREAMS": (f.MaxStreams(5).encode(), "0"),
    "MAX_STREAMS uni": (b"\x13\x05", "0"),
    "DATA_BLOCKED": (f.DataBlocked(5).encode(), "0"),
    "STREAM_DATA_BLOCKED": (f.StreamDataBlocked(4, 5).encode(), "0"),
    "STREAMS_BLOCKED": (f.StreamsBlocked(5).encode(), "0"),
    "STREAMS_BLOCKED uni": (b"\x17\x05", "0"),
    "NEW_CONNECTION_ID": (f.NewConnectionId(1, 0, b"12345678", bytes(16)).encode(), "0"),
    "RETIRE_CONNECTION_ID": (f.RetireConnectionId(1).encode(), ""),
    "PATH_CHALLENGE": (f.PathChallenge(b"12345678").encode(), "0"),
    "PATH_RESPONSE": (f.PathResponse(b"12345678").encode(), ""),
    "CONNECTION_CLOSE of an application": (b"\x1d\x00\x00", "0"),
    "HANDSHAKE_DONE": (b"\x1e", ""),
    "DATAGRAM": (b"\x31\x01x", "0"),
    "ACK_FREQUENCY": (f.AckFrequency(0, 1, 25_000, 1).encode(), ""),
    "IMMEDIATE_ACK": (b"\x1f", ""),
    "RESET_STREAM_AT": (f.ResetStreamAt(4, 0, 0, 0).encode(), "0"),
}
PLACES = (
    ("server", "initial", "I"), ("client", "initial", "I"), ("server", "handshake", "H"), ("client", "handshake", "H"),
    ("server", "zero_rtt", "0"),
)  # fmt: skip


CASES = [
    pytest.param(name, *place, id=f"{name}-{'-'.join(place)}".replace(" ", "-"))
    for name in FRAMES
    for place in PLACES
    if (name, *place) != ("ACK", "client", "handshake", "H")  # which has not sent any of which that could tell
]


@pytest.mark.parametrize(("name", "victim", "level", "letter"), CASES)
def test_each_frame_in_each_packet(name: str, victim: str, level: str, letter: str) -> None:
    frame, where = FRAMES[name]
    opening = Opening(victim, level)
    code = opening.attack(frame)
    if letter in where:
        assert code is None
    else:
        assert code == Code.PROTOCOL_VIOLATION


@pytest.mark.parametrize(("victim", "level", "letter"), PLACES, ids=lambda value: value)
def test_what_is_malformed_gets_its_code_at_any_level(victim: str, level: str, letter: str) -> None:
    assert letter in "IH0"
    assert Opening(victim, level).attack(b"") == Code.PROTOCOL_VIOLATION
    assert Opening(victim, level).attack(b"\x21") == Code.FRAME_ENCODING_ERROR
    assert Opening(victim, level).attack(b"\x01", reserved=3) == Code.PROTOCOL_VIOLATION


@pytest.mark.parametrize("victim", ["server", "client"])
@pytest.mark.parametrize("level", ["initial", "handshake"])
def test_what_crypto_frames_can_do_wrong(victim: str, level: str) -> None:
    assert Opening(victim, level).attack(f.Ack([(50, 50)], 0).encode()) == Code.PROTOCOL_VIOLATION
    assert Opening(victim, level).attack(b"\x06\x80\x10\x00\x00\x01x") == Code.CRYPTO_BUFFER_EXCEEDED


@pytest.mark.parametrize(("victim", "level"), [("client", "initial"), ("server", "handshake")])
@pytest.mark.parametrize(
    "message",
    [b"\x01\x00\x00\x01x", b"\x18\x00\x00\x01\x00", b"\x63\x00\x00\x00", b"\x14\x00\x00\x20" + bytes(32)],
    ids=["ClientHello", "KeyUpdate", "unknown", "Finished"],
)
def test_handshake_messages_that_do_not_belong_there_get_an_alert(victim: str, level: str, message: bytes) -> None:
    code = Opening(victim, level).attack(f.Crypto(0, message).encode())
    assert code is not None
    assert 0x100 < code < 0x200


@pytest.mark.parametrize("victim", ["server", "client"])
def test_a_mistake_in_an_initial_packet_is_told_in_one(victim: str) -> None:
    opening = Opening(victim, "initial")
    opening.attack(b"\x1e")
    assert [close.error_code for close in opening.closes] == [Code.PROTOCOL_VIOLATION]
    assert not opening.closes[0].is_application


@pytest.mark.parametrize("victim", ["server", "client"])
def test_an_applications_words_do_not_leave_before_the_handshake_is_done(victim: str) -> None:
    """10.2.3: whoever is on the path can read Initial packets."""
    opening = Opening(victim, "initial")
    assert opening.victim is not None
    opening.victim.close(7, "secret words", now=opening.rig.now)
    opening.rig.client_host.wake()
    opening.rig.server_host.wake()
    opening.rig.run(100_000_000)
    assert opening.closes
    for close in opening.closes:
        assert (close.error_code, bytes(close.reason)) == (Code.APPLICATION_ERROR, b"")


def test_a_servers_initial_packet_with_a_token_is_not_taken() -> None:
    opening = Opening("client", "initial")
    opening.send(opening.packet(b"\x1e", token=b"token"))
    opening.rig.run(100_000_000)
    assert opening.code in (None, Code.PROTOCOL_VIOLATION)
    assert opening.victim is not None
    assert opening.victim.counters.packets_received == 0


@pytest.mark.parametrize("size", [100, 1199])
def test_small_initial_datagrams_are_not_taken_by_a_server(size: int) -> None:
    opening = Opening("server", "initial")
    assert opening.attack(b"\x1e", size=size) is None
    assert opening.victim is not None
    assert opening.victim.state == ConnectionState.HANDSHAKING
    assert opening.attack(b"\x1e", size=1200) == Code.PROTOCOL_VIOLATION
