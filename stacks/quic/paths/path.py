"""One path: a pair of addresses, what may be sent on it, and whether the peer is really there (RFC 9000 8)."""

from __future__ import annotations

import random

from stacks.quic.paths.mtu import MtuDiscovery
from stacks.quic.paths.validation import PathValidation
from stacks.quic.recovery import PathCongestion
from transports.datagram import Address

AMPLIFICATION = 3
NO_LIMIT = 1 << 62


class Path:
    """local, remote: its addresses. peer_cid: of the packets on it; local_cid: ours, that the peer's on it had.

    received_bytes, sent_bytes: of UDP payload. is_validated: the peer is known to be at `remote`, so that nothing but
    congestion limits what is sent (8.1). congestion, mtu: of the path alone, but for one whose port alone differs from
    another's (9.4). frames: its challenges and responses. is_wanted: it is to be used once it is validated.
    forget_ns: when it is of no more use, None while it is. number: counted from 0, the handshake's.
    """

    __slots__ = (
        "congestion", "forget_ns", "frames", "is_validated", "is_wanted", "local", "local_cid", "mtu", "number",
        "peer_cid", "received_bytes", "remote", "sent_bytes",
    )  # fmt: skip

    def __init__(
        self,
        local: Address,
        remote: Address,
        *,
        peer_cid: bytes,
        congestion: PathCongestion,
        mtu: MtuDiscovery,
        rng: random.Random,
    ) -> None:
        self.local = local
        self.remote = remote
        self.peer_cid = peer_cid
        self.number = 0
        self.local_cid = b""
        self.congestion = congestion
        self.mtu = mtu
        self.frames = PathValidation(rng)
        self.received_bytes = self.sent_bytes = 0
        self.is_validated = False
        self.is_wanted = False
        self.forget_ns: int | None = None

    @property
    def datagram_bytes(self) -> int:
        """The largest UDP payload at present."""
        return self.mtu.datagram_bytes

    def budget_bytes(self) -> int:
        """What may be sent before the peer's address is validated (8.1): three times what came from it."""
        if self.is_validated:
            return NO_LIMIT
        return max(0, AMPLIFICATION * self.received_bytes - self.sent_bytes)

    def due_ns(self) -> int | None:
        """When something is to be done about it: challenge it again, give it up, forget it. None for never."""
        due_ns, forget_ns = self.frames.due_ns, self.forget_ns
        if due_ns is None or (forget_ns is not None and forget_ns < due_ns):
            return forget_ns
        return due_ns
