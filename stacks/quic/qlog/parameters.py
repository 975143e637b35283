"""Transport parameters as qlog has them (quic-events 5.3, 5.4)."""

from __future__ import annotations

from typing import NamedTuple

from wire.quic.parameters import PreferredAddress, TransportParameters


class _Field(NamedTuple):
    name: str
    attribute: str
    is_restored: bool = False


def set_fields(parameters: TransportParameters) -> dict[str, object]:
    """All that `parameters` says, defaults included; for parameters_set."""
    found: dict[str, object] = {}
    for field in FIELDS:
        value = getattr(parameters, field.attribute)
        if value is not None:
            found[field.name] = value.hex() if isinstance(value, bytes) else value
    if parameters.preferred_address is not None:
        found["preferred_address"] = _preferred(parameters.preferred_address)
    unknown = sorted(parameters.unknown.items())
    if unknown:
        found["unknown_parameters"] = [{"id": number, "value": value.hex()} for number, value in unknown]
    return found


def restored_fields(parameters: TransportParameters) -> dict[str, object]:
    """What a client may use again for 0-RTT (RFC 9000 7.4.1); for parameters_restored."""
    return {field.name: getattr(parameters, field.attribute) for field in FIELDS if field.is_restored}


def _preferred(address: PreferredAddress) -> dict[str, object]:
    found: dict[str, object] = {}
    for family, place in (("v4", address.ipv4), ("v6", address.ipv6)):
        if place is not None:
            found[f"ip_{family}"], found[f"port_{family}"] = place
    found["connection_id"] = address.connection_id.hex()
    found["stateless_reset_token"] = address.stateless_reset_token.hex()
    return found


FIELDS = (
    _Field("original_destination_connection_id", "original_destination_connection_id"),
    _Field("initial_source_connection_id", "initial_source_connection_id"),
    _Field("retry_source_connection_id", "retry_source_connection_id"),
    _Field("stateless_reset_token", "stateless_reset_token"),
    _Field("disable_active_migration", "disable_active_migration", is_restored=True),
    _Field("max_idle_timeout", "max_idle_timeout_ms", is_restored=True),
    _Field("max_udp_payload_size", "max_udp_payload_size", is_restored=True),
    _Field("ack_delay_exponent", "ack_delay_exponent"),
    _Field("max_ack_delay", "max_ack_delay_ms"),
    _Field("active_connection_id_limit", "active_connection_id_limit", is_restored=True),
    _Field("initial_max_data", "initial_max_data", is_restored=True),
    _Field("initial_max_stream_data_bidi_local", "initial_max_stream_data_bidi_local", is_restored=True),
    _Field("initial_max_stream_data_bidi_remote", "initial_max_stream_data_bidi_remote", is_restored=True),
    _Field("initial_max_stream_data_uni", "initial_max_stream_data_uni", is_restored=True),
    _Field("initial_max_streams_bidi", "initial_max_streams_bidi", is_restored=True),
    _Field("initial_max_streams_uni", "initial_max_streams_uni", is_restored=True),
    _Field("max_datagram_frame_size", "max_datagram_frame_size", is_restored=True),
    _Field("grease_quic_bit", "grease_quic_bit", is_restored=True),
    _Field("reset_stream_at", "reset_stream_at"),
    # Not in the schema, which may be extended: draft-ietf-quic-ack-frequency, in microseconds as on the wire.
    _Field("min_ack_delay", "min_ack_delay_us"),
)
