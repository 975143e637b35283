"""Address validation tokens: of Retry and of NEW_TOKEN (RFC 9000 8.1).

Sealed with a key of the server, so that only it can make and read them, and bound to the client: a Retry token to its
address and port, for seconds; one of NEW_TOKEN to its address alone, for days, and to one use. Either is good in the
version of QUIC in which it was given alone (RFC 9369 5). The first byte says which it is, to anybody.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stacks.quic.randomness import random_bytes
from transports.datagram import Address

RETRY, NEW = 0x52, 0x4E


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is good. original_destination_cid, retry_source_cid: of a Retry."""

    is_retry: bool
    original_destination_cid: bytes = b""
    retry_source_cid: bytes = b""


class TokenKeeper:
    """Makes and reads tokens. key: of the server, any length.

    Each NEW_TOKEN token is taken once, as far as it remembers: the last `REMEMBERED`, in this process. Whoever steals
    an older one still has to be at the address that it names.
    """

    __slots__ = ("_aead", "_used")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(hashlib.sha256(b"token" + key).digest())
        self._used: OrderedDict[bytes, None] = OrderedDict()

    def seal_retry(
        self,
        client: Address,
        original_destination_cid: bytes,
        retry_source_cid: bytes,
        *,
        version: int,
        now: int,
        rng: random.Random,
    ) -> bytes:
        """A token for a Retry packet."""
        cids = len(original_destination_cid).to_bytes(1, "big") + original_destination_cid + retry_source_cid
        return self._seal(RETRY, _bound(RETRY, client, version), cids, now, rng)

    def seal_new_token(self, client: Address, *, version: int, now: int, rng: random.Random) -> bytes:
        """A token for NEW_TOKEN."""
        return self._seal(NEW, _bound(NEW, client, version), b"", now, rng)

    def is_retry_token(self, token: bytes) -> bool:
        """Whether it claims to be of a Retry; anybody can claim that."""
        return token[:1] == bytes((RETRY,))

    def open(self, token: bytes, client: Address, *, version: int, now: int) -> Token | None:
        """The token, where it is ours, for this client and version, and not too old; else None."""
        if len(token) < OVERHEAD_BYTES or token[0] not in (RETRY, NEW):
            return None
        kind, nonce, sealed = token[0], token[1:13], token[13:]
        try:
            plain = self._aead.decrypt(nonce, sealed, _bound(kind, client, version))
        except InvalidTag:
            return None
        made_ns = int.from_bytes(plain[:8], "big")
        if not 0 <= now - made_ns <= (RETRY_LIFE_NS if kind == RETRY else NEW_LIFE_NS):
            return None
        if kind == RETRY:
            end = 9 + plain[8]
            return Token(True, plain[9:end], plain[end:])
        if nonce in self._used:
            return None
        self._used[nonce] = None
        if len(self._used) > REMEMBERED:
            self._used.popitem(last=False)
        return Token(False)

    def _seal(self, kind: int, bound: bytes, body: bytes, now: int, rng: random.Random) -> bytes:
        nonce = random_bytes(rng, 12)
        return bytes((kind,)) + nonce + self._aead.encrypt(nonce, now.to_bytes(8, "big") + body, bound)


def _bound(kind: int, client: Address, version: int) -> bytes:
    """What has to be the same when the token comes back: kind, version, and the client's address, of Retry its port."""
    address = f"{client[0]} {client[1]}" if kind == RETRY else client[0]
    return bytes((kind,)) + version.to_bytes(4, "big") + address.encode()


OVERHEAD_BYTES = 1 + 12 + 8 + 16
RETRY_LIFE_NS = 30_000_000_000
NEW_LIFE_NS = 7 * 86_400 * 1_000_000_000
REMEMBERED = 10_000
