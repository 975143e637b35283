"""Stateless resets, both ways (RFC 9000 10.3): the answer to packets of nobody, and which datagrams are resets."""

from __future__ import annotations

import hashlib
import random

from stacks.quic.connection.connection import Connection
from stacks.quic.connection.counters import EndpointCounters
from stacks.quic.paths import ResetToken, build_reset, reset_token
from stacks.quic.randomness import random_bytes
from transports.datagram import Address, Burst, Transmit


class StatelessResets:
    """Answers with resets, a bounded number in each second, so that nobody can be flooded by way of us.

    key: of all the tokens of this endpoint. One that is to survive a restart of the program is given.
    """

    def __init__(self, rng: random.Random, counters: EndpointCounters, key: bytes = b"") -> None:
        self.key = key or random_bytes(rng, KEY_BYTES)
        self._rng = rng
        self._counters = counters
        self._second = -1
        self._sent = 0

    def answer(self, datagram: memoryview, connection_id: bytes, burst: Burst, now: int) -> Transmit | None:
        """A reset for a datagram that is of no connection; None where it is too short, or there were too many."""
        if now // SECOND_NS != self._second:
            self._second, self._sent = now // SECOND_NS, 0
        reset = None
        if self._sent < PER_SECOND:
            reset = build_reset(self._rng, len(datagram), reset_token(self.key, connection_id))
        if reset is None:
            self._counters.dropped_unknown += 1
            return None
        self._sent += 1
        self._counters.stateless_resets_sent += 1
        return Transmit([reset], 0, burst.destination, burst.source)


class ResetTokens:
    """The tokens that peers gave us, by their hashes: looking one up takes the same time for each guess (10.3.1)."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, Connection] = {}
        self._digests: dict[Connection, set[bytes]] = {}

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._by_digest)

    def change(self, token: ResetToken, connection: Connection) -> None:
        """A connection ID with this token is used, or is no more."""
        digest = _digest(token.token)
        if token.is_addition:
            if self._by_digest.setdefault(digest, connection) is connection:
                self._digests.setdefault(connection, set()).add(digest)
        elif self._by_digest.get(digest) is connection:
            del self._by_digest[digest]
            self._digests[connection].discard(digest)

    def match(self, tail: bytes, remote: Address) -> Connection | None:
        """The connection that a datagram with these last 16 bytes resets, or None; it has to come from the peer."""
        connection = self._by_digest.get(_digest(tail)) if self._by_digest else None
        return connection if connection is not None and connection.is_peer(remote) else None

    def forget(self, connection: Connection) -> None:
        """Forget all of a connection."""
        for digest in self._digests.pop(connection, ()):
            del self._by_digest[digest]


def _digest(token: bytes) -> bytes:
    return hashlib.blake2s(token, digest_size=16).digest()


KEY_BYTES = 32
PER_SECOND = 1000
SECOND_NS = 1_000_000_000
