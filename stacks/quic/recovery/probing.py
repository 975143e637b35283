"""The probe timeout: when silence has lasted so long that something must be sent (RFC 9002 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.recovery.congestion import PathCongestion
from stacks.quic.recovery.space import SpaceRecovery


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe timeout wants: `count` ack-eliciting packets in `space`."""

    space: int
    count: int


class ProbeTimer:
    """Of one connection.

    backoff: how often the timeout is doubled. is_handshake_confirmed: only then 1-RTT packets are probed for (6.2.1).
    is_peer_validated: the peer is known to have validated our address, so that it cannot be waiting for us; a server
    is nobody's subject to that (6.2.2.1). has_handshake_keys: of a client, to probe with. is_blocked: a server may send
    nothing more before the client's address is validated. peer_delay_ns: the longest that the peer delays ACKs of 1-RTT
    packets. idle_base_ns: since when nothing is out that asks for an acknowledgement.
    """

    __slots__ = (
        "backoff", "has_handshake_keys", "idle_base_ns", "is_blocked", "is_handshake_confirmed", "is_peer_validated",
        "peer_delay_ns",
    )  # fmt: skip

    def __init__(self, *, is_client: bool, peer_delay_ns: int, now: int) -> None:
        self.backoff = 0
        self.is_handshake_confirmed = False
        self.is_peer_validated = not is_client
        self.has_handshake_keys = False
        self.is_blocked = False
        self.peer_delay_ns = peer_delay_ns
        self.idle_base_ns = now

    def period_ns(self, path: PathCongestion, space: int) -> int:
        """The probe timeout, not doubled (6.2.1)."""
        return path.pto_ns() + self.peer_delay_ns if space == SPACE_APPLICATION else path.pto_ns()

    def due(self, path: PathCongestion, spaces: Sequence[SpaceRecovery]) -> tuple[int, int] | None:
        """When the timeout is due, and in which space (6.2.1, 6.2.2)."""
        if self.is_blocked:
            return None
        earliest: tuple[int, int] | None = None
        for number, space in enumerate(spaces):
            if not space.eliciting or (number == SPACE_APPLICATION and not self.is_handshake_confirmed):
                continue
            due_ns = space.last_eliciting_ns + (self.period_ns(path, number) << self.backoff)
            if earliest is None or due_ns < earliest[0]:
                earliest = due_ns, number
        if earliest is None and not self.is_peer_validated:
            number = SPACE_HANDSHAKE if self.has_handshake_keys else SPACE_INITIAL
            return self.idle_base_ns + (self.period_ns(path, number) << self.backoff), number
        return earliest

    def expired(self) -> None:
        """The timeout has come: the next takes twice as long."""
        self.backoff = min(self.backoff + 1, MAX_BACKOFF)

    def acknowledged(self) -> None:
        """Something was newly acknowledged.

        A client may not start over while the server may be unable to send for want of a validated address: what it
        acknowledges are Initial packets, and those it cannot decrypt yet may be lost as well (6.2.1).
        """
        if self.is_peer_validated:
            self.backoff = 0


MAX_BACKOFF = 10
