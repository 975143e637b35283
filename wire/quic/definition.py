"""QUIC's formats as Construct: what the hand-written codecs of this folder are tested against.

No fixed codec can be derived, since nearly everything is variable; hence the name does not end in `_layout`. Each
definition stands as its document draws it: meaning is left out, but for the rule that a frame's type is in its shortest
form (RFC 9000 12.4).

Follows RFC 9000 16 to 19, 8999 5, 9001 5.4 (what a packet is before protection), 9221 4, 9368 3, and the drafts that
`frame_types` and `parameters` name.
"""

from __future__ import annotations

from typing import Any

import construct as c

from wire.quic import frame_types as t

_BITS = c.Bitwise(c.Struct("length" / c.BitsInteger(2), "value" / c.BitsInteger(lambda this: (8 << this.length) - 2)))


def _shortest(value: int, _: Any) -> dict[str, int]:
    length = next((length for length in range(3) if value >> (8 << length) - 2 == 0), 3)
    return {"length": length, "value": value}


VARINT = c.ExprAdapter(_BITS, lambda bits, _: bits.value, _shortest)
"""An integer of 62 bits: read in any length, written in the shortest (RFC 9000 16)."""

SHORTEST_VARINT = c.FocusedSeq(
    "value",
    "start" / c.Tell,
    "value" / VARINT,
    "end" / c.Tell,
    c.Check(lambda this: this.end - this.start == len(VARINT.build(this.value))),
)
BYTES = c.Prefixed(VARINT, c.GreedyBytes)
CONNECTION_ID = c.Prefixed(c.Int8ub, c.GreedyBytes)


# Packets (RFC 9000 17)


def _first_byte(*low: Any) -> Any:
    return "first" / c.BitStruct("is_long" / c.Flag, "fixed" / c.Flag, *low)


_LONG_LOW = ("type" / c.BitsInteger(2), "low" / c.BitsInteger(4))
_CIDS = ("destination_cid" / CONNECTION_ID, "source_cid" / CONNECTION_ID)

INVARIANT_HEADER = c.Struct("first" / c.Int8ub, "version" / c.Int32ub, *_CIDS, "rest" / c.GreedyBytes)
"""A long header in any version (RFC 8999 5.1)."""
INITIAL = c.Struct(_first_byte(*_LONG_LOW), "version" / c.Int32ub, *_CIDS, "token" / BYTES, "protected" / BYTES)
"""Also what Length covers, as `protected`: packet number, payload, tag."""
HANDSHAKE = c.Struct(_first_byte(*_LONG_LOW), "version" / c.Int32ub, *_CIDS, "protected" / BYTES)
"""And 0-RTT."""
RETRY = c.Struct(_first_byte(*_LONG_LOW), "version" / c.Int32ub, *_CIDS, "rest" / c.GreedyBytes)
"""rest: token, and 16 bytes of tag."""
VERSION_NEGOTIATION = c.Struct(
    _first_byte("unused" / c.BitsInteger(6)),
    "version" / c.Const(0, c.Int32ub),
    *_CIDS,
    "versions" / c.GreedyRange(c.Int32ub),
    c.Terminated,
)


def one_rtt(cid_bytes: int) -> Any:
    """A short header with connection IDs of that length."""
    return c.Struct(
        _first_byte("protected" / c.BitsInteger(6)), "destination_cid" / c.Bytes(cid_bytes), "rest" / c.GreedyBytes
    )


# Frames (RFC 9000 19)


def _integers(*names: str) -> Any:
    return c.Struct(*(name / VARINT for name in names))


def _stream(flags: int) -> Any:
    fields = ["stream_id" / VARINT]
    if flags & t.STREAM_OFF:
        fields.append("offset" / VARINT)
    fields.append("data" / (BYTES if flags & t.STREAM_LEN else c.GreedyBytes))
    return c.Struct(*fields)


def _ack(*head: str, has_ecn: bool) -> Any:
    return c.Struct(
        *(name / VARINT for name in head),
        "largest" / VARINT,
        "delay" / VARINT,
        "range_count" / c.Rebuild(VARINT, c.len_(c.this.ranges)),
        "first_range" / VARINT,
        "ranges" / c.Array(c.this.range_count, _integers("gap", "length")),
        *(("ecn" / _integers("ect0", "ect1", "ce"),) if has_ecn else ()),
    )


def _new_connection_id(*head: str) -> Any:
    return c.Struct(
        *(name / VARINT for name in (*head, "sequence_number", "retire_prior_to")),
        "connection_id" / CONNECTION_ID,
        "stateless_reset_token" / c.Bytes(16),
    )


