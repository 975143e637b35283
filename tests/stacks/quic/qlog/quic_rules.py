"""Rules of draft-ietf-quic-qlog-quic-events-13: events (4 to 7) and data types (8), but for the frames.

Written from the document's CDDL alone. Events that ours never has are here as well, so that a foreign log can be held
against them. What ours adds through an extension point is in `EXTENSIONS`, and nowhere else.
"""

from __future__ import annotations

from tests.stacks.quic.qlog.cddl import Rules

_STATES = (
    "'attempted' / 'handshake_started' / 'handshake_complete' / 'closed' / 'peer_validated' / 'early_write' / "
    "'handshake_confirmed' / 'closing' / 'draining'"
)
_STREAM_STATES = (
    "'idle' / 'open' / 'closed' / 'half_closed_local' / 'half_closed_remote' / 'ready' / 'send' / 'data_sent' / "
    "'reset_sent' / 'reset_received' / 'receive' / 'size_known' / 'data_read' / 'reset_read' / 'data_received' / "
    "'destroyed'"
)
_MIGRATION = (
    "'probing_started' / 'probing_abandoned' / 'probing_successful' / 'migration_started' / 'migration_abandoned' / "
    "'migration_complete'"
)
_DROPS = (
    "'internal_error' / 'rejected' / 'unsupported' / 'invalid' / 'duplicate' / 'connection_unknown' / "
    "'decryption_failure' / 'key_unavailable' / 'general'"
)
_RESTORED = {
    "?disable_active_migration": "bool",
    "?max_idle_timeout": "uint64",
    "?max_udp_payload_size": "uint64",
    "?active_connection_id_limit": "uint64",
    "?initial_max_data": "uint64",
    "?initial_max_stream_data_bidi_local": "uint64",
    "?initial_max_stream_data_bidi_remote": "uint64",
    "?initial_max_stream_data_uni": "uint64",
    "?initial_max_streams_bidi": "uint64",
    "?initial_max_streams_uni": "uint64",
    "?max_datagram_frame_size": "uint64",
    "?grease_quic_bit": "bool",
}
_DATAGRAMS = {
    "?count": "uint16",
    "?raw": "[+ RawInfo]",
    "?ecn": "[+ ECN]",
    "?datagram_ids": "[+ uint32]",
}
_BLOCKED = {"?old": "Blocked", "new": "Blocked", "?reason": "BlockedReason"}
_KEY = {"?key_phase": "uint64", "?trigger": "'tls' / 'remote_update' / 'local_update'"}

