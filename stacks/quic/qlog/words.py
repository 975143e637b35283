"""What the schema calls things (draft-ietf-quic-qlog-quic-events-13, 4 to 8), and how values are written."""

from __future__ import annotations

import json
from ipaddress import ip_address

from stacks.quic.errors import CRYPTO_ERROR, TransportErrorCode
from transports.datagram import Address

FILE_SCHEMA = "urn:ietf:params:qlog:file:sequential"
SERIALIZATION = "application/qlog+json-seq"
QUIC_EVENTS = "urn:ietf:params:qlog:events:quic-13"
SIMULATION_EVENTS = "urn:ietf:params:qlog:events:simulation"
PACKET_TYPES = ("initial", "0RTT", "handshake", "1RTT")
"""By level."""
SPACES = ("initial", "handshake", "application_data")
SPACE_PACKET_TYPES = ("initial", "handshake", "1RTT")
KEY_LEVELS = ("initial", "0rtt", "handshake", "1rtt")
ECN_WORDS = ("Not-ECT", "ECT(1)", "ECT(0)", "CE")
"""By the bits of the IP header."""
TRANSPORT_ERRORS = {
    int(code): code.name.lower()
    for code in TransportErrorCode
    if code is not TransportErrorCode.VERSION_NEGOTIATION_ERROR  # which the schema does not have
}


def dumps(value: object) -> str:
    """JSON in the fewest characters, of ASCII alone."""
    return json.dumps(value, separators=(",", ":"))


def milliseconds(duration_ns: int) -> str:
    """A JSON number of milliseconds, exact: no float is made of it."""
    whole, rest = divmod(duration_ns, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") if rest else str(whole)


def transport_error(code: int) -> tuple[str, int | None]:
    """The word for a code of CONNECTION_CLOSE (0x1c), and the code where the schema has no word for it."""
    if code in TRANSPORT_ERRORS:
        return TRANSPORT_ERRORS[code], None
    if CRYPTO_ERROR <= code < CRYPTO_ERROR + 0x100:
        return f"crypto_error_{code:#x}", None
    return "unknown", code


def endpoint(address: Address, *connection_ids: bytes) -> dict[str, object]:
    """A TupleEndpointInfo: one half of a network tuple."""
    host, port = address
    try:
        family = ip_address(host).version
    except ValueError:
        family = 4  # a name in a simulation; the schema allows any text
    found: dict[str, object] = {f"ip_v{family}": host, f"port_v{family}": port}
    if connection_ids:
        found["connection_ids"] = [each.hex() for each in connection_ids]
    return found


def version_word(version: int) -> str:
    """A QuicVersion."""
    return f"{version:08x}"