_PATH_DATA = c.Struct("data" / c.Bytes(8))
_PATH_STATUS = _integers("path_id", "sequence_number")

BODIES: dict[int, Any] = {
    t.FRAME_PADDING: c.Struct(),
    t.FRAME_PING: c.Struct(),
    t.FRAME_ACK: _ack(has_ecn=False),
    t.FRAME_ACK_ECN: _ack(has_ecn=True),
    t.FRAME_RESET_STREAM: _integers("stream_id", "error_code", "final_size"),
    t.FRAME_STOP_SENDING: _integers("stream_id", "error_code"),
    t.FRAME_CRYPTO: c.Struct("offset" / VARINT, "data" / BYTES),
    t.FRAME_NEW_TOKEN: c.Struct("token" / BYTES),
    **{t.FRAME_STREAM | flags: _stream(flags) for flags in range(8)},
    t.FRAME_MAX_DATA: _integers("maximum"),
    t.FRAME_MAX_STREAM_DATA: _integers("stream_id", "maximum"),
    t.FRAME_MAX_STREAMS_BIDI: _integers("maximum"),
    t.FRAME_MAX_STREAMS_UNI: _integers("maximum"),
    t.FRAME_DATA_BLOCKED: _integers("limit"),
    t.FRAME_STREAM_DATA_BLOCKED: _integers("stream_id", "limit"),
    t.FRAME_STREAMS_BLOCKED_BIDI: _integers("limit"),
    t.FRAME_STREAMS_BLOCKED_UNI: _integers("limit"),
    t.FRAME_NEW_CONNECTION_ID: _new_connection_id(),
    t.FRAME_RETIRE_CONNECTION_ID: _integers("sequence_number"),
    t.FRAME_PATH_CHALLENGE: _PATH_DATA,
    t.FRAME_PATH_RESPONSE: _PATH_DATA,
    t.FRAME_CONNECTION_CLOSE: c.Struct("error_code" / VARINT, "frame_type" / VARINT, "reason" / BYTES),
    t.FRAME_CONNECTION_CLOSE_APPLICATION: c.Struct("error_code" / VARINT, "reason" / BYTES),
    t.FRAME_HANDSHAKE_DONE: c.Struct(),
    t.FRAME_IMMEDIATE_ACK: c.Struct(),
    t.FRAME_RESET_STREAM_AT: _integers("stream_id", "error_code", "final_size", "reliable_size"),
    t.FRAME_DATAGRAM: c.Struct("data" / c.GreedyBytes),
    t.FRAME_DATAGRAM_LENGTH: c.Struct("data" / BYTES),
    t.FRAME_ACK_FREQUENCY: _integers(
        "sequence_number", "ack_eliciting_threshold", "requested_max_ack_delay", "reordering_threshold"
    ),
    t.FRAME_PATH_ACK: _ack("path_id", has_ecn=False),
    t.FRAME_PATH_ACK_ECN: _ack("path_id", has_ecn=True),
    t.FRAME_PATH_ABANDON: _integers("path_id", "error_code"),
    t.FRAME_PATH_STATUS_BACKUP: _PATH_STATUS,
    t.FRAME_PATH_STATUS_AVAILABLE: _PATH_STATUS,
    t.FRAME_PATH_NEW_CONNECTION_ID: _new_connection_id("path_id"),
    t.FRAME_PATH_RETIRE_CONNECTION_ID: _integers("path_id", "sequence_number"),
    t.FRAME_MAX_PATH_ID: _integers("maximum"),
    t.FRAME_PATHS_BLOCKED: _integers("limit"),
    t.FRAME_PATH_CIDS_BLOCKED: _integers("path_id", "next_sequence_number"),
}
"""What follows each type."""
FRAME = c.Struct("type" / SHORTEST_VARINT, "body" / c.Switch(c.this.type, BODIES, c.Error))

# Transport parameters (RFC 9000 18)

PARAMETERS = c.FocusedSeq(
    "parameters",
    "parameters" / c.GreedyRange(c.Struct("identifier" / VARINT, "value" / BYTES)),
    c.Terminated,
)
PREFERRED_ADDRESS = c.Struct(
    "ipv4" / c.Bytes(4),
    "ipv4_port" / c.Int16ub,
    "ipv6" / c.Bytes(16),
    "ipv6_port" / c.Int16ub,
    "connection_id" / CONNECTION_ID,
    "stateless_reset_token" / c.Bytes(16),
    c.Terminated,
)
VERSION_INFORMATION = c.Struct("chosen" / c.Int32ub, "available" / c.GreedyRange(c.Int32ub), c.Terminated)
