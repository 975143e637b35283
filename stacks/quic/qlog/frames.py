"""The plain payload of a packet as the list of its frames (quic-events 8.13).

The text is put together by hand: a packet has one event, and STREAM and ACK frames are most of all.
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.quic.qlog.words import dumps, milliseconds, transport_error
from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic import frames as f
from wire.quic.ack_frames import decode_ack
from wire.quic.stream_frames import Datagram, decode_stream
from wire.quic.varint import read_varint


def frames_text(payload: memoryview, ack_delay_exponent: int) -> str:
    """A JSON array of the frames in `payload`.

    ack_delay_exponent: of the sender of the packet. What cannot be read is the last element, "unknown" with its type,
    and its length in bytes with all that comes behind it.
    """
    texts: list[str] = []
    offset, end = 0, len(payload)
    while offset < end:
        start, frame_type = offset, payload[offset]
        try:
            frame_type, offset = read_varint(payload, offset)
            if offset - start > 1:
                t.decode_type(payload, start)
            if frame_type & STREAM_MASK == t.FRAME_STREAM:
                stream_id, at, data, is_fin, offset = decode_stream(frame_type, payload, offset)
                fin = ',"fin":true' if is_fin else ""
                texts.append(
                    f'{{"frame_type":"stream","stream_id":{stream_id},"offset":{at}{fin},"raw":{{"length":{len(data)}}}}}'
                )
            elif frame_type in ACK_TYPES:
                text, offset = _ack(frame_type, payload, offset, ack_delay_exponent)
                texts.append(text)
            else:
                text, offset = READERS[frame_type](frame_type, payload, offset)
                texts.append(text)
        except (WireError, KeyError):
            texts.append(f'{{"frame_type":"unknown","frame_type_bytes":{frame_type},"raw":{{"length":{end - start}}}}}')
            break
    return f"[{','.join(texts)}]"


def _ack(frame_type: int, payload: memoryview, offset: int, exponent: int) -> tuple[str, int]:
    ranges, delay, ecn, offset = decode_ack(frame_type, payload, offset)
    ranges.reverse()
    texts = [f"[{first},{last}]" if first != last else f"[{first}]" for first, last in ranges]
    counts = "" if ecn is None else f',"ect1":{ecn[1]},"ect0":{ecn[0]},"ce":{ecn[2]}'
    delay_ms = milliseconds((delay << exponent) * 1000)
    return f'{{"frame_type":"ack","ack_delay":{delay_ms},"acked_ranges":[{",".join(texts)}]{counts}}}', offset


def _padding(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
    rest = len(bytes(payload[offset:]).lstrip(b"\0"))
    end = len(payload) - rest
    return f'{{"frame_type":"padding","raw":{{"payload_length":{end - offset + 1}}}}}', end


def _crypto(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
    crypto, offset = f.Crypto.decode(payload, offset)
    return f'{{"frame_type":"crypto","offset":{crypto.offset},"raw":{{"length":{len(crypto.data)}}}}}', offset


def _datagram(frame_type: int, payload: memoryview, offset: int) -> tuple[str, int]:
    datagram, offset = Datagram.decode(frame_type, payload, offset)
    return f'{{"frame_type":"datagram","raw":{{"length":{len(datagram.data)}}}}}', offset


def _new_token(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
    frame, offset = f.NewToken.decode(payload, offset)
    token = {"type": "resumption", "raw": {"length": len(frame.token)}}
    return dumps({"frame_type": "new_token", "token": token}), offset


def _new_connection_id(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
    frame, offset = f.NewConnectionId.decode(payload, offset)
    fields = {
        "frame_type": "new_connection_id",
        "sequence_number": frame.sequence_number,
        "retire_prior_to": frame.retire_prior_to,
        "connection_id_length": len(frame.connection_id),
        "connection_id": frame.connection_id.hex(),
        "stateless_reset_token": frame.stateless_reset_token.hex(),
    }
    return dumps(fields), offset


def _challenge(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
    challenge, offset = f.PathChallenge.decode(payload, offset)
    return dumps({"frame_type": "path_challenge", "data": challenge.data.hex()}), offset


def _response(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
    response, offset = f.PathResponse.decode(payload, offset)
    return dumps({"frame_type": "path_response", "data": response.data.hex()}), offset


def _connection_close(frame_type: int, payload: memoryview, offset: int) -> tuple[str, int]:
    frame, offset = f.ConnectionClose.decode(frame_type, payload, offset)
    fields: dict[str, object] = {"frame_type": "connection_close"}
    if frame.is_application:
        fields |= {"error_space": "application", "error": "unknown", "error_code": frame.error_code}
    else:
        word, code = transport_error(frame.error_code)
        fields |= {"error_space": "transport", "error": word}
        if code is not None:
            fields["error_code"] = code
        fields["trigger_frame_type"] = frame.frame_type
    fields["reason"] = bytes(frame.reason).decode(errors="replace")
    return dumps(fields), offset


def _integers(
    kind: type[f.IntegerFrame], name: str, **constants: str
) -> Callable[[int, memoryview, int], tuple[str, int]]:
    """A reader of a frame that is integers alone; constants: fields whose values the type itself says."""

    def read(_: int, payload: memoryview, offset: int) -> tuple[str, int]:
        frame, offset = kind.decode(payload, offset)
        fields: dict[str, object] = {"frame_type": name, **constants}
        for each in kind.FIELDS:
            fields[each] = getattr(frame, each)
        return dumps(fields), offset

    return read


STREAM_MASK = ~0x07
ACK_TYPES = (t.FRAME_ACK, t.FRAME_ACK_ECN)
BIDI, UNI = "bidirectional", "unidirectional"
READERS: dict[int, Callable[[int, memoryview, int], tuple[str, int]]] = {
    t.FRAME_PADDING: _padding,
    t.FRAME_PING: _integers(f.Ping, "ping"),
    t.FRAME_RESET_STREAM: _integers(f.ResetStream, "reset_stream", error="unknown"),
    t.FRAME_STOP_SENDING: _integers(f.StopSending, "stop_sending", error="unknown"),
    t.FRAME_CRYPTO: _crypto,
    t.FRAME_NEW_TOKEN: _new_token,
    t.FRAME_MAX_DATA: _integers(f.MaxData, "max_data"),
    t.FRAME_MAX_STREAM_DATA: _integers(f.MaxStreamData, "max_stream_data"),
    t.FRAME_MAX_STREAMS_BIDI: _integers(f.MaxStreams, "max_streams", stream_type=BIDI),
    t.FRAME_MAX_STREAMS_UNI: _integers(f.MaxStreams, "max_streams", stream_type=UNI),
    t.FRAME_DATA_BLOCKED: _integers(f.DataBlocked, "data_blocked"),
    t.FRAME_STREAM_DATA_BLOCKED: _integers(f.StreamDataBlocked, "stream_data_blocked"),
    t.FRAME_STREAMS_BLOCKED_BIDI: _integers(f.StreamsBlocked, "streams_blocked", stream_type=BIDI),
    t.FRAME_STREAMS_BLOCKED_UNI: _integers(f.StreamsBlocked, "streams_blocked", stream_type=UNI),
    t.FRAME_NEW_CONNECTION_ID: _new_connection_id,
    t.FRAME_RETIRE_CONNECTION_ID: _integers(f.RetireConnectionId, "retire_connection_id"),
    t.FRAME_PATH_CHALLENGE: _challenge,
    t.FRAME_PATH_RESPONSE: _response,
    t.FRAME_CONNECTION_CLOSE: _connection_close,
    t.FRAME_CONNECTION_CLOSE_APPLICATION: _connection_close,
    t.FRAME_HANDSHAKE_DONE: _integers(f.HandshakeDone, "handshake_done"),
    t.FRAME_RESET_STREAM_AT: _integers(f.ResetStreamAt, "reset_stream_at", error="unknown"),
    t.FRAME_DATAGRAM: _datagram,
    t.FRAME_DATAGRAM_LENGTH: _datagram,
    # Not in the schema, whose frames may be extended: in the words of draft-ietf-quic-ack-frequency.
    t.FRAME_ACK_FREQUENCY: _integers(f.AckFrequency, "ack_frequency"),
    t.FRAME_IMMEDIATE_ACK: _integers(f.ImmediateAck, "immediate_ack"),
}
