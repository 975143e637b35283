"""Transport parameters that outlive their connection for 0-RTT (RFC 9000 7.4.1, RFC 9221 3)."""

from __future__ import annotations

from stacks.quic.errors import QuicError, TransportErrorCode
from wire.quic.parameters import TransportParameters


def remembered(parameters: TransportParameters) -> TransportParameters:
    """Of a server's parameters, those that a client may use again; all others at their defaults."""
    return TransportParameters(**{name: getattr(parameters, name) for name in REMEMBERED})


def encode_remembered(parameters: TransportParameters) -> bytes:
    """The same, as a ticket keeps them."""
    return remembered(parameters).encode()


def first_reduced(before: TransportParameters, after: TransportParameters) -> str:
    """The name of a limit that is lower in `after`; empty where none is, and 0-RTT may be accepted."""
    for name in NEVER_REDUCED:
        if getattr(after, name) < getattr(before, name):
            return name
    return ""


def check_kept(before: TransportParameters, after: TransportParameters) -> None:
    """A client's check of a server that accepted 0-RTT; QuicError PROTOCOL_VIOLATION where it lowered a limit."""
    if name := first_reduced(before, after):
        raise QuicError(
            TransportErrorCode.PROTOCOL_VIOLATION,
            f"the server accepts 0-RTT and lowers {name} from {getattr(before, name)} to {getattr(after, name)}",
        )


NEVER_REDUCED = (
    "active_connection_id_limit",
    "initial_max_data",
    "initial_max_stream_data_bidi_local",
    "initial_max_stream_data_bidi_remote",
    "initial_max_stream_data_uni",
    "initial_max_streams_bidi",
    "initial_max_streams_uni",
    "max_datagram_frame_size",
)
REMEMBERED = (*NEVER_REDUCED, "max_idle_timeout_ms", "max_udp_payload_size", "disable_active_migration")
