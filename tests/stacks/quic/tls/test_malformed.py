"""Bytes that nobody should send: each ends in a QuicError that says a code, never in another exception."""

from __future__ import annotations

import random

import pytest

from stacks.quic.errors import QuicError
from tests.stacks.quic.tls.rig import Ends, ends, server_settings, ticket_of

PIECES = 4  # ClientHello, ServerHello, the server's Handshake flight, the client's Finished


def _run(piece: int, damage: object, **options: object) -> str:
    """One handshake in which a piece is damaged: what became of it."""
    seen = 0

    def change(_client: bool, _level: int, data: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return damage(data) if seen == piece + 1 else data  # type: ignore[operator,no-any-return]

    try:
        run: Ends = ends(**options).run(change=change)  # type: ignore[arg-type]
    except QuicError as error:
        return "refused" if error.code and str(error) else "refused without a word"
    return "complete" if run.client.is_complete and run.server.is_complete else "waiting"


@pytest.mark.parametrize("piece", range(PIECES))
def test_truncated_messages_wait_or_are_refused(piece: int) -> None:
    for cut in range(1, 40):
        assert _run(piece, lambda data, cut=cut: data[:-cut]) in {"waiting", "refused"}


@pytest.mark.parametrize("piece", range(PIECES))
def test_message_shortened_inside_is_refused(piece: int) -> None:
    """The header says the true length, and what is inside ends too early."""
    outcomes = set()
    for cut in range(1, 200, 7):

        def shorten(data: bytes, cut: int = cut) -> bytes:
            length = int.from_bytes(data[1:4], "big")
            return (
                data[:1]
                + max(length - cut, 0).to_bytes(3, "big")
                + data[4 : max(4 + length - cut, 4)]
                + data[4 + length :]
            )

        outcomes.add(_run(piece, shorten))
    assert outcomes == {"refused"}


@pytest.mark.parametrize("is_resuming", [False, True])
@pytest.mark.parametrize("piece", range(PIECES))
def test_any_byte_changed_is_refused_or_waits(piece: int, is_resuming: bool) -> None:
    """Every byte of the handshake is authenticated, so that no change of one completes it on both sides."""
    rng = random.Random(piece)
    server = server_settings()
    options: dict[str, object] = {"server": server}
    if is_resuming:
        options |= {"ticket": ticket_of(server), "now": 1}
    outcomes = {"refused": 0, "waiting": 0, "complete": 0, "refused without a word": 0}
    for _ in range(120):
        position, value = rng.random(), 1 + int(rng.random() * 255)

        def flip(data: bytes, position: float = position, value: int = value) -> bytes:
            at = int(position * len(data))
            return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :]

        outcomes[_run(piece, flip, **options)] += 1
    assert outcomes["complete"] == outcomes["refused without a word"] == 0
    assert outcomes["refused"] > 60


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_refused_or_wait(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        noise = rng.randbytes(1 + int(rng.random() * 300))
        for end in (ends().server, ends().client):
            for kind in (b"", b"\x01\x00\x00", b"\x02\x00\x00"):
                try:
                    end.handle_crypto(0, kind + noise, 0)
                except QuicError:
                    break
