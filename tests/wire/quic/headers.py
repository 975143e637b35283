"""Packet headers as their definitions have them, and as the codec does (RFC 9000 17, RFC 9369 3.2)."""

from __future__ import annotations

from io import BytesIO

from construct import ConstructError

from wire.quic import packet as p
from wire.quic.definition import HANDSHAKE, INITIAL, INVARIANT_HEADER, one_rtt

V1_TYPES = {p.KIND_INITIAL: 0, p.KIND_ZERO_RTT: 1, p.KIND_HANDSHAKE: 2, p.KIND_RETRY: 3}
"""RFC 9000 17.2, table 5."""
V2_TYPES = {p.KIND_INITIAL: 1, p.KIND_ZERO_RTT: 2, p.KIND_HANDSHAKE: 3, p.KIND_RETRY: 0}
"""RFC 9369 3.2."""
TYPES = {p.VERSION_1: V1_TYPES, p.VERSION_2: V2_TYPES}
NAMES = ("kind", "first", "version", "destination_cid", "source_cid", "token", "start", "number_offset", "end")


def header_fields(header: p.Header) -> tuple[object, ...]:
    """What a header says, in the order of `NAMES`."""
    return tuple(getattr(header, name) for name in NAMES)


def defined_header(packet: bytes, cid_bytes: int) -> tuple[object, ...]:
    """What the header at the start of a datagram must say; ConstructError where it cannot be read."""
    if packet and not packet[0] & 0x80:
        cid = one_rtt(cid_bytes).parse(packet).destination_cid
        return (p.KIND_ONE_RTT, packet[0], 0, cid, b"", b"", 0, 1 + cid_bytes, len(packet))
    invariant = INVARIANT_HEADER.parse(packet)
    head = (packet[0], invariant.version, invariant.destination_cid, invariant.source_cid)
    behind = len(packet) - len(invariant.rest)
    if invariant.version == 0:
        return (p.KIND_VERSION_NEGOTIATION, *head, b"", 0, behind, len(packet))
    if invariant.version not in TYPES:
        return (p.KIND_UNKNOWN, *head, b"", 0, behind, len(packet))
    if len(invariant.destination_cid) > 20 or len(invariant.source_cid) > 20:
        raise ConstructError("RFC 9000 17.2: 20 bytes at most")
    kinds = {number: kind for kind, number in TYPES[invariant.version].items()}
    kind = kinds[packet[0] >> 4 & 3]
    if kind == p.KIND_RETRY:
        return (kind, *head, b"", 0, behind, len(packet))
    stream = BytesIO(packet)
    parsed = (INITIAL if kind == p.KIND_INITIAL else HANDSHAKE).parse_stream(stream)
    token, end = parsed.get("token", b""), stream.tell()
    return (kind, *head, token, 0, end - len(parsed.protected), end)
