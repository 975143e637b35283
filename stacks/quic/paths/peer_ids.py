"""The connection IDs that the peer gave us (RFC 9000 5.1.2, 9.5, 19.15, 19.16).

    given (NEW_CONNECTION_ID) -> fresh -> used on one path -> retired (RETIRE_CONNECTION_ID until acknowledged)

What is remembered is bounded: IDs that are active by the limit that we announced; of those that are gone a number below
which all are, and few above it.
"""

from __future__ import annotations

from collections import deque

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.paths.stateless_reset import ResetToken
from transports.datagram import Address
from wire.quic.frames import NewConnectionId, RetireConnectionId
from wire.quic.parameters import TransportParameters

MAX_CID_BYTES = 20


class PeerId:
    """One ID. token: of its stateless resets, None for none. is_used: whether packets carried it already."""

    __slots__ = ("connection_id", "is_used", "token")

    def __init__(self, connection_id: bytes, token: bytes | None = None, *, is_used: bool = False) -> None:
        self.connection_id = connection_id
        self.token = token
        self.is_used = is_used


class PeerConnectionIds:
    """A `FrameSource` for RETIRE_CONNECTION_ID.

    current: what packets on the active path carry. handshake_cid: of the peer's first packet.
    """

    __slots__ = (
        "_changes", "_floor", "_ids", "_is_first_known", "_limit", "_retire_prior_to", "_retired", "_unacked",
        "_waiting", "current", "handshake_cid", "has_frames",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, first: bytes, remote: Address, *, is_client: bool) -> None:  # noqa: ARG002
        self.current = self.handshake_cid = first
        self.has_frames = False
        self._limit = configuration.active_connection_id_limit
        self._is_first_known = not is_client
        self._ids: dict[int, PeerId] = {0: PeerId(first, is_used=True)}
        self._retire_prior_to = 0
        self._floor = 0  # numbers below that are not active were retired, or are when they come
        self._retired: set[int] = set()  # and these, above it
        self._waiting: deque[int] = deque()
        self._unacked: dict[int, None] = {}
        self._changes: deque[ResetToken] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether the peer uses connection IDs of no length."""
        return not self.handshake_cid

    def is_source_acceptable(self, source_cid: bytes) -> bool:
        """Whether a long packet may carry this Source Connection ID (7.2)."""
        return not self._is_first_known or source_cid == self.handshake_cid

    def is_active(self, connection_id: bytes) -> bool:
        """Whether the peer gave it, and it was not retired."""
        return any(known.connection_id == connection_id for known in self._ids.values())

    def first_packet(self, source_cid: bytes) -> None:
        """The server's first packet came: it chose its connection ID."""
        self._is_first_known = True
        self._become(source_cid)

    def follow_retry(self, source_cid: bytes) -> None:
        """A Retry chose the ID for the next Initial packets."""
        self._become(source_cid)

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """The first ID's token, and the preferred address's ID, which has number 1 (5.1.1)."""
        first = self._ids.get(0)
        if peer.stateless_reset_token is not None and first is not None and first.token is None:
            first.token = peer.stateless_reset_token
            self._changes.append(ResetToken(first.token, is_addition=True))
        preferred = peer.preferred_address
        if preferred is not None:
            self._ids[1] = PeerId(preferred.connection_id, preferred.stateless_reset_token)

    def handle_new(self, frame: NewConnectionId, now: int) -> None:  # noqa: ARG002
        """NEW_CONNECTION_ID (19.15). First what it retires, then what it gives, then the limit (5.1.1, 5.1.2)."""
        number, connection_id = frame.sequence_number, frame.connection_id
        if not 1 <= len(connection_id) <= MAX_CID_BYTES or frame.retire_prior_to > number:
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, "a NEW_CONNECTION_ID that makes no sense")
        if self.is_empty:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "NEW_CONNECTION_ID of an end that uses none")
        self._check_known(number, connection_id, frame.stateless_reset_token)
        if frame.retire_prior_to > self._retire_prior_to:
            self._retire_prior_to = frame.retire_prior_to
            for old in [old for old in self._ids if old < frame.retire_prior_to]:
                self._retire(old)
            self._raise_floor(frame.retire_prior_to)
        if number < self._floor:
            if number not in self._unacked and number not in self._ids:
                self._say_retired(number)
        elif number not in self._retired and number not in self._ids:
            self._ids[number] = PeerId(connection_id, frame.stateless_reset_token)
        if len(self._ids) > self._limit:
            raise QuicError(TransportErrorCode.CONNECTION_ID_LIMIT_ERROR, "more connection IDs than announced")
        if len(self._unacked) > RETIRING_LIMITS * self._limit:
            raise QuicError(TransportErrorCode.CONNECTION_ID_LIMIT_ERROR, "connection IDs retired faster than told")

    def take_fresh(self) -> bytes | None:
        """An ID that was never used, for another path; None where the peer gave none. An empty one always fits."""
        if self.is_empty:
            return b""
        for known in self._ids.values():
            if not known.is_used:
                self._use(known)
                return known.connection_id
        return None

    def mark_used(self, connection_id: bytes) -> None:
        """This one is used on a path."""
        for known in self._ids.values():
            if known.connection_id == connection_id and not known.is_used:
                self._use(known)

    def retire(self, connection_id: bytes) -> None:
        """We do not use this one any more (5.1.2)."""
        if self.is_empty:
            return
        for number, known in list(self._ids.items()):
            if known.connection_id == connection_id:
                self._retire(number)
                self._retired.add(number)
        self._compress()

    def poll_reset_token(self) -> ResetToken | None:
        """A token that the endpoint should know, or forget; None when there is none."""
        return self._changes.popleft() if self._changes else None

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        waiting = self._waiting
        while waiting:
            number = waiting[0]
            if not packet.put(RetireConnectionId(number).encode(), RetireRecord(self, number)):
                return
            waiting.popleft()
        self.has_frames = False

    def arrived(self, number: int) -> None:
        """The peer knows that it was retired."""
        self._unacked.pop(number, None)

    def repeat(self, number: int) -> None:
        """The frame that retired it was lost."""
        if number in self._unacked and number not in self._waiting:
            self._waiting.append(number)
            self.has_frames = True

    def _check_known(self, number: int, connection_id: bytes, token: bytes) -> None:
        """A number stands for one ID with one token, and an ID has one number (19.15)."""
        known = self._ids.get(number)
        if known is not None:
            if known.connection_id != connection_id or (known.token is not None and known.token != token):
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a sequence number with two connection IDs")
        elif self.is_active(connection_id):
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a connection ID with two sequence numbers")

    def _become(self, connection_id: bytes) -> None:
        self.current = self.handshake_cid = self._ids[0].connection_id = connection_id

    def _use(self, known: PeerId) -> None:
        known.is_used = True
        if known.token is not None:
            self._changes.append(ResetToken(known.token, is_addition=True))

    def _retire(self, number: int) -> None:
        known = self._ids.pop(number)
        if known.is_used and known.token is not None:
            self._changes.append(ResetToken(known.token, is_addition=False))
        self._say_retired(number)

    def _say_retired(self, number: int) -> None:
        self._unacked[number] = None
        self._waiting.append(number)
        self.has_frames = True

    def _raise_floor(self, floor: int) -> None:
        if floor > self._floor:
            self._floor = floor
            self._retired = {number for number in self._retired if number >= floor}

    def _compress(self) -> None:
        """Few retired numbers are kept: of many the lower half becomes the floor, and what is below it and comes late
        is of no use any more.
        """
        if len(self._retired) > MAX_RETIRED:
            self._raise_floor(sorted(self._retired)[MAX_RETIRED // 2] + 1)
        floor = self._floor
        while floor in self._retired:
            floor += 1
        self._raise_floor(floor)


class RetireRecord:
    """A RETIRE_CONNECTION_ID that was sent."""

    __slots__ = ("_number", "_owner")

    def __init__(self, owner: PeerConnectionIds, number: int) -> None:
        self._owner = owner
        self._number = number

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.arrived(self._number)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.repeat(self._number)


RETIRING_LIMITS = 4
"""Times the announced limit: how many may be retired and not acknowledged. RFC 9000 5.1.2 asks for two at least."""
MAX_RETIRED = 16
