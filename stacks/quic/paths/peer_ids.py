"""The connection IDs that the peer gave us (RFC 9000 5.1.2, 19.15, 19.16)."""

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


class PeerConnectionIds:
    """A `FrameSource` for RETIRE_CONNECTION_ID.

    current: what packets on the active path carry. handshake_cid: of the peer's first packet. remote: where the peer
    is, and its stateless resets come from.
    """

    __slots__ = (
        "_ids",
        "_is_first_known",
        "_limit",
        "_retire_prior_to",
        "_retired",
        "_retiring",
        "_tokens",
        "_tokens_changed",
        "_used",
        "current",
        "handshake_cid",
        "has_frames",
        "remote",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, first: bytes, remote: Address, *, is_client: bool) -> None:
        self.current = self.handshake_cid = first
        self.has_frames = False
        self.remote = remote
        self._limit = configuration.active_connection_id_limit
        self._is_first_known = not is_client
        self._ids: dict[int, bytes] = {0: first}
        self._tokens: dict[int, bytes] = {}
        self._used: set[int] = {0}
        self._retire_prior_to = 0
        self._retired: set[int] = set()
        self._retiring: list[int] = []
        self._tokens_changed: deque[ResetToken] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether the peer uses connection IDs of no length."""
        return not self.handshake_cid

    def is_source_acceptable(self, source_cid: bytes) -> bool:
        """Whether a long packet may carry this Source Connection ID (7.2)."""
        return not self._is_first_known or source_cid == self.handshake_cid

    def first_packet(self, source_cid: bytes) -> None:
        """The server's first packet came: it chose its connection ID."""
        self._is_first_known = True
        self._become(source_cid)

    def follow_retry(self, source_cid: bytes) -> None:
        """A Retry chose the ID for the next Initial packets."""
        self._become(source_cid)

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """The first ID's token, and the preferred address's ID."""
        if peer.stateless_reset_token is not None:
            self._add_token(0, peer.stateless_reset_token)
        preferred = peer.preferred_address
        if preferred is not None:
            self._ids[1] = preferred.connection_id
            self._add_token(1, preferred.stateless_reset_token)

    def handle_new(self, frame: NewConnectionId, now: int) -> None:  # noqa: ARG002
        """NEW_CONNECTION_ID (19.15)."""
        number, connection_id = frame.sequence_number, frame.connection_id
        if not 1 <= len(connection_id) <= MAX_CID_BYTES or frame.retire_prior_to > number:
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, "a NEW_CONNECTION_ID that makes no sense")
        if self.is_empty:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "NEW_CONNECTION_ID of an end that uses none")
        known = self._ids.get(number)
        if known is not None:
            if known != connection_id or self._tokens.get(number) != frame.stateless_reset_token:
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a sequence number with two connection IDs")
        elif connection_id in self._ids.values():
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a connection ID with two sequence numbers")
        elif number < self._retire_prior_to:
            if number not in self._retired:
                self._retire(number)
        elif number not in self._retired:
            self._ids[number] = connection_id
            self._add_token(number, frame.stateless_reset_token)
        if frame.retire_prior_to > self._retire_prior_to:
            self._retire_prior_to = frame.retire_prior_to
            for old in [old for old in self._ids if old < frame.retire_prior_to]:
                self._retire(old)
        if len(self._ids) > self._limit:
            raise QuicError(TransportErrorCode.CONNECTION_ID_LIMIT_ERROR, "more connection IDs than announced")
        if self.current not in self._ids.values():
            self.use_fresh()
        if len(self._retiring) > MAX_RETIRING:
            raise QuicError(TransportErrorCode.CONNECTION_ID_LIMIT_ERROR, "connection IDs retired faster than told")

    def take_fresh(self) -> bytes | None:
        """An ID that was never used, for another path; None where the peer gave none. An empty one always fits."""
        if self.is_empty:
            return b""
        for number, connection_id in self._ids.items():
            if number not in self._used:
                self._used.add(number)
                return connection_id
        return None

    def mark_used(self, connection_id: bytes) -> None:
        """This one is used on a path."""
        self._used.update(number for number, known in self._ids.items() if known == connection_id)

    def use_fresh(self) -> None:
        """Change to another ID on the active path, if there is one."""
        fresh = self.take_fresh()
        if fresh is not None:
            self.current = fresh

    def retire(self, connection_id: bytes) -> None:
        """We do not use this one any more."""
        for number, known in list(self._ids.items()):
            if known == connection_id and not self.is_empty:
                self._retire(number)

    def poll_reset_token(self) -> ResetToken | None:
        """A token that the endpoint should know, or forget; None when there is none."""
        return self._tokens_changed.popleft() if self._tokens_changed else None

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        while self._retiring:
            number = self._retiring[0]
            if not packet.put(RetireConnectionId(number).encode(), RetireRecord(self, number)):
                return
            del self._retiring[0]
        self.has_frames = False

    def repeat(self, number: int) -> None:
        """The frame that retired it was lost."""
        self._retiring.append(number)
        self.has_frames = True

    def _become(self, connection_id: bytes) -> None:
        self.current = self.handshake_cid = self._ids[0] = connection_id

    def _retire(self, number: int) -> None:
        self._ids.pop(number, None)
        self._retired.add(number)
        token = self._tokens.pop(number, None)
        if token is not None:
            self._tokens_changed.append(ResetToken(token, self.remote, is_addition=False))
        self._retiring.append(number)
        self.has_frames = True

    def _add_token(self, number: int, token: bytes) -> None:
        self._tokens[number] = token
        self._tokens_changed.append(ResetToken(token, self.remote, is_addition=True))


class RetireRecord:
    """A RETIRE_CONNECTION_ID that was sent."""

    __slots__ = ("_number", "_owner")

    def __init__(self, owner: PeerConnectionIds, number: int) -> None:
        self._owner = owner
        self._number = number

    def acked(self, now: int) -> None:
        """As of `SentFrame`: nothing is left to do."""

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.repeat(self._number)


MAX_RETIRING = 32
