"""The connection IDs that we gave the peer (RFC 9000 5.1.1)."""

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

    handshake_cid: the first, of long headers. The client's choice for our first (`add_original`) is good until the
    handshake is over.
    """

    __slots__ = (
        "_changes", "_ids", "_length", "_next", "_original", "_peer_limit", "_reset_key", "_rng", "_waiting",
        "handshake_cid", "has_frames",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, first: bytes, *, rng: random.Random, reset_key: bytes) -> None:
        self.handshake_cid = first
        self.has_frames = False
        self._rng = rng
        self._reset_key = reset_key
        self._length = configuration.connection_id_bytes
        self._ids: dict[int, bytes] = {0: first}
        self._next = 1
        self._peer_limit = 0
        self._original: bytes | None = None
        self._waiting: list[int] = []
        self._changes: deque[IdChange] = deque([IdChange(first, is_addition=True)])

    def add_original(self, connection_id: bytes) -> None:
        """The client's first Destination Connection ID, at a server (7.2)."""
        self._original = connection_id
        self._changes.append(IdChange(connection_id, is_addition=True))

    def forget_original(self) -> None:
        """The handshake is over: the client uses what we gave it."""
        if self._original is not None:
            self._changes.append(IdChange(self._original, is_addition=False))
            self._original = None

    def all(self) -> tuple[bytes, ...]:
        """All that packets may carry."""
        return (*self._ids.values(), *(() if self._original is None else (self._original,)))

    def is_ours(self, connection_id: bytes) -> bool:
        """Whether it is one of them."""
        return connection_id in self._ids.values() or connection_id == self._original

    def poll_change(self) -> IdChange | None:
        """What the endpoint has to know, or None."""
        return self._changes.popleft() if self._changes else None

    def use_preferred(self, connection_id: bytes) -> None:
        """A server announced this one with its preferred address: sequence number 1 (5.1.1)."""
        self._ids[1] = connection_id
        self._next = 2
        self._changes.append(IdChange(connection_id, is_addition=True))

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """How many the peer keeps."""
        self._peer_limit = min(peer.active_connection_id_limit, MAX_IDS)

    def issue(self) -> None:
        """Give the peer as many as it keeps: when 1-RTT packets can be sent."""
        while len(self._ids) < self._peer_limit and self._length:
            self._ids[self._next] = connection_id = random_bytes(self._rng, self._length)
            self._changes.append(IdChange(connection_id, is_addition=True))
            self._waiting.append(self._next)
            self._next += 1
        self.has_frames = bool(self._waiting)

    def handle_retire(self, sequence_number: int, used: bytes, now: int) -> None:  # noqa: ARG002
        """RETIRE_CONNECTION_ID came in a packet to the ID `used` (19.16)."""
        if sequence_number >= self._next:
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
        while self._waiting:
            number = self._waiting[0]
            connection_id = self._ids[number]
            frame = NewConnectionId(number, 0, connection_id, reset_token(self._reset_key, connection_id))
            if not packet.put(frame.encode(), IssueRecord(self, number)):
                return
            del self._waiting[0]
        self.has_frames = False

    def repeat(self, number: int) -> None:
        """The frame that gave it was lost."""
        if number in self._ids and number not in self._waiting:
            self._waiting.append(number)
            self.has_frames = True


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


MAX_IDS = 8
