"""Any frames from a peer with the keys to a whole connection, in virtual time.

The first byte says who the victim is (bit 0), whether the victim has data to send (bit 1), and which packets carry the
frames: 1-RTT (bits 2 and 3 not both set), or those of the handshake that stands still. The rest are records: two bytes
of length, and so many of payload. A length with its highest bit set is followed by a pause of so many milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.errors import TransportErrorCode
from tests.stacks.quic.malicious.opening import Opening
from tests.stacks.quic.malicious.stage import Stage
from tests.stacks.quic.malicious.test_frames import ALL
from tests.stacks.quic.malicious.test_long_packets import FRAMES
from tests.stacks.quic.rig import MILLISECOND_NS, SECOND_NS
from wire.quic import frames as f
from wire.quic.varint import encode_varint

PACKETS_MAX = 60
PAYLOAD_MAX = 1150
CODES = {int(code) for code in TransportErrorCode}
PLACES = (("server", "initial"), ("client", "initial"), ("server", "handshake"), ("client", "handshake"))


def check(data: bytes) -> None:
    """Send the packets, and check everything that must hold; raises whatever does not."""
    control, rest = (data or b"\0")[0], data[1:]
    if control & 12 == 12:
        _check_opening(PLACES[control & 3], rest)
    else:
        _check_stage("client" if control & 1 else "server", rest, is_sending=bool(control & 2))


def _check_stage(name: str, data: bytes, *, is_sending: bool) -> None:
    stage = Stage(name, has_bystander=False)
    victim, rogue = stage.victim, stage.rogue
    if is_sending:
        victim.write(victim.open_stream(), b"data" * 5000, is_fin=True)
    for pause_ms, payload in records(data):
        rogue.send(payload)
        if pause_ms:
            rogue.run(pause_ms * MILLISECOND_NS)
    rogue.run()
    _check_end(victim)
    if stage.is_alive:
        rogue.send(f.PathChallenge(b"alive???").encode() + f.MaxData(1 << 30).encode())
        rogue.run()
        assert stage.is_alive
    while victim.poll_event() is not None:
        pass
    rogue.run(100 * SECOND_NS)
    assert not stage.endpoint.connections, "a connection stayed for ever"


def _check_opening(place: tuple[str, str], data: bytes) -> None:
    opening = Opening(*place)
    assert opening.victim is not None
    for pause_ms, payload in records(data):
        opening.send(opening.packet(payload))
        if pause_ms:
            opening.rig.run(pause_ms * MILLISECOND_NS)
    opening.rig.run(30 * MILLISECOND_NS)
    _check_end(opening.victim)
    opening.rig.run(200 * SECOND_NS)
    assert opening.victim.state == ConnectionState.CLOSED, "a handshake stayed for ever"


def _check_end(victim: Connection) -> None:
    reason = victim.close_reason
    if reason is not None and not reason.by_peer and not reason.is_silent:
        assert reason.code in CODES or 0x100 <= reason.code < 0x200, f"closed with {reason.code:#x}"
        assert reason.code != TransportErrorCode.INTERNAL_ERROR
    deadline_ns = victim.poll_deadline()
    assert deadline_ns is not None or victim.state == ConnectionState.CLOSED


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Pauses and payloads."""
    offset = count = 0
    while offset + 2 <= len(data) and count < PACKETS_MAX:
        length = int.from_bytes(data[offset : offset + 2], "big")
        offset += 2
        pause_ms = 0
        if length & 0x8000 and offset < len(data):
            pause_ms = data[offset]
            offset += 1
        length = min(length & 0x7FFF, PAYLOAD_MAX)
        yield pause_ms, data[offset : offset + length]
        offset += length
        count += 1


def record(payload: bytes, pause_ms: int = 0) -> bytes:
    """The inverse for one."""
    if not pause_ms:
        return len(payload).to_bytes(2, "big") + payload
    return (len(payload) | 0x8000).to_bytes(2, "big") + bytes((pause_ms,)) + payload


def seeds() -> list[bytes]:
    """Every mistake that is known, and every frame, alone."""
    known = [mistake.payload for mistake in ALL if isinstance(mistake.payload, bytes)]
    known += [frame for frame, _ in FRAMES.values()]
    return [bytes((control,)) + record(payload, 5) for control in (0, 1) for payload in known]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Other frames in front, behind and within; lengths that fit."""
    control = int(rng.random() * 16) if rng.random() < 0.3 else (data or b"\0")[0]
    payloads = [payload for _, payload in records(data[1:])]
    for _ in range(1 + int(rng.random() * 6)):
        payloads.insert(int(rng.random() * (len(payloads) + 1)), _some_frames(rng))
    out = bytes((control,))
    for payload in payloads:
        changed = bytearray(payload)
        if changed and rng.random() < 0.2:
            changed[int(rng.random() * len(changed))] = int(rng.random() * 256)
        out += record(bytes(changed), int(rng.random() * 40) if rng.random() < 0.3 else 0)
    return out


def _some_frames(rng: random.Random) -> bytes:
    return b"".join(_some_frame(rng) for _ in range(1 + int(rng.random() * 5)))


def _some_frame(rng: random.Random) -> bytes:
    kind = int(rng.random() * 6)
    stream = int(rng.random() * 12)
    if kind == 0:
        size = int(rng.random() * 30)
        head = 0x0E | int(rng.random() * 2)
        return bytes((head,)) + encode_varint(stream) + encode_varint(_number(rng)) + encode_varint(size) + bytes(size)
    if kind == 1:
        first = int(rng.random() * 40)
        return f.Ack([(first, first + int(rng.random() * 8))], _number(rng)).encode()
    if kind == 2:
        return f.Crypto(_number(rng), bytes(int(rng.random() * 40))).encode()
    if kind == 3:
        number = int(rng.random() * 12)
        return f.NewConnectionId(number, int(rng.random() * (number + 1)), b"%08d" % number, bytes(16)).encode()
    if kind == 4:
        chosen = f.INTEGER_FRAMES[int(rng.random() * len(f.INTEGER_FRAMES))]
        values = [stream if name == "stream_id" else _number(rng) for name in chosen.FIELDS]
        return chosen(*values).encode()
    frame, _ = list(FRAMES.values())[int(rng.random() * len(FRAMES))]
    return frame


def _number(rng: random.Random) -> int:
    choice = int(rng.random() * 5)
    return (int(rng.random() * 8), int(rng.random() * 3000), 1 << 20, (1 << 60) + 1, (1 << 62) - 1)[choice]
