"""The paths of a connection: the one in use, others that are tried, and how it moves (RFC 9000 9).

    a packet from another address -> a path of its own, challenged; with frames that do not probe, and the newest packet
                                     so far: it is followed at once, and the former path is challenged as well
    no answer in time             -> back to the last path that was validated
    migrate, preferred address    -> challenged first, and used when the peer answers

An address becomes a path when a packet from it was opened: before that it costs nothing. What is not used any more is
forgotten after three probe timeouts, and its connection ID retired.

Left out: probing a server's two addresses at once while the client moves (9.6.3); the preferred address comes first.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import Event, PathChanged, PathFailed, note
from stacks.quic.paths.mtu import MtuDiscovery
from stacks.quic.paths.path import Path
from stacks.quic.paths.peer_ids import PeerConnectionIds
from stacks.quic.paths.validation import ValidationState
from stacks.quic.recovery import PathCongestion
from stacks.runtime import LocalError
from transports.datagram import Address
from wire.quic.parameters import TransportParameters


class Paths:
    """active: where packets go. events: for the application. on_change: called when another path becomes active;
    on_validated: when a server has found its client at another address.
    """

    __slots__ = (
        "_candidate", "_configuration", "_first_remote", "_is_client", "_is_confirmed", "_late", "_made",
        "_make_congestion", "_max_bytes", "_others", "_parameters", "_peer_ids", "_rng", "_validated", "active",
        "events", "on_change", "on_validated",
    )  # fmt: skip

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
        self.on_validated: Callable[[Path, int], object] | None = None
        self._configuration = configuration
        self._is_client = is_client
        self._peer_ids = peer_ids
        self._rng = rng
        self._make_congestion = make_congestion
        self._is_confirmed = False
        self._first_remote = remote
        self._made = 0
        self._parameters: TransportParameters | None = None
        self._max_bytes = configuration.max_probe_bytes
        self._others: list[Path] = []
        self._candidate: Path | None = None
        self._late: deque[bytes] = deque(maxlen=MAX_LATE)
        self.active = self._make(local, remote, peer_ids.current, make_congestion(now), self._discovery())
        self.active.is_validated = is_client
        self._validated = self.active

    # In

    def received(self, local: Address, remote: Address, size: int, now: int) -> Path | None:  # noqa: ARG002
        """The path of a datagram of `size` bytes; None where it is to be dropped (9: nobody moves before the handshake
        is confirmed, and servers do not move).
        """
        path = self.active
        if path.remote != remote or path.local != local:
            found = self._find(local, remote)
            if found is None:
                return None
            path = found
        path.received_bytes += size
        return path

    def is_peer(self, remote: Address) -> bool:
        """Whether the peer is, or was lately, at this address."""
        return any(path.remote == remote for path in (self.active, *self._others))

    def packet_processed(
        self, path: Path, *, destination_cid: bytes, is_probing: bool, is_newest: bool, now: int
    ) -> None:
        """A 1-RTT packet was handled: the peer may have moved (9.2, 9.3). destination_cid: ours, that it had."""
        if path is not self.active:
            if path not in self._others and not self._adopt(path, destination_cid, is_probing or is_newest, now):
                return
            if not self._is_client:
                self._arrived_elsewhere(path, is_probing=is_probing or not is_newest, now=now)
        path.local_cid = destination_cid

    def handle_challenge(self, path: Path, data: bytes, now: int) -> None:  # noqa: ARG002
        """PATH_CHALLENGE: answered on the path that it came on (8.2.2)."""
        path.frames.respond(data)

    def handle_response(self, path: Path, data: bytes, now: int) -> None:  # noqa: ARG002
        """PATH_RESPONSE: validates the path that its challenge was sent on (8.2.3). PROTOCOL_VIOLATION where it answers
        nothing that was asked (19.18).
        """
        for challenged in (self.active, *self._others):
            if challenged.frames.answered(data, now):
                if challenged.frames.state in (ValidationState.ADDRESS_KNOWN, ValidationState.VALIDATED):
                    challenged.is_validated = True
                if challenged.frames.state == ValidationState.VALIDATED:
                    self._succeeded(challenged, now)
                return
        if data not in self._late:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "PATH_RESPONSE without a challenge")

    def peer_ids_changed(self, now: int) -> None:  # noqa: ARG002
        """The peer gave or retired connection IDs: no path may go on with one that was retired (5.1.2)."""
        ids = self._peer_ids
        for path in (self.active, *self._others):
            if not ids.is_active(path.peer_cid):
                self._renew(path)
        ids.current = self.active.peer_cid

    def server_chose_id(self) -> None:
        """The first packet of a server, or its Retry: its connection ID is known (7.2)."""
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
        preferred = None if self._parameters is None else self._parameters.preferred_address
        if self._is_client and preferred is not None:
            local = self.active.local
            remote = preferred.ipv6 if ":" in local[0] else preferred.ipv4
            if remote is not None and remote != self.active.remote:
                self._peer_ids.mark_used(preferred.connection_id)
                self._try(local, remote, preferred.connection_id, now)

    # Out

    def all(self) -> tuple[Path, ...]:
        """The path in use first, then those that are tried or were used."""
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
        is_at_first = self.active.remote == self._first_remote
        if self._parameters is not None and self._parameters.disable_active_migration and is_at_first:
            raise LocalError("the server does not allow its clients to move (disable_active_migration)")
        if local == self.active.local:
            raise LocalError(f"the connection is at {local[0]} port {local[1]} already")
        if self._peer_ids.is_empty:
            raise LocalError("the server has no connection IDs: it could not tell who moved")
        connection_id = self._peer_ids.take_fresh()
        if connection_id is None:
            raise LocalError("the server gave no other connection ID to move with; try again later")
        self._try(local, self.active.remote, connection_id, now)

    def handle_timeout(self, now: int) -> None:
        """Challenges that were not answered (8.2.4), and paths that are of no more use."""
        for path in (self.active, *self._others):
            if not path.frames.handle_timeout(now):
                self._failed(path, now)
            if path.forget_ns is not None and now >= path.forget_ns and path in self._others:
                if path is self._validated:
                    path.forget_ns = now + self._timeout_ns(path)  # there is no other to go back to yet
                else:
                    self._drop(path)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is due."""
        due_ns = self.active.frames.due_ns
        for path in self._others:
            other_ns = path.due_ns()
            if other_ns is not None and (due_ns is None or other_ns < due_ns):
                due_ns = other_ns
        return due_ns

    # Paths come and go

    def _find(self, local: Address, remote: Address) -> Path | None:
        """The path of these addresses; where there is none, one that is kept only if a packet from it can be opened."""
        for path in self._others:
            if path.remote == remote and path.local == local:
                return path
        if self._is_client or not self._is_confirmed:
            return None
        candidate = self._candidate
        if candidate is None or candidate.remote != remote or candidate.local != local:
            active = self.active
            self._candidate = candidate = self._make(local, remote, active.peer_cid, active.congestion, active.mtu)
        return candidate

    def _adopt(self, path: Path, destination_cid: bytes, is_news: bool, now: int) -> bool:
        """A packet from a new address was opened. False where it is a late one of a path that is forgotten, or where
        the peer gave us no connection ID to answer it with (9.5).
        """
        active = self.active
        if self._is_client or not is_news:
            return False
        is_rebound = destination_cid == active.local_cid and path.local == active.local
        if not is_rebound:
            fresh = self._peer_ids.take_fresh()
            if fresh is None:
                return False
            path.peer_cid = fresh
        if path.remote[0] != active.remote[0] or path.local != active.local:
            path.congestion, path.mtu = self._make_congestion(now), self._discovery()
        else:
            path.congestion, path.mtu = active.congestion, active.mtu  # 9.4: only the port is another
        self._make_room()
        self._others.append(path)
        self._candidate = None
        return True

    def _make_room(self) -> None:
        """At most so many paths: those go first that nobody needs."""
        while len(self._others) >= MAX_PATHS:
            useless = [path for path in self._others if path is not self._validated and not path.is_wanted]
            self._drop((useless or [path for path in self._others if path is not self._validated])[0])

    def _drop(self, path: Path) -> None:
        self._others.remove(path)
        self._late.extend(challenge.data for challenge in path.frames.challenges)
        if not any(other.peer_cid == path.peer_cid for other in (self.active, *self._others)):
            self._peer_ids.retire(path.peer_cid)

    def _renew(self, path: Path) -> None:
        """The ID of a path was retired: it gets another one, from a path that matters less if need be."""
        fresh = self._peer_ids.take_fresh()
        if fresh is not None:
            path.peer_cid = fresh
        elif path is not self.active:
            self._drop(path)
        else:
            spare = next((other for other in self._others if self._peer_ids.is_active(other.peer_cid)), None)
            if spare is None:
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "all connection IDs retired, and none given")
            path.peer_cid = spare.peer_cid
            self._others.remove(spare)
            self._late.extend(challenge.data for challenge in spare.frames.challenges)
            if spare is self._validated:
                self._validated = path

    def _make(
        self, local: Address, remote: Address, peer_cid: bytes, congestion: PathCongestion, mtu: MtuDiscovery
    ) -> Path:
        path = Path(local, remote, peer_cid=peer_cid, congestion=congestion, mtu=mtu, rng=self._rng)
        path.number = self._made
        self._made += 1
        return path

    def _discovery(self) -> MtuDiscovery:
        return MtuDiscovery(self._configuration.initial_datagram_bytes, self._max_bytes)

    # Moving

    def _arrived_elsewhere(self, path: Path, *, is_probing: bool, now: int) -> None:
        """A server got a packet on a path that it does not use."""
        if not path.is_validated:
            self._validate(path, now)
        if is_probing:
            return
        if path.local != self.active.local and path.frames.state != ValidationState.VALIDATED:
            path.is_wanted = True  # 9.6.2: our preferred address is used when both sides have shown that it works
            self._validate(path, now)
            return
        former = self.active
        self._use(path, now)
        if former.is_validated:
            self._validate(former, now)  # 9.3.3: the old address may be the true one
        else:
            self._drop(former)

    def _use(self, path: Path, now: int) -> None:
        former = self.active
        self._others.remove(path)
        self._others.append(former)
        former.forget_ns, path.forget_ns = now + self._timeout_ns(former), None
        path.is_wanted = False
        self.active = path
        self._peer_ids.current = path.peer_cid
        if path.is_validated:
            self._validated = path
        if self.on_change is not None:
            self.on_change(path, now)
        note(self.events, PathChanged(path.local, path.remote))

    def _try(self, local: Address, remote: Address, peer_cid: bytes, now: int) -> None:
        """A client wants to go on there."""
        for other in list(self._others):
            if other.is_wanted or (other.local == local and other.remote == remote):
                other.frames.abandon()
                self._drop(other)
        self._make_room()
        path = self._make(local, remote, peer_cid, self._make_congestion(now), self._discovery())
        path.is_validated = True  # 8.1 limits servers; and 9.6.2: until the answer there are challenges alone
        path.is_wanted = True
        self._others.append(path)
        self._validate(path, now)

    def _validate(self, path: Path, now: int) -> None:
        timeout_ns = self._timeout_ns(path)
        path.frames.start(now, pto_ns=self._pto_ns(path), timeout_ns=timeout_ns)
        if path is not self.active:
            path.forget_ns = now + 2 * timeout_ns

    def _succeeded(self, path: Path, now: int) -> None:
        """The peer is there."""
        if path.is_wanted:
            self._use(path, now)
        if path is self.active:
            is_new = self._validated is not path
            self._validated = path
            if is_new and self.on_validated is not None:
                self.on_validated(path, now)

    def _failed(self, path: Path, now: int) -> None:
        """Nobody answered (8.2.4, 9.3.2)."""
        if path.is_wanted:
            note(self.events, PathFailed(path.local, path.remote))
        if path is self.active and self._validated is not path:
            note(self.events, PathFailed(path.local, path.remote))
            self._use(self._validated, now)
        if path is not self.active:
            if path is self._validated:
                self._validated = self.active
            self._drop(path)

    def _pto_ns(self, path: Path) -> int:
        rtt = path.congestion.rtt
        if not rtt.has_sample or self._parameters is None:
            return INITIAL_PTO_NS
        return rtt.retransmission_ns() + self._parameters.max_ack_delay_ms * MILLISECOND_NS

    def _timeout_ns(self, path: Path) -> int:
        """Three times the larger of the present probe timeout and that of a path of which nothing is known (8.2.4)."""
        return TIMEOUTS * max(self._pto_ns(self.active), self._pto_ns(path), INITIAL_PTO_NS)


MAX_PATHS = 4
MAX_LATE = 32
"""Challenges of forgotten paths whose answers may still come."""
TIMEOUTS = 3
MILLISECOND_NS = 1_000_000
INITIAL_PTO_NS = 999_000_000
"""Of an RTT of 333 ms (RFC 9002 6.2.2)."""
