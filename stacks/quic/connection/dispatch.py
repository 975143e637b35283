"""Frames in: a table from frame type to what is done with it, and in which packets it may be (RFC 9000 12.4)."""

from __future__ import annotations

from collections.abc import Callable

from stacks.quic.connection.closing import CloseReason
from stacks.quic.connection.ending import end
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.packet import ArrivedPacket
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionEvent
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import TokenReceived
from stacks.quic.levels import (
    LEVEL_HANDSHAKE,
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_OF_LEVEL,
)
from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic import frames as f
from wire.quic.ack_frames import decode_ack
from wire.quic.stream_frames import Datagram, decode_stream
from wire.quic.varint import read_varint, varint_bytes


class Dispatcher:
    """Hands each frame of a packet to the concern that it belongs to."""

    __slots__ = ("_handshake", "_parts", "_streams", "_tokens")

    def __init__(self, parts: Parts, handshake: Handshake) -> None:
        self._parts = parts
        self._streams = parts.streams
        self._handshake = handshake
        self._tokens = 0

    def handle_payload(self, payload: memoryview, packet: ArrivedPacket) -> None:
        """All frames of a packet in order; QuicError at the first that is wrong."""
        offset, end = 0, len(payload)
        if not end:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a packet without frames")
        while offset < end:
            frame_type = payload[offset]
            if frame_type & STREAM_MASK == t.FRAME_STREAM and packet.level_bit & APPLICATION:
                packet.is_ack_eliciting = True
                packet.is_probing = False
                try:
                    stream_id, at, data, is_fin, offset = decode_stream(frame_type, payload, offset + 1)
                    self._streams.handle_stream(stream_id, at, data, is_fin, packet.now)
                except WireError as error:
                    raise _malformed(error, frame_type) from None
            else:
                offset = self._handle_frame(payload, offset, packet)

    def _handle_frame(self, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame_type = 0
        try:
            start, (frame_type, offset) = offset, read_varint(payload, offset)
            if offset - start != varint_bytes(frame_type):  # 12.4
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, f"frame type {frame_type:#x} in a longer form")
            rule = RULES.get(frame_type)
            if rule is None and frame_type & STREAM_MASK == t.FRAME_STREAM:
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "STREAM in a packet that may not carry it")
            if rule is None:
                raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, f"frame type {frame_type:#x} is unknown")
            levels, is_ack_eliciting, is_probing, handle = rule
            if not levels & packet.level_bit:
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a frame that this packet may not carry")
            if is_ack_eliciting:
                packet.is_ack_eliciting = True
            if not is_probing:
                packet.is_probing = False
            return handle(self, frame_type, payload, offset, packet)
        except WireError as error:
            raise _malformed(error, frame_type) from None
        except QuicError as error:
            error.frame_type = error.frame_type or frame_type
            raise

    # One method a frame

    def _padding(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:  # noqa: ARG002
        end = len(payload)
        while offset < end:
            piece = bytes(payload[offset : offset + PADDING_PIECE_BYTES])
            rest = piece.lstrip(b"\0")
            if rest:
                return offset + len(piece) - len(rest)
            offset += len(piece)
        return end

    def _ping(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:  # noqa: ARG002
        return offset

    def _ack(self, frame_type: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        ranges, delay, ecn, offset = decode_ack(frame_type, payload, offset)
        parts, space = self._parts, SPACE_OF_LEVEL[packet.level]
        parts.recovery.handle_ack(space, ranges, delay, ecn, packet.now)
        if space == SPACE_APPLICATION and parts.one_rtt is not None:
            parts.one_rtt.acked(ranges[0][1], packet.number)
        return offset

    def _crypto(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.Crypto.decode(payload, offset)
        self._handshake.handle_crypto(packet.level, frame.offset, frame.data, packet.now)
        return offset

    def _reset_stream(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.ResetStream.decode(payload, offset)
        self._streams.handle_reset(frame.stream_id, frame.error_code, frame.final_size, packet.now)
        return offset

    def _reset_stream_at(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.ResetStreamAt.decode(payload, offset)
        self._streams.handle_reset(
            frame.stream_id, frame.error_code, frame.final_size, packet.now, reliable_bytes=frame.reliable_size
        )
        return offset

    def _stop_sending(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.StopSending.decode(payload, offset)
        self._streams.handle_stop_sending(frame.stream_id, frame.error_code, packet.now)
        return offset

    def _max_data(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.MaxData.decode(payload, offset)
        self._streams.handle_max_data(frame.maximum, packet.now)
        return offset

    def _max_stream_data(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.MaxStreamData.decode(payload, offset)
        self._streams.handle_max_stream_data(frame.stream_id, frame.maximum, packet.now)
        return offset

    def _max_streams(self, frame_type: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.MaxStreams.decode(payload, offset)
        self._streams.handle_max_streams(frame_type == t.FRAME_MAX_STREAMS_UNI, frame.maximum, packet.now)
        return offset

    def _data_blocked(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.DataBlocked.decode(payload, offset)
        self._streams.handle_data_blocked(frame.limit, packet.now)
        return offset

    def _stream_data_blocked(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.StreamDataBlocked.decode(payload, offset)
        self._streams.handle_stream_data_blocked(frame.stream_id, frame.limit, packet.now)
        return offset

    def _streams_blocked(self, frame_type: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.StreamsBlocked.decode(payload, offset)
        self._streams.handle_streams_blocked(frame_type == t.FRAME_STREAMS_BLOCKED_UNI, frame.limit, packet.now)
        return offset

    def _new_token(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:  # noqa: ARG002
        frame, offset = f.NewToken.decode(payload, offset)
        if not self._parts.is_client:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "NEW_TOKEN from a client")
        if not frame.token:
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, "an empty NEW_TOKEN")
        if self._tokens < MAX_TOKENS:
            self._tokens += 1
            self._parts.events.append(TokenReceived(bytes(frame.token)))
        return offset

    def _new_connection_id(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.NewConnectionId.decode(payload, offset)
        self._parts.peer_ids.handle_new(frame, packet.now)
        self._parts.paths.peer_ids_changed(packet.now)
        return offset

    def _retire_connection_id(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.RetireConnectionId.decode(payload, offset)
        self._parts.local_ids.handle_retire(frame.sequence_number, packet.destination_cid, packet.now)
        return offset

    def _path_challenge(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.PathChallenge.decode(payload, offset)
        self._parts.paths.handle_challenge(packet.path, bytes(frame.data), packet.now)
        return offset

    def _path_response(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.PathResponse.decode(payload, offset)
        self._parts.paths.handle_response(packet.path, bytes(frame.data), packet.now)
        return offset

    def _close(self, frame_type: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.ConnectionClose.decode(frame_type, payload, offset)
        is_application = frame_type == t.FRAME_CONNECTION_CLOSE_APPLICATION
        reason = bytes(frame.reason).decode(errors="replace")
        cause = CloseReason(frame.error_code, reason, is_application, by_peer=True)
        end(self._parts, ConnectionEvent.PEER_CLOSE, cause, packet.now)
        return offset

    def _handshake_done(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:  # noqa: ARG002
        if not self._parts.is_client:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "HANDSHAKE_DONE from a client")
        self._handshake.handle_done(packet.now)
        return offset

    def _datagram(self, frame_type: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, end = Datagram.decode(frame_type, payload, offset)
        self._parts.datagrams.handle_datagram(frame.data, end - offset + 1, packet.now)
        return end

    def _ack_frequency(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:
        frame, offset = f.AckFrequency.decode(payload, offset)
        self._parts.spaces[SPACE_APPLICATION].received.apply_ack_frequency(frame, packet.now)
        return offset

    def _immediate_ack(self, _: int, payload: memoryview, offset: int, packet: ArrivedPacket) -> int:  # noqa: ARG002
        self._parts.spaces[SPACE_APPLICATION].received.acknowledge_now(packet.now)
        return offset


def _malformed(error: WireError, frame_type: int) -> QuicError:
    return QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, str(error), frame_type=frame_type)


Handle = Callable[[Dispatcher, int, memoryview, int, ArrivedPacket], int]

PADDING_PIECE_BYTES = 64
"""A run of PADDING is looked at in pieces: many short ones in a large packet must not each cost all that is behind."""
STREAM_MASK = 0xF8
MAX_TOKENS = 16
"""Of one connection: a client needs one for each that it will begin, and nobody remembers all."""
_I, _Z, _H, _O = 1 << LEVEL_INITIAL, 1 << LEVEL_ZERO_RTT, 1 << LEVEL_HANDSHAKE, 1 << LEVEL_ONE_RTT
APPLICATION = _Z | _O
_D = Dispatcher

# ruff: noqa: SLF001 - the table is of the class above
RULES: dict[int, tuple[int, bool, bool, Handle]] = {
    # type: (levels that may carry it, asks for an acknowledgement, is a probing frame (9.1), what is done)
    t.FRAME_PADDING: (_I | _Z | _H | _O, False, True, _D._padding),
    t.FRAME_PING: (_I | _Z | _H | _O, True, False, _D._ping),
    t.FRAME_ACK: (_I | _H | _O, False, False, _D._ack),
    t.FRAME_ACK_ECN: (_I | _H | _O, False, False, _D._ack),
    t.FRAME_RESET_STREAM: (APPLICATION, True, False, _D._reset_stream),
    t.FRAME_STOP_SENDING: (APPLICATION, True, False, _D._stop_sending),
    t.FRAME_CRYPTO: (_I | _H | _O, True, False, _D._crypto),
    t.FRAME_NEW_TOKEN: (_O, True, False, _D._new_token),
    t.FRAME_MAX_DATA: (APPLICATION, True, False, _D._max_data),
    t.FRAME_MAX_STREAM_DATA: (APPLICATION, True, False, _D._max_stream_data),
    t.FRAME_MAX_STREAMS_BIDI: (APPLICATION, True, False, _D._max_streams),
    t.FRAME_MAX_STREAMS_UNI: (APPLICATION, True, False, _D._max_streams),
    t.FRAME_DATA_BLOCKED: (APPLICATION, True, False, _D._data_blocked),
    t.FRAME_STREAM_DATA_BLOCKED: (APPLICATION, True, False, _D._stream_data_blocked),
    t.FRAME_STREAMS_BLOCKED_BIDI: (APPLICATION, True, False, _D._streams_blocked),
    t.FRAME_STREAMS_BLOCKED_UNI: (APPLICATION, True, False, _D._streams_blocked),
    t.FRAME_NEW_CONNECTION_ID: (APPLICATION, True, True, _D._new_connection_id),
    t.FRAME_RETIRE_CONNECTION_ID: (_O, True, False, _D._retire_connection_id),
    t.FRAME_PATH_CHALLENGE: (APPLICATION, True, True, _D._path_challenge),
    t.FRAME_PATH_RESPONSE: (_O, True, True, _D._path_response),
    t.FRAME_CONNECTION_CLOSE: (_I | _Z | _H | _O, False, False, _D._close),
    t.FRAME_CONNECTION_CLOSE_APPLICATION: (APPLICATION, False, False, _D._close),
    t.FRAME_HANDSHAKE_DONE: (_O, True, False, _D._handshake_done),
    t.FRAME_DATAGRAM: (APPLICATION, True, False, _D._datagram),
    t.FRAME_DATAGRAM_LENGTH: (APPLICATION, True, False, _D._datagram),
    t.FRAME_ACK_FREQUENCY: (_O, True, False, _D._ack_frequency),
    t.FRAME_IMMEDIATE_ACK: (_O, True, False, _D._immediate_ack),
    t.FRAME_RESET_STREAM_AT: (APPLICATION, True, False, _D._reset_stream_at),
}
