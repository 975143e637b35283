"""What is demanded of packets later on: key phases, ECN, amplification, IP version."""

from __future__ import annotations

from collections import Counter

from interop.outcome import DisagreementError
from interop.quic.dissect.datagrams import Point
from interop.quic.dissect.frames import ACK_ECN
from interop.quic.dissect.trace import Trace
from transports.link.packet import ECN_CE, ECN_ECT0, ECN_ECT1
from wire.errors import WireError
from wire.quic.packet import (
    KIND_HANDSHAKE,
    KIND_INITIAL,
    KIND_ONE_RTT,
    KIND_VERSION_NEGOTIATION,
    decode_header,
)


def both_phases(trace: Trace) -> str:
    """Both ends sent packets that open with the keys of phase 1."""
    texts = []
    for is_from_client, who in ((True, "client"), (False, "server")):
        phases = Counter(
            packet.phase for packet in trace.packets(KIND_ONE_RTT, is_from_client=is_from_client) if packet.number >= 0
        )
        if not phases[1]:
            raise DisagreementError(f"the {who} sent {phases[0]} packets of key phase 0, none of phase 1")
        texts.append(f"{who} {phases[0]} and {phases[1]}")
    return f"packets in key phases 0 and 1: {', '.join(texts)}"


def ecn_used(trace: Trace) -> str:
    """Both ends mark, CE is never seen, and both acknowledge with ECN counts."""
    troubles, texts = [], []
    for is_from_client, who in ((True, "client"), (False, "server")):
        sent = [each for each in trace.sent if each.is_from_client is is_from_client]
        marks = Counter(each.seen.ecn for each in sent)
        if not marks[ECN_ECT0] + marks[ECN_ECT1]:
            troubles.append(f"the {who} marked none of {len(sent)} datagrams ECT")
        if marks[ECN_CE]:
            troubles.append(f"the {who} sent {marks[ECN_CE]} datagrams with CE")
        if not any(packet.has(ACK_ECN) for each in sent for packet in each.packets):
            troubles.append(f"the {who} sent no ACK with ECN counts")
        texts.append(f"{who} marked {marks[ECN_ECT0] + marks[ECN_ECT1]} of {len(sent)}")
    if troubles:
        raise DisagreementError("; ".join(troubles))
    return ", ".join(texts)


def only_ipv6(trace: Trace) -> str:
    """The server sent nothing over IPv4."""
    sent = [each for each in trace.datagrams if each.point is Point.SERVER_SENT]
    if not sent or not all(each.is_ipv6 for each in sent):
        raise DisagreementError(f"{sum(not each.is_ipv6 for each in sent)} of {len(sent)} datagrams over IPv4")
    return f"{len(sent)} datagrams over IPv6"


def amplification_bounded(trace: Trace) -> str:
    """The whole chain was sent, and three times what had come at most (four are let pass) before the client's first
    Handshake packet; at the server.
    """
    crypto = max((each.stream(KIND_HANDSHAKE, is_from_client=False).end for each in trace.connections), default=0)
    if crypto < CHAIN_BYTES:
        raise DisagreementError(f"{crypto} bytes of Handshake CRYPTO, not {CHAIN_BYTES} at least")
    got = sent = 0
    worst = 0.0
    for datagram in trace.datagrams:
        if datagram.point not in (Point.SERVER_GOT, Point.SERVER_SENT):
            continue
        kinds, size = _kinds(datagram.payload), len(datagram.payload)
        if KIND_VERSION_NEGOTIATION in kinds:
            raise DisagreementError("a Version Negotiation packet")
        if datagram.point is Point.SERVER_SENT:
            sent += size
            worst = max(worst, sent / got if got else 99.0)
            if sent >= 4 * got:
                raise DisagreementError(f"{sent} bytes sent when {got} had come")
        elif KIND_HANDSHAKE in kinds:
            return f"{crypto} bytes of Handshake CRYPTO, at most {worst:.2f} times what had come"
        elif KIND_INITIAL in kinds:
            got += size
    raise DisagreementError("no Handshake packet of the client")


def _kinds(payload: bytes) -> set[int]:
    found, at = set(), 0
    while at < len(payload):
        try:
            header = decode_header(payload, at, len(payload), 0)
        except WireError:
            break
        found.add(header.kind)
        at = header.end
    return found


CHAIN_BYTES = 7500
