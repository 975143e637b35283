"""Any frames in Initial, Handshake and 0-RTT packets of a peer with the keys, to a handshake that stands still.

The first byte says where it stands and who the victim is; the rest are records: one byte of milliseconds that pass
behind the packet, two of length, and so many of payload.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.quic.connection import ConnectionState
from stacks.quic.errors import TransportErrorCode
from tests.fuzz.quic_frames import changed_frames, frames_to_begin_with
from tests.stacks.quic.malicious.opening import Opening
from tests.stacks.quic.rig import MILLISECOND_NS, SECOND_NS

PACKETS_MAX = 40
PAYLOAD_MAX = 1100
CODES = {int(code) for code in TransportErrorCode} - {int(TransportErrorCode.INTERNAL_ERROR)}
PLACES = (
    ("server", "initial"), ("client", "initial"), ("server", "handshake"), ("client", "handshake"),
    ("server", "zero_rtt"),
)  # fmt: skip
UNVALIDATED = (("server", "initial"), ("server", "zero_rtt"))


def check(data: bytes) -> None:
    """Send the packets, and check everything that must hold; raises whatever does not."""
    place = PLACES[(data or b"\0")[0] % len(PLACES)]
    opening = Opening(*place)
    victim = opening.victim
    assert victim is not None
    sent = 1200
    for pause_ms, payload in records(data[1:]):
        packet = opening.packet(payload)
        sent += len(packet)
        opening.send(packet)
        if pause_ms:
            opening.rig.run(pause_ms * MILLISECOND_NS)
    opening.rig.run(30 * MILLISECOND_NS)
    reason = victim.close_reason
    if reason is not None and not reason.by_peer and not reason.is_silent:
        assert reason.code in CODES or 0x100 <= reason.code < 0x200, f"closed with {reason.code:#x}"
    opening.rig.run(200 * SECOND_NS)
    assert victim.state == ConnectionState.CLOSED, "a handshake stayed for ever"
    if place in UNVALIDATED:
        assert sum(map(len, opening.answers)) <= 3 * sent, "more than three times what came (RFC 9000 8.1)"


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Pauses in milliseconds, and payloads."""
    offset = count = 0
    while offset + 3 <= len(data) and count < PACKETS_MAX:
        pause_ms = data[offset]
        length = min(int.from_bytes(data[offset + 1 : offset + 3], "big"), PAYLOAD_MAX)
        offset += 3
        yield pause_ms, data[offset : offset + length]
        offset += length
        count += 1


def record(payload: bytes, pause_ms: int = 0) -> bytes:
    """The inverse for one."""
    return bytes((pause_ms,)) + len(payload).to_bytes(2, "big") + payload


def seeds() -> list[bytes]:
    """Frames alone and together, at each place."""
    payloads = [payload[:PAYLOAD_MAX] for payload in frames_to_begin_with()]
    return [bytes((index % len(PLACES),)) + record(payload, 5) for index, payload in enumerate(payloads)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Other payloads, more and fewer, elsewhere, with other pauses."""
    control = int(rng.random() * len(PLACES)) if rng.random() < 0.3 else (data or b"\0")[0]
    out = bytes((control,))
    for pause_ms, payload in [*records(data[1:]), (0, b"")]:
        if rng.random() < 0.7:
            payload = changed_frames(payload, rng)[:PAYLOAD_MAX]
        if rng.random() < 0.2:
            pause_ms = int(rng.random() * 60)
        out += record(payload, pause_ms)
    return out
