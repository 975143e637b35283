"""Rules of draft-ietf-quic-qlog-quic-events-13, 8.13: frames, by `frame_type`."""

from __future__ import annotations

from collections.abc import Mapping

_RAW = {"?raw": "RawInfo"}
_STREAM_ERROR = {"stream_id": "uint64", "error": "'unknown'", "?error_code": "uint64"}

FRAME_RULES: Mapping[str, Mapping[str, str]] = {
    "padding": _RAW,
    "ping": _RAW,
    "ack": {
        "?ack_delay": "float32",
        "?acked_ranges": "[+ [1*2 uint64]]",
        "?ect1": "uint64",
        "?ect0": "uint64",
        "?ce": "uint64",
        **_RAW,
    },
    "reset_stream": {**_STREAM_ERROR, "final_size": "uint64", **_RAW},
    "reset_stream_at": {**_STREAM_ERROR, "final_size": "uint64", "reliable_size": "uint64", **_RAW},
    "stop_sending": {**_STREAM_ERROR, **_RAW},
    "crypto": {"offset": "uint64", "raw": "RawInfo"},
    "new_token": {"token": "Token", **_RAW},
    "stream": {"stream_id": "uint64", "?offset": "uint64", "?fin": "bool", **_RAW},
    "max_data": {"maximum": "uint64", **_RAW},
    "max_stream_data": {"stream_id": "uint64", "maximum": "uint64", **_RAW},
    "max_streams": {"stream_type": "StreamType", "maximum": "uint64", **_RAW},
    "data_blocked": {"limit": "uint64", **_RAW},
    "stream_data_blocked": {"stream_id": "uint64", "limit": "uint64", **_RAW},
    "streams_blocked": {"stream_type": "StreamType", "limit": "uint64", **_RAW},
    "new_connection_id": {
        "sequence_number": "uint64",
        "retire_prior_to": "uint64",
        "?connection_id_length": "uint8",
        "connection_id": "hexstring",
        "?stateless_reset_token": "hexstring16",
        **_RAW,
    },
    "retire_connection_id": {"sequence_number": "uint64", **_RAW},
    "path_challenge": {"?data": "hexstring", **_RAW},
    "path_response": {"?data": "hexstring", **_RAW},
    "connection_close": {
        "?error_space": "'transport' / 'application'",
        "?error": "TransportError / crypto_error",
        "?error_code": "uint64",
        "?reason": "text",
        "?reason_bytes": "hexstring",
        "?trigger_frame_type": "uint64 / text",
        **_RAW,
    },
    "handshake_done": _RAW,
    "unknown": {"frame_type_bytes": "uint64", **_RAW},
    "datagram": _RAW,
}
FRAME_EXTENSIONS: Mapping[str, Mapping[str, str]] = {
    # draft-ietf-quic-ack-frequency has no qlog of its own: its fields in their own words.
    "ack_frequency": {
        "sequence_number": "uint64",
        "ack_eliciting_threshold": "uint64",
        "requested_max_ack_delay": "uint64",
        "reordering_threshold": "uint64",
    },
    "immediate_ack": {},
}
