"""Every mistake that a peer can make in 1-RTT packets, and the code that it gets (RFC 9000 11, 19, 20).

Each is made by a scripted peer with the keys; the other connection of the same endpoint goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from stacks.quic.errors import TransportErrorCode as Code
from tests.stacks.quic.malicious.stage import Stage
from wire.quic import frames as f
from wire.quic.varint import VARINT_MAX, encode_varint

BOTH = ("server", "client")
BIDI, UNI = 0, 2


class Mistake(NamedTuple):
    """name: what is wrong. payload: of one packet; a function makes it on the stage. codes: any of which is right."""

    name: str
    payload: bytes | Callable[[Stage], bytes]
    codes: tuple[int, ...]
    victims: tuple[str, ...] = BOTH


def v(value: int) -> bytes:
    return encode_varint(value)


def stream(stream_id: int, offset: int = 0, data: bytes = b"x", *, is_fin: bool = False) -> bytes:
    kind = 0x0E | is_fin
    return bytes((kind,)) + v(stream_id) + v(offset) + v(len(data)) + data


def their_stream(stage: Stage, kind: int, index: int = 0) -> int:
    """A stream that the rogue may open."""
    return index << 2 | kind | (0 if stage.rogue.at[0] == "10.0.0.1" else 1)


def our_stream(stage: Stage, kind: int, index: int = 0) -> int:
    """A stream that only the victim opens."""
    return their_stream(stage, kind, index) ^ 1


def new_cid(number: int, cid: bytes, *, prior: int = 0, token: bytes = bytes(16)) -> bytes:
    return b"\x18" + v(number) + v(prior) + bytes((len(cid),)) + cid + token


MALFORMED = (
    Mistake("unknown frame type", v(0x21), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("unknown frame type of 8 bytes", v(1 << 40), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("frame type not in its shortest form", b"\x40\x01", (Code.PROTOCOL_VIOLATION,)),
    Mistake("frame type cut off", b"\x80\x00", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("MAX_DATA cut off", b"\x10", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("MAX_STREAM_DATA cut off", b"\x11\x04\x80", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("STREAM longer than its packet", b"\x0a\x04\x40\xff" + b"x", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("CRYPTO longer than its packet", b"\x06\x00\x40\xff" + b"x", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("PATH_CHALLENGE of seven bytes", b"\x1a" + bytes(7), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("RESET_STREAM cut off", b"\x04\x04\x00", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("CONNECTION_CLOSE with half of its reason", b"\x1c\x00\x00\x05abc", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("NEW_CONNECTION_ID without its token", b"\x18\x01\x00\x08" + bytes(8), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("ACK without its ranges", b"\x02\x05\x00\x03\x00", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("ACK below packet 0", b"\x02\x05\x00\x00\x06", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("ACK whose gap goes below packet 0", b"\x02\x05\x00\x01\x00\x05\x00", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("DATAGRAM longer than its packet", b"\x31\x40\xff" + b"x", (Code.FRAME_ENCODING_ERROR,)),
    Mistake("STREAM that ends above 2^62 - 1", lambda s: stream(their_stream(s, BIDI), VARINT_MAX, b"xx"),
            (Code.FRAME_ENCODING_ERROR, Code.FLOW_CONTROL_ERROR)),
    Mistake("CRYPTO that ends above 2^62 - 1", b"\x06" + v(VARINT_MAX) + b"\x02xx",
            (Code.FRAME_ENCODING_ERROR, Code.CRYPTO_BUFFER_EXCEEDED)),
    Mistake("MAX_STREAMS above 2^60", b"\x12" + v((1 << 60) + 1), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("MAX_STREAMS of one direction above 2^60", b"\x13" + v((1 << 60) + 1), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("STREAMS_BLOCKED above 2^60", b"\x16" + v((1 << 60) + 1),
            (Code.FRAME_ENCODING_ERROR, Code.STREAM_LIMIT_ERROR)),
    Mistake("STREAMS_BLOCKED of one direction above 2^60", b"\x17" + v((1 << 60) + 1),
            (Code.FRAME_ENCODING_ERROR, Code.STREAM_LIMIT_ERROR)),
    Mistake("RESET_STREAM_AT beyond the end",
            lambda s: f.ResetStreamAt(their_stream(s, BIDI), 0, 10, 11).encode(), (Code.FRAME_ENCODING_ERROR,)),
)  # fmt: skip

STREAMS = (
    Mistake("STREAM on a stream that only the victim sends on", lambda s: stream(our_stream(s, UNI)),
            (Code.STREAM_STATE_ERROR,)),
    Mistake("STREAM on a stream that the victim did not open", lambda s: stream(our_stream(s, BIDI)),
            (Code.STREAM_STATE_ERROR,)),
    Mistake("RESET_STREAM on a stream that only the victim sends on",
            lambda s: f.ResetStream(our_stream(s, UNI), 0, 0).encode(), (Code.STREAM_STATE_ERROR,)),
    Mistake("STREAM_DATA_BLOCKED on a stream that only the victim sends on",
            lambda s: f.StreamDataBlocked(our_stream(s, UNI), 0).encode(), (Code.STREAM_STATE_ERROR,)),
    Mistake("MAX_STREAM_DATA on a stream that the victim only receives on",
            lambda s: f.MaxStreamData(their_stream(s, UNI), 5).encode(), (Code.STREAM_STATE_ERROR,)),
    Mistake("STOP_SENDING on a stream that the victim only receives on",
            lambda s: f.StopSending(their_stream(s, UNI), 5).encode(), (Code.STREAM_STATE_ERROR,)),
    Mistake("MAX_STREAM_DATA for a stream that the victim did not open",
            lambda s: f.MaxStreamData(our_stream(s, BIDI), 5).encode(), (Code.STREAM_STATE_ERROR,)),
    Mistake("STOP_SENDING for a stream that the victim did not open",
            lambda s: f.StopSending(our_stream(s, BIDI), 5).encode(), (Code.STREAM_STATE_ERROR,)),
    Mistake("a stream above the limit", lambda s: stream(their_stream(s, BIDI, 128)), (Code.STREAM_LIMIT_ERROR,)),
    Mistake("a stream of one direction above the limit", lambda s: stream(their_stream(s, UNI, 128)),
            (Code.STREAM_LIMIT_ERROR,)),
    Mistake("the largest stream that there can be", lambda s: stream(their_stream(s, UNI, (1 << 60) - 1)),
            (Code.STREAM_LIMIT_ERROR,)),
    Mistake("RESET_STREAM of a stream above the limit",
            lambda s: f.ResetStream(their_stream(s, BIDI, 128), 0, 0).encode(), (Code.STREAM_LIMIT_ERROR,)),
    Mistake("MAX_STREAM_DATA of a stream above the limit",
            lambda s: f.MaxStreamData(their_stream(s, BIDI, 128), 0).encode(), (Code.STREAM_LIMIT_ERROR,)),
    Mistake("data above the stream's limit", lambda s: stream(their_stream(s, BIDI), 4 << 20),
            (Code.FLOW_CONTROL_ERROR,)),
    Mistake("an end above the stream's limit", lambda s: stream(their_stream(s, BIDI), (4 << 20) + 1, b"", is_fin=True),
            (Code.FLOW_CONTROL_ERROR,)),
    Mistake("a reset above the stream's limit",
            lambda s: f.ResetStream(their_stream(s, BIDI), 0, (4 << 20) + 1).encode(), (Code.FLOW_CONTROL_ERROR,)),
    Mistake("data above the connection's limit", lambda s: b"".join(
            stream(their_stream(s, BIDI, index), (4 << 20) - 1) for index in range(3)), (Code.FLOW_CONTROL_ERROR,)),
    Mistake("a reset above the connection's limit", lambda s: b"".join(
            stream(their_stream(s, BIDI, index), (4 << 20) - 1) for index in range(2))
            + f.ResetStream(their_stream(s, BIDI, 2), 0, 1).encode(), (Code.FLOW_CONTROL_ERROR,)),
    Mistake("data beyond the end", lambda s: stream(their_stream(s, BIDI), 0, b"abc", is_fin=True)
            + stream(their_stream(s, BIDI), 3, b"d"), (Code.FINAL_SIZE_ERROR,)),
    Mistake("an end before data that came", lambda s: stream(their_stream(s, BIDI), 5, b"abc")
            + stream(their_stream(s, BIDI), 0, b"abc", is_fin=True), (Code.FINAL_SIZE_ERROR,)),
    Mistake("two ends", lambda s: stream(their_stream(s, BIDI), 3, b"abc", is_fin=True)
            + stream(their_stream(s, BIDI), 3, b"abcd", is_fin=True), (Code.FINAL_SIZE_ERROR,)),
    Mistake("a reset with another end", lambda s: stream(their_stream(s, BIDI), 3, b"abc", is_fin=True)
            + f.ResetStream(their_stream(s, BIDI), 0, 5).encode(), (Code.FINAL_SIZE_ERROR,)),
    Mistake("a reset before data that came", lambda s: stream(their_stream(s, BIDI), 3, b"abc")
            + f.ResetStream(their_stream(s, BIDI), 0, 5).encode(), (Code.FINAL_SIZE_ERROR,)),
)  # fmt: skip

IDENTIFIERS = (
    Mistake("Retire Prior To above the number", new_cid(2, bytes(8), prior=3), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("a connection ID of no length", new_cid(2, b""), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("a connection ID of 21 bytes", new_cid(2, bytes(21)), (Code.FRAME_ENCODING_ERROR,)),
    Mistake("two IDs with a number", new_cid(9, b"12345678") + new_cid(9, b"87654321"), (Code.PROTOCOL_VIOLATION,)),
    Mistake("two tokens with an ID", new_cid(9, b"12345678") + new_cid(9, b"12345678", token=b"t" * 16),
            (Code.PROTOCOL_VIOLATION,)),
    Mistake("an ID with two numbers", new_cid(9, b"12345678") + new_cid(10, b"12345678"), (Code.PROTOCOL_VIOLATION,)),
    Mistake("more IDs than the limit", b"".join(new_cid(number, b"%08d" % number) for number in range(20, 29)),
            (Code.CONNECTION_ID_LIMIT_ERROR,)),
    Mistake("retiring what was never given", f.RetireConnectionId(99).encode(), (Code.PROTOCOL_VIOLATION,)),
    Mistake("retiring the packet's own ID", f.RetireConnectionId(0).encode(), (Code.PROTOCOL_VIOLATION,)),
    Mistake("PATH_RESPONSE to nothing", f.PathResponse(b"12345678").encode(), (Code.PROTOCOL_VIOLATION,)),
)  # fmt: skip

OTHERS = (
    Mistake("no frames", b"", (Code.PROTOCOL_VIOLATION,)),
    Mistake("ACK of what was never sent", f.Ack([(100_000, 100_000)], 0).encode(), (Code.PROTOCOL_VIOLATION,)),
    Mistake("ACK of the largest number that there is", f.Ack([(VARINT_MAX, VARINT_MAX)], 0).encode(),
            (Code.PROTOCOL_VIOLATION,)),
    Mistake("CRYPTO far ahead", b"\x06" + v(1 << 20) + b"\x01x", (Code.CRYPTO_BUFFER_EXCEEDED,)),
    Mistake("NEW_TOKEN from a client", f.NewToken(b"token").encode(), (Code.PROTOCOL_VIOLATION,), ("server",)),
    Mistake("HANDSHAKE_DONE from a client", b"\x1e", (Code.PROTOCOL_VIOLATION,), ("server",)),
    Mistake("NEW_TOKEN that is empty", f.NewToken(b"").encode(), (Code.FRAME_ENCODING_ERROR,), ("client",)),
    Mistake("TLS KeyUpdate", f.Crypto(0, b"\x18\x00\x00\x01\x00").encode(), (0x10A,), ("server",)),
    Mistake("a ticket from a client", f.Crypto(0, b"\x04\x00\x00\x01\x00").encode(), (0x10A,), ("server",)),
    Mistake("ACK_FREQUENCY with 2^14 ms", f.AckFrequency(0, 1, (1 << 14) * 1000, 1).encode(),
            (Code.PROTOCOL_VIOLATION,)),
    Mistake("ACK_FREQUENCY below our least delay", f.AckFrequency(0, 1, 999, 1).encode(), (Code.PROTOCOL_VIOLATION,)),
)  # fmt: skip

ALL = MALFORMED + STREAMS + IDENTIFIERS + OTHERS


@pytest.mark.parametrize(
    ("mistake", "victim"),
    [pytest.param(m, victim, id=f"{victim}-{m.name}".replace(" ", "-")) for m in ALL for victim in m.victims],
)
def test_a_mistake_gets_its_code_and_others_go_on(mistake: Mistake, victim: str) -> None:
    stage = Stage(victim)
    payload = mistake.payload if isinstance(mistake.payload, bytes) else mistake.payload(stage)
    assert stage.attack(payload) in mistake.codes
    assert stage.bystander_lives()


@pytest.mark.parametrize("victim", BOTH)
def test_what_is_right_gets_no_code(victim: str) -> None:
    """The same script, without a mistake: else all of the above would say nothing."""
    stage = Stage(victim)
    good = stream(their_stream(stage, BIDI), 0, b"abc", is_fin=True) + f.MaxData(1 << 30).encode() + b"\x01"
    assert stage.attack(good, new_cid(9, b"12345678"), f.PathChallenge(b"12345678").encode()) is None
    assert stage.is_alive
    assert f.PathResponse(b"12345678") in stage.rogue.all(f.PathResponse)
    assert stage.rogue.all(f.Ack)


@pytest.mark.parametrize("victim", BOTH)
@pytest.mark.parametrize("reserved", [1, 2, 3])
def test_reserved_bits_are_a_violation(victim: str, reserved: int) -> None:
    stage = Stage(victim)
    stage.rogue.send(b"\x01", reserved=reserved)
    assert stage.attack() == Code.PROTOCOL_VIOLATION


@pytest.mark.parametrize("victim", BOTH)
def test_a_datagram_that_was_not_agreed_on_is_a_violation(victim: str) -> None:
    stage = Stage(victim, **{victim: {"max_datagram_frame_bytes": 0}})
    assert stage.attack(b"\x30hello") == Code.PROTOCOL_VIOLATION


@pytest.mark.parametrize("victim", BOTH)
def test_a_datagram_larger_than_agreed_on_is_a_violation(victim: str) -> None:
    stage = Stage(victim, **{victim: {"max_datagram_frame_bytes": 100}})
    assert stage.attack(b"\x31\x40\x61" + bytes(97)) is None  # 100 bytes with type and length
    assert stage.attack(b"\x31\x40\x62" + bytes(98)) == Code.PROTOCOL_VIOLATION


@pytest.mark.parametrize("victim", BOTH)
@pytest.mark.parametrize("payload", [f.AckFrequency(0, 1, 25_000, 1).encode(), b"\x1f"], ids=["frequency", "immediate"])
def test_ack_frequency_that_was_not_offered_is_no_frame(victim: str, payload: bytes) -> None:
    stage = Stage(victim, **{victim: {"min_ack_delay_ns": 0}})
    assert stage.attack(payload) in (Code.FRAME_ENCODING_ERROR, Code.PROTOCOL_VIOLATION)


@pytest.mark.parametrize("victim", BOTH)
def test_a_second_key_update_before_the_first_was_acknowledged_is_an_error_or_not_heard(victim: str) -> None:
    stage = Stage(victim)
    stage.rogue.update_keys()
    stage.rogue.send(f.PathChallenge(b"phase 1!").encode())
    stage.rogue.update_keys()
    assert stage.attack(f.PathChallenge(b"phase 2!").encode()) in (None, Code.KEY_UPDATE_ERROR)
    responses = stage.rogue.all(f.PathResponse)
    assert f.PathResponse(b"phase 2!") not in responses
    assert f.PathResponse(b"phase 1!") in responses or stage.code is not None


@pytest.mark.parametrize("victim", BOTH)
def test_a_packet_of_former_keys_above_one_of_new_keys_is_an_error(victim: str) -> None:
    stage = Stage(victim)
    former = stage.rogue.packet(b"\x01", number=2000)
    stage.rogue.update_keys()
    assert stage.attack(b"\x01") is None
    stage.rogue.send_datagram(former)
    assert stage.attack() == Code.KEY_UPDATE_ERROR