QUIC_RULES: Rules = {
    # 4 Connectivity
    "server_listening": {
        "?ip_v4": "text",
        "?port_v4": "uint16",
        "?ip_v6": "text",
        "?port_v6": "uint16",
        "?retry_required": "bool",
    },
    "connection_started": {"local": "TupleEndpointInfo", "remote": "TupleEndpointInfo"},
    "connection_closed": {
        "?initiator": "Initiator",
        "?connection_error": "TransportError / crypto_error",
        "?application_error": "'unknown'",
        "?error_code": "uint64",
        "?internal_code": "uint64",
        "?reason": "text",
        "?trigger": (
            "'idle_timeout' / 'application' / 'error' / 'version_mismatch' / 'stateless_reset' / 'aborted' / "
            "'unspecified'"
        ),
    },
    "connection_id_updated": {"initiator": "Initiator", "?old": "hexstring", "?new": "hexstring"},
    "spin_bit_updated": {"state": "bool"},
    "connection_state_updated": {"?old": _STATES, "new": _STATES},
    "tuple_assigned": {"tuple_id": "text", "?tuple_remote": "TupleEndpointInfo", "?tuple_local": "TupleEndpointInfo"},
    "mtu_updated": {"?old": "uint32", "new": "uint32", "?done": "bool"},
    # 5 Transport
    "version_information": {
        "?server_versions": "[+ hexstring]",
        "?client_versions": "[+ hexstring]",
        "?chosen_version": "hexstring",
    },
    "alpn_information": {"?server_alpns": "[* Alpn]", "?client_alpns": "[* Alpn]", "?chosen_alpn": "Alpn"},
    "Alpn": {"?byte_value": "hexstring", "?string_value": "text"},
    "parameters_set": {
        "?initiator": "Initiator",
        "?resumption_allowed": "bool",
        "?early_data_enabled": "bool",
        "?tls_cipher": "text",
        "?original_destination_connection_id": "hexstring",
        "?initial_source_connection_id": "hexstring",
        "?retry_source_connection_id": "hexstring",
        "?stateless_reset_token": "hexstring16",
        "?ack_delay_exponent": "uint64",
        "?max_ack_delay": "uint64",
        **_RESTORED,
        "?preferred_address": "PreferredAddress",
        "?unknown_parameters": "[* UnknownParameter]",
        "?reset_stream_at": "bool",
    },
    "PreferredAddress": {
        "?ip_v4": "text",
        "?port_v4": "uint16",
        "?ip_v6": "text",
        "?port_v6": "uint16",
        "connection_id": "hexstring",
        "stateless_reset_token": "hexstring16",
    },
    "UnknownParameter": {"id": "uint64", "?value": "hexstring"},
    "parameters_restored": _RESTORED,
    "packet_sent": {
        "header": "PacketHeader",
        "?frames": "[* QuicFrame]",
        "?stateless_reset_token": "hexstring16",
        "?supported_versions": "[+ hexstring]",
        "?raw": "RawInfo",
        "?datagram_id": "uint32",
        "?is_mtu_probe_packet": "bool",
        "?trigger": (
            "'retransmit_reordered' / 'retransmit_timeout' / 'pto_probe' / 'retransmit_crypto' / 'cc_bandwidth_probe'"
        ),
    },
    "packet_received": {
        "header": "PacketHeader",
        "?frames": "[* QuicFrame]",
        "?stateless_reset_token": "hexstring16",
        "?supported_versions": "[+ hexstring]",
        "?raw": "RawInfo",
        "?datagram_id": "uint32",
        "?trigger": "'keys_available'",
    },
    "packet_dropped": {
        "?header": "PacketHeader",
        "?raw": "RawInfo",
        "?datagram_id": "uint32",
        "?details": "map",
        "?trigger": _DROPS,
    },
    "packet_buffered": {
        "?header": "PacketHeader",
        "?raw": "RawInfo",
        "?datagram_id": "uint32",
        "?trigger": "'backpressure' / 'keys_unavailable'",
    },
    "packets_acked": {"?packet_number_space": "PacketNumberSpace", "?packet_numbers": "[+ uint64]"},
    "udp_datagrams_sent": _DATAGRAMS,
    "udp_datagrams_received": _DATAGRAMS,
    "udp_datagram_dropped": {"?raw": "RawInfo"},
    "stream_state_updated": {
        "stream_id": "uint64",
        "?stream_type": "StreamType",
        "?old": _STREAM_STATES,
        "new": _STREAM_STATES,
        "stream_side": "'sending' / 'receiving'",
        "?trigger": "'local' / 'remote'",
    },
    "frames_created": {"frames": "[* QuicFrame]", "?packet_numbers": "[* uint64]"},
    "frames_parsed": {"frames": "[* QuicFrame]", "?packet_numbers": "[* uint64]"},
    "stream_data_moved": {
        "?stream_id": "uint64",
        "?offset": "uint64",
        "?from": "DataLocation",
        "?to": "DataLocation",
        "?additional_info": "'fin_set' / 'stream_reset'",
        "?raw": "RawInfo",
    },
    "datagram_data_moved": {"?from": "DataLocation", "?to": "DataLocation", "?raw": "RawInfo"},
    "connection_data_blocked_updated": _BLOCKED,
    "stream_data_blocked_updated": {**_BLOCKED, "stream_id": "uint64"},
    "datagram_data_blocked_updated": _BLOCKED,
    "migration_state_updated": {
        "?old": _MIGRATION,
        "new": _MIGRATION,
        "?tuple_id": "text",
        "?tuple_remote": "TupleEndpointInfo",
        "?tuple_local": "TupleEndpointInfo",
    },
    "timer_updated": {
        "?timer_type": "'ack' / 'pto' / 'loss_timeout' / 'path_validation' / 'handshake_timeout' / 'idle_timeout'",
        "?timer_id": "uint64",
        "?packet_number_space": "PacketNumberSpace",
        "event_type": "'set' / 'expired' / 'cancelled'",
        "?delta": "float32",
    },
    # 6 Security
    "key_updated": {"key_type": "KeyType", "?old": "hexstring", "?new": "hexstring", **_KEY},
    "key_discarded": {"key_type": "KeyType", "?key": "hexstring", **_KEY},
    # 7 Recovery
    "recovery_parameters_set": {
        "?reordering_threshold": "uint16",
        "?time_threshold": "float32",
        "timer_granularity": "uint16",
        "?initial_rtt": "float32",
        "?max_datagram_size": "uint32",
        "?initial_congestion_window": "uint64",
        "?minimum_congestion_window": "uint64",
        "?loss_reduction_factor": "float32",
        "?persistent_congestion_threshold": "uint16",
    },
    "recovery_metrics_updated": {
        "?min_rtt": "float32",
        "?smoothed_rtt": "float32",
        "?latest_rtt": "float32",
        "?rtt_variance": "float32",
        "?pto_count": "uint16",
        "?congestion_window": "uint64",
        "?bytes_in_flight": "uint64",
        "?ssthresh": "uint64",
        "?packets_in_flight": "uint64",
        "?pacing_rate": "uint64",
    },
    "congestion_state_updated": {"?old": "text", "new": "text", "?trigger": "text"},
    "packet_lost": {
        "?header": "PacketHeader",
        "?frames": "[* QuicFrame]",
        "?is_mtu_probe_packet": "bool",
        "?trigger": "'reordering_threshold' / 'time_threshold' / 'pto_expired'",
    },
    "marked_for_retransmit": {"frames": "[+ QuicFrame]"},
    "ecn_state_updated": {"?old": "EcnState", "new": "EcnState"},
    # 8 Data types
    "Initiator": "'local' / 'remote'",
    "TupleEndpointInfo": {
        "?ip_v4": "text",
        "?port_v4": "uint16",
        "?ip_v6": "text",
        "?port_v6": "uint16",
        "?connection_ids": "[+ hexstring]",
    },
    "PacketType": (
        "'initial' / 'handshake' / '0RTT' / '1RTT' / 'retry' / 'version_negotiation' / 'stateless_reset' / 'unknown'"
    ),
    "PacketNumberSpace": "'initial' / 'handshake' / 'application_data'",
    "PacketHeader": {
        "packet_type": "PacketType",
        "?packet_type_bytes": "uint64",
        "?spin_bit": "bool",
        "?key_phase": "uint64",
        "?key_phase_bit": "bool",
        "?packet_number_length": "uint8",
        "?packet_number": "uint64",
        "?token": "Token",
        "?length": "uint16",
        "?version": "hexstring",
        "?scil": "uint8",
        "?dcil": "uint8",
        "?scid": "hexstring",
        "?dcid": "hexstring",
    },
    "Token": {"?type": "'retry' / 'resumption'", "?details": "map", "?raw": "RawInfo"},
    "KeyType": (
        "'server_initial_secret' / 'client_initial_secret' / 'server_handshake_secret' / 'client_handshake_secret' / "
        "'server_0rtt_secret' / 'client_0rtt_secret' / 'server_1rtt_secret' / 'client_1rtt_secret'"
    ),
    "ECN": "'Not-ECT' / 'ECT(1)' / 'ECT(0)' / 'CE'",
    "EcnState": "'testing' / 'unknown' / 'failed' / 'capable'",
    "StreamType": "'unidirectional' / 'bidirectional'",
    "DataLocation": "'application' / 'transport' / 'network'",
    "Blocked": "'blocked' / 'unblocked'",
    "BlockedReason": (
        "'scheduling' / 'pacing' / 'amplification_protection' / 'congestion_control' / 'connection_flow_control' / "
        "'stream_flow_control' / 'stream_id' / 'application'"
    ),
    "TransportError": (
        "'no_error' / 'internal_error' / 'connection_refused' / 'flow_control_error' / 'stream_limit_error' / "
        "'stream_state_error' / 'final_size_error' / 'frame_encoding_error' / 'transport_parameter_error' / "
        "'connection_id_limit_error' / 'protocol_violation' / 'invalid_token' / 'application_error' / "
        "'crypto_buffer_exceeded' / 'key_update_error' / 'aead_limit_reached' / 'no_viable_path' / 'unknown'"
    ),
}
DATA_TYPES = frozenset({
    "Alpn", "PreferredAddress", "UnknownParameter", "Initiator", "TupleEndpointInfo", "PacketType",
    "PacketNumberSpace", "PacketHeader", "Token", "KeyType", "ECN", "EcnState", "StreamType", "DataLocation",
    "Blocked", "BlockedReason", "TransportError",
})  # fmt: skip
"""The rules that are no event."""
EXTENSIONS = {"parameters_set": {"?min_ack_delay": "uint64", "?is_resumed": "bool"}}
