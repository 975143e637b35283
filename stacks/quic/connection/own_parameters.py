"""The transport parameters that an end announces, from its configuration (RFC 9000 18.2)."""

from __future__ import annotations

import random

from stacks.quic.configuration import Configuration
from wire.quic.parameters import TransportParameters, VersionInformation

MILLISECOND_NS, MICROSECOND_NS = 1_000_000, 1_000


def own_parameters(
    configuration: Configuration, *, source_cid: bytes, version: int, rng: random.Random
) -> TransportParameters:
    """What both ends announce; a server adds what only servers may. version: chosen (RFC 9368 3)."""
    parameters = TransportParameters(
        max_idle_timeout_ms=configuration.max_idle_timeout_ns // MILLISECOND_NS,
        max_udp_payload_size=MAX_UDP_PAYLOAD_BYTES,
        initial_max_data=configuration.connection_window_bytes,
        initial_max_stream_data_bidi_local=configuration.stream_window_bytes,
        initial_max_stream_data_bidi_remote=configuration.stream_window_bytes,
        initial_max_stream_data_uni=configuration.stream_window_bytes,
        initial_max_streams_bidi=configuration.max_streams_bidi,
        initial_max_streams_uni=configuration.max_streams_uni,
        ack_delay_exponent=configuration.ack_delay_exponent,
        max_ack_delay_ms=configuration.max_ack_delay_ns // MILLISECOND_NS,
        disable_active_migration=configuration.disable_active_migration,
        active_connection_id_limit=configuration.active_connection_id_limit,
        initial_source_connection_id=source_cid,
        version_information=VersionInformation(version, configuration.versions),
    )
    if configuration.max_datagram_frame_bytes:
        parameters.max_datagram_frame_size = configuration.max_datagram_frame_bytes
    if configuration.min_ack_delay_ns:
        parameters.min_ack_delay_us = configuration.min_ack_delay_ns // MICROSECOND_NS
    parameters.reset_stream_at = True
    if configuration.grease:
        parameters.grease_quic_bit = True
        # 18.1: an identifier of the form 31 * N + 27 means nothing, and is to be ignored.
        parameters.unknown[31 * int(rng.random() * 1024) + 27] = b""
    return parameters


MAX_UDP_PAYLOAD_BYTES = 65_527
