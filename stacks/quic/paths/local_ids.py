"""The connection IDs that we gave the peer (RFC 9000 5.1.1, 19.15, 19.16).

    issue -> NEW_CONNECTION_ID until acknowledged -> the peer uses it -> RETIRE_CONNECTION_ID -> another is issued
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.paths.stateless_reset import reset_token
from stacks.quic.randomness import random_bytes
from wire.quic.frames import NewConnectionId
from wire.quic.parameters import TransportParameters


@dataclass(frozen=True, slots=True)
class IdChange:
    """An ID that packets of this connection may carry from now on, or may no more."""

    connection_id: bytes
    is_addition: bool


class LocalConnectionIds:
    """A `FrameSource` for NEW_CONNECTION_ID.

    handshake_cid: the first, of long headers. What the client chose for our first (`add_original`) has no number and
    stays ours to the end: a late copy of the client's first packet must not look like another client.
    """

    __slots__ = (
        "_changes", "_highest_sent", "_ids", "_length", "_next", "_original", "_peer_limit", "_reset_key",
        "_retire_prior_to", "_rng", "_waiting", "handshake_cid", "has_frames",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, first: bytes, *, rng: random.Random, reset_key: bytes) -> None:
        self.handshake_cid = first
        self.has_frames = False
        self._rng = rng
        self._reset_key = reset_key
        self._length = configuration.connection_id_bytes
        self._ids: dict[int, bytes] = {0: first}
        self._next = 1
        self._highest_sent = 0
        self._retire_prior_to = 0
        self._peer_limit = 0
        self._original: bytes | None = None
        self._waiting: deque[int] = deque()
        self._changes: deque[IdChange] = deque([IdChange(first, is_addition=True)])

    def add_original(self, connection_id: bytes) -> None:
        """The client's first Destination Connection ID, at a server (7.2)."""
        self._original = connection_id
        self._changes.append(IdChange(connection_id, is_addition=True))

    def all(self) -> tuple[bytes, ...]:
        """All that packets may carry."""
        return (*self._ids.values(), *(() if self._original is None else (self._original,)))

    def is_ours(self, connection_id: bytes) -> bool:
        """Whether it is one of them."""
        return connection_id in self._ids.values() or connection_id == self._original

    def poll_change(self) -> IdChange | None:
        """What the endpoint has to know, or None."""
        return self._changes.popleft() if self._changes else None

    def issue_preferred(self) -> tuple[bytes, bytes]:
        """ID and reset token of a server's preferred address: number 1 (5.1.1), before anything else is issued."""
        assert self._next == 1, "the preferred address has number 1"
        connection_id = self._add()
        self._highest_sent = 1
        return connection_id, reset_token(self._reset_key, connection_id)

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """How many the peer keeps."""
        self._peer_limit = min(peer.active_connection_id_limit, MAX_IDS)

    def issue(self) -> None:
        """Give the peer as many as it keeps: when 1-RTT packets can be sent. An end without IDs has none to give."""
        while len(self._ids) < self._peer_limit and self._length:
            self._waiting.append(self._next)
            self._add()
        self.has_frames = bool(self._waiting)

    def replace_all(self) -> None:
        """Have the peer retire all that it has, and give it others (Retire Prior To, 5.1.2).

        Nothing happens while the peer has not yet retired all that it was asked for the last time.
        """
        if not self._length or any(number < self._retire_prior_to for number in self._ids):
            return
        self._retire_prior_to = self._next
        for _ in range(self._peer_limit):
            self._waiting.append(self._next)
            self._add()
        self.has_frames = bool(self._waiting)

    def handle_retire(self, sequence_number: int, used: bytes, now: int) -> None:  # noqa: ARG002
        """RETIRE_CONNECTION_ID came in a packet to the ID `used` (19.16)."""
        if not self._length:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "RETIRE_CONNECTION_ID for an end that uses none")
        if sequence_number > self._highest_sent:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "RETIRE_CONNECTION_ID of one that was never given")
        connection_id = self._ids.get(sequence_number)
        if connection_id is None:
            return
        if connection_id == used:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a packet that retires its own connection ID")
        del self._ids[sequence_number]
        if sequence_number in self._waiting:
            self._waiting.remove(sequence_number)
        self._changes.append(IdChange(connection_id, is_addition=False))
        self.issue()

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        waiting = self._waiting
        while waiting:
            number = waiting[0]
            connection_id = self._ids[number]
            prior = min(self._retire_prior_to, number)
            frame = NewConnectionId(number, prior, connection_id, reset_token(self._reset_key, connection_id))
            if not packet.put(frame.encode(), IssueRecord(self, number)):
                return
            waiting.popleft()
            self._highest_sent = max(self._highest_sent, number)
        self.has_frames = False

    def repeat(self, number: int) -> None:
        """The frame that gave it was lost."""
        if number in self._ids and number not in self._waiting:
            self._waiting.append(number)
            self.has_frames = True

    def _add(self) -> bytes:
        connection_id = self._ids[self._next] = random_bytes(self._rng, self._length)
        self._changes.append(IdChange(connection_id, is_addition=True))
        self._next += 1
        return connection_id


class IssueRecord:
    """A NEW_CONNECTION_ID that was sent."""

    __slots__ = ("_number", "_owner")

    def __init__(self, owner: LocalConnectionIds, number: int) -> None:
        self._owner = owner
        self._number = number

    def acked(self, now: int) -> None:
        """As of `SentFrame`: nothing is left to do."""

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.repeat(self._number)


MAX_IDS = 4
"""The peer needs one for each path that it uses or tries, and gets another for each that it retires."""
