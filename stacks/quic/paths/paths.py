"""The paths of a connection: the one in use, others that are tried, and how it moves (RFC 9000 9).

    a packet from another address  -> a path of its own, challenged; not probing, and the newest: it is followed
    validated                      -> it stays; not validated in time -> back to the last that was
    migrate, preferred address     -> challenged first, and used when the peer answers
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import Event, PathChanged
from stacks.quic.paths.mtu import MtuDiscovery
from stacks.quic.paths.path import Path
from stacks.quic.paths.peer_ids import PeerConnectionIds
from stacks.quic.recovery import PathCongestion
from stacks.runtime import LocalError
from transports.datagram import Address
from wire.quic.parameters import TransportParameters


class Paths:
    """active: where packets go. events: for the application. on_change: called when another path becomes active."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        is_client: bool,
        local: Address,
        remote: Address,
        peer_ids: PeerConnectionIds,
        rng: random.Random,
        make_congestion: Callable[[int], PathCongestion],
        now: int,
    ) -> None:
        self.events: deque[Event] = deque()
        self.on_change: Callable[[Path, int], object] | None = None
        self._configuration = configuration
        self._is_client = is_client
        self._peer_ids = peer_ids
        self._rng = rng
        self._make_congestion = make_congestion
        self._is_confirmed = False
        self._challenges = 0
        self._made = 0
        self._parameters: TransportParameters | None = None
        self._max_bytes = configuration.max_probe_bytes
        self.active = self._make(local, remote, peer_ids.current, now)
        self.active.is_validated = is_client
        self._others: list[Path] = []
        self._validated = self.active
        self._is_following: Path | None = None  # the path that we go to when it is validated

    # In

    def received(self, local: Address, remote: Address, size: int, now: int) -> Path | None:
        """The path of a datagram of `size` bytes; None where it is to be dropped (9: no migration before the end of
        the handshake, and servers do not move).
        """
        path = self.active
        if path.remote != remote or path.local != local:
            found = next((other for other in self._others if other.remote == remote and other.local == local), None)
            if found is None:
                found = self._accept(local, remote, now)
                if found is None:
                    return None
            path = found
        path.received_bytes += size
        return path

    def packet_processed(self, path: Path, *, is_probing: bool, is_newest: bool, now: int) -> None:
        """A 1-RTT packet was handled: the peer may have moved (9.2, 9.3)."""
        if path is self.active or is_probing or not is_newest or self._is_client:
            return
        former = self.active
        self._use(path, now)
        if not path.is_validated:
            self._validate(path, now)
        if former.is_validated:
            self._validate(former, now)  # 9.3.3: the old address may be the true one

    def handle_challenge(self, path: Path, data: bytes, now: int) -> None:  # noqa: ARG002
        """PATH_CHALLENGE: answered on the path that it came on (8.2.2)."""
        path.frames.respond(data)

    def handle_response(self, path: Path, data: bytes, now: int) -> None:  # noqa: ARG002
        """PATH_RESPONSE: validates the path that its challenge was sent on (8.2.3)."""
        for challenged in (self.active, *self._others):
            if data in challenged.frames.challenges:
                challenged.frames.challenges.clear()
                challenged.retry_ns = challenged.until_ns = None
                challenged.frames.is_challenge_due = False
                self._validated_now(challenged, now)
                return
        if not self._was_challenged:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "PATH_RESPONSE without a challenge")

    def peer_ids_changed(self, now: int) -> None:  # noqa: ARG002
        """The peer gave or retired connection IDs."""
        self.active.peer_cid = self._peer_ids.current

    def apply_peer_parameters(self, peer: TransportParameters, now: int) -> None:  # noqa: ARG002
        """Limits, and whether we may move."""
        self._parameters = peer
        self._max_bytes = min(self._max_bytes, peer.max_udp_payload_size)
        self.active.mtu.limit(self._max_bytes)

    def handshake_confirmed(self, now: int) -> None:
        """Paths may change from now on; a client tries the server's preferred address (9.6)."""
        self._is_confirmed = True
        self.active.is_validated = True
        self.active.peer_cid = self._peer_ids.current
        preferred = None if self._parameters is None else self._parameters.preferred_address
        if self._is_client and preferred is not None:
            remote = preferred.ipv6 if ":" in self.active.local[0] else preferred.ipv4
            if remote is not None and remote != self.active.remote:
                path = self._make(self.active.local, remote, preferred.connection_id, now)
                self._peer_ids.mark_used(preferred.connection_id)
                self._try(path, now)

    # Out

    def all(self) -> tuple[Path, ...]:
        """The path in use first, then those that are tried."""
        return (self.active, *self._others)

    def with_frames(self, now: int) -> list[Path]:  # noqa: ARG002
        """Paths on which a datagram of its own is to be sent, if their budget allows."""
        if not self._others:
            return [self.active] if self.active.frames.has_frames else []
        return [path for path in (self.active, *self._others) if path.frames.has_frames]

    def migrate(self, local: Address, now: int) -> None:
        """Go to another local address of ours (9.2); LocalError where that is not allowed."""
        if not self._is_client or not self._is_confirmed:
            raise LocalError("only a client moves, and only when its handshake is confirmed")
        if self._parameters is not None and self._parameters.disable_active_migration:
            raise LocalError("the server does not allow its clients to move (disable_active_migration)")
        connection_id = self._peer_ids.take_fresh()
        if connection_id is None:
            raise LocalError("the server gave no other connection ID to move with")
        self._try(self._make(local, self.active.remote, connection_id, now), now)

    def handle_timeout(self, now: int) -> None:
        """Challenges that were not answered (8.2.4)."""
        for path in (self.active, *self._others):
            if path.until_ns is not None and now >= path.until_ns:
                self._give_up(path, now)
            elif path.retry_ns is not None and now >= path.retry_ns:
                path.frames.challenge()
                path.retry_ns = now + self._retry_ns(path)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is due."""
        if not self._others and self.active.until_ns is None:
            return None
        due = [
            due_ns
            for path in (self.active, *self._others)
            for due_ns in (path.retry_ns, path.until_ns)
            if due_ns is not None
        ]
        return min(due, default=None)

    # Within

    @property
    def _was_challenged(self) -> bool:
        """Whether any challenge of ours may still be on its way back: it moved on, and the answer comes late."""
        return self._is_confirmed and (bool(self._others) or self._validated is not self.active or self._challenges > 0)

    def _accept(self, local: Address, remote: Address, now: int) -> Path | None:
        """The peer appears at another address."""
        if self._is_client or not self._is_confirmed:
            return None
        if len(self._others) >= MAX_PATHS:
            stale = next((path for path in self._others if path is not self._validated), None)
            if stale is None:
                return None
            self._others.remove(stale)
        connection_id = self._peer_ids.current
        path = self._make(local, remote, connection_id, now)
        self._others.append(path)
        return path

    def _make(self, local: Address, remote: Address, peer_cid: bytes, now: int) -> Path:
        configuration = self._configuration
        path = Path(
            local,
            remote,
            peer_cid=peer_cid,
            congestion=self._make_congestion(now),
            mtu=MtuDiscovery(configuration.initial_datagram_bytes, self._max_bytes),
            rng=self._rng,
        )
        path.number = self._made
        self._made += 1
        return path

    def _try(self, path: Path, now: int) -> None:
        self._others.append(path)
        self._is_following = path
        path.is_validated = True  # a client is not limited by 8.1; the peer's answer is waited for all the same
        self._validate(path, now)

    def _use(self, path: Path, now: int) -> None:
        former = self.active
        if path in self._others:
            self._others.remove(path)
        self._others.append(former)
        self.active = path
        if path.remote[0] == former.remote[0] and path.local == former.local and not self._is_client:
            path.congestion, path.mtu = former.congestion, former.mtu  # 9.4: only the port changed
        elif path.peer_cid == former.peer_cid:
            fresh = self._peer_ids.take_fresh()
            if fresh is not None:
                path.peer_cid = fresh
        self._peer_ids.current = path.peer_cid
        self._peer_ids.remote = path.remote
        if self.on_change is not None:
            self.on_change(path, now)
        self.events.append(PathChanged(path.local, path.remote))

    def _validate(self, path: Path, now: int) -> None:
        self._challenges += 1
        path.frames.challenge()
        path.retry_ns = now + self._retry_ns(path)
        path.until_ns = now + 3 * max(path.retry_ns - now, 6 * INITIAL_RTT_NS)

    def _retry_ns(self, path: Path) -> int:
        rtt = path.congestion.rtt
        return rtt.retransmission_ns() if rtt.has_sample else 3 * INITIAL_RTT_NS

    def _validated_now(self, path: Path, now: int) -> None:
        path.is_validated = True
        if path is self._is_following:
            self._is_following = None
            former = self.active
            self._use(path, now)
            self._peer_ids.retire(former.peer_cid)
        if path is self.active:
            self._validated = path
            self._others = [other for other in self._others if other.until_ns is not None]

    def _give_up(self, path: Path, now: int) -> None:
        path.retry_ns = path.until_ns = None
        path.frames.challenges.clear()
        if path is not self.active:
            if path in self._others:
                self._others.remove(path)
            if path is self._is_following:
                self._is_following = None
        elif self._validated is not path:
            self._use(self._validated, now)
            if path in self._others:
                self._others.remove(path)


MAX_PATHS = 4
INITIAL_RTT_NS = 333_000_000
