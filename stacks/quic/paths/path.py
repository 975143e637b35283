"""One path: a pair of addresses, what may be sent on it, and whether the peer is really there (RFC 9000 8)."""

from __future__ import annotations

import random

from stacks.quic.packet_writer import PacketWriter
from stacks.quic.paths.mtu import MtuDiscovery
from stacks.quic.randomness import random_bytes
from stacks.quic.recovery import PathCongestion
from transports.datagram import Address
from wire.quic.frames import PathChallenge, PathResponse

AMPLIFICATION = 3
NO_LIMIT = 1 << 62


class PathFrames:
    """A `FrameSource` for PATH_CHALLENGE and PATH_RESPONSE, which belong on one path and are never sent again."""

    __slots__ = ("_rng", "challenges", "has_frames", "is_challenge_due", "responses")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.has_frames = False
        self.is_challenge_due = False
        self.challenges: list[bytes] = []
        self.responses: list[bytes] = []

    def challenge(self) -> None:
        """Ask the peer to show that it is there."""
        self.is_challenge_due = self.has_frames = True

    def respond(self, data: bytes) -> None:
        """Answer a challenge; of many that wait, the oldest are not (21.8)."""
        self.responses.append(data)
        del self.responses[:-MAX_RESPONSES]
        self.has_frames = True

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        while self.responses:
            if not packet.put(PathResponse(self.responses[0]).encode()):
                return
            del self.responses[0]
        if self.is_challenge_due:
            data = random_bytes(self._rng, 8)
            if not packet.put(PathChallenge(data).encode()):
                return
            self.challenges.append(data)
            del self.challenges[:-MAX_CHALLENGES]
            self.is_challenge_due = False
        self.has_frames = False


class Path:
    """local, remote: its addresses. peer_cid: of the packets on it. number: counted from 0, the handshake's.

    received_bytes, sent_bytes: of UDP payload. is_validated: the peer is known to be at `remote`. congestion, mtu: of
    the path alone. frames: that have to be sent on it. retry_ns, until_ns: of its validation, None for none.
    """

    __slots__ = (
        "congestion", "frames", "is_validated", "local", "mtu", "number", "peer_cid", "received_bytes", "remote",
        "retry_ns", "sent_bytes", "until_ns",
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
        self.congestion = congestion
        self.mtu = mtu
        self.number = 0
        self.frames = PathFrames(rng)
        self.received_bytes = self.sent_bytes = 0
        self.is_validated = False
        self.retry_ns: int | None = None
        self.until_ns: int | None = None

    @property
    def datagram_bytes(self) -> int:
        """The largest UDP payload at present."""
        return self.mtu.datagram_bytes

    def budget_bytes(self) -> int:
        """What may be sent before the peer's address is validated (8.1): three times what came from it."""
        if self.is_validated:
            return NO_LIMIT
        return max(0, AMPLIFICATION * self.received_bytes - self.sent_bytes)


MAX_RESPONSES = 4
MAX_CHALLENGES = 8
