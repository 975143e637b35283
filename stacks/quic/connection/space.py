"""A packet number space: its keys, numbers, acknowledgements and CRYPTO stream (RFC 9000 12.3, RFC 9001 2.1)."""

from __future__ import annotations

from stacks.quic.keys import Opener, Sealer
from stacks.quic.recovery import ReceivedPackets
from stacks.quic.streams.crypto import CryptoReceiver, CryptoSender


class Space:
    """One of three.

    number: SPACE_INITIAL, SPACE_HANDSHAKE or SPACE_APPLICATION. level: of its CRYPTO frames. sealer, opener: of long
    packets, None before there are keys and after they were discarded; 1-RTT keys are `OneRttKeys`, elsewhere.
    is_open: whether it has not been discarded. probes: packets that the probe timeout wants sent, whatever the window.
    """

    __slots__ = (
        "crypto_in", "crypto_out", "is_open", "level", "number", "opener", "probes", "received", "sealer",
    )  # fmt: skip

    def __init__(self, number: int, level: int, received: ReceivedPackets, *, crypto_buffer_bytes: int) -> None:
        self.number = number
        self.level = level
        self.received = received
        self.crypto_out = CryptoSender()
        self.crypto_in = CryptoReceiver(crypto_buffer_bytes)
        self.sealer: Sealer | None = None
        self.opener: Opener | None = None
        self.probes = 0
        self.is_open = True

    def discard(self) -> None:
        """Its keys are gone: nothing is sent or received in it any more (RFC 9001 4.9)."""
        self.sealer = self.opener = None
        self.probes = 0
        self.is_open = False
