"""Which version is spoken: Retry and Version Negotiation at a client, and the change to a compatible version.

A Retry or Version Negotiation packet counts only before any other packet of the server was accepted, and once
(RFC 9000 6.2, 17.2.5.2). Versions 1 and 2 are compatible: a server that prefers another one than the client began with
answers in it, and both go on in it (RFC 9368 2.3, RFC 9369 4).
"""

from __future__ import annotations

from stacks.quic.connection.closing import CloseReason
from stacks.quic.connection.ending import end
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionEvent
from stacks.quic.errors import TransportErrorCode
from stacks.quic.events import VersionsOffered
from stacks.quic.keys import retry_tag
from stacks.quic.levels import SPACE_HANDSHAKE
from stacks.quic.tls import check_versions_of_client, check_versions_of_server
from wire.errors import WireError
from wire.quic.packet import Header, decode_retry, decode_version_negotiation
from wire.quic.parameters import TransportParameters


class VersionSwitch:
    """The version of one connection.

    retry_source_cid: of the Retry that a client followed, None without. had_negotiation: whether this connection's
    version was chosen from a Version Negotiation packet that came to another one.
    """

    __slots__ = ("_handshake", "_has_accepted", "_parts", "had_negotiation", "retry_source_cid")

    def __init__(self, parts: Parts, handshake: Handshake) -> None:
        self._parts = parts
        self._handshake = handshake
        self._has_accepted = False
        self.had_negotiation = False
        self.retry_source_cid: bytes | None = None

    def is_acceptable(self, header: Header) -> bool:
        """Whether a long packet of this version can be of this connection now."""
        parts = self._parts
        if header.version == parts.version:
            return True
        if parts.is_client:
            # Until it has the whole ClientHello a server answers in the first version (RFC 9369 4.1): no choice yet.
            is_open = parts.version == parts.original_version and parts.spaces[SPACE_HANDSHAKE].opener is None
            return is_open and header.version in parts.configuration.versions
        return header.version == parts.original_version

    def opened(self, header: Header) -> None:
        """A long packet was opened: it is the peer's."""
        parts = self._parts
        if parts.is_client and header.version != parts.version:
            self._handshake.change_version(header.version)
        if self._has_accepted:
            return
        self._has_accepted = True
        if parts.is_client:
            parts.peer_ids.first_packet(header.source_cid)
            parts.paths.server_chose_id()

    def handle_retry(self, packet: memoryview, now: int) -> None:
        """A Retry came (RFC 9000 17.2.5)."""
        parts = self._parts
        retry = None
        if parts.is_client and not self._has_accepted and self.retry_source_cid is None:
            retry = _read_retry(packet, parts)
        tracer = parts.tracer
        if retry is None:
            parts.counters.dropped_foreign += 1
            if tracer is not None:
                tracer.packet_dropped(now, None, len(packet), "rejected")
            return
        source_cid, token = retry
        if tracer is not None:
            tracer.retry_received(now, len(packet), source_cid=source_cid, token=token)
        self.retry_source_cid = source_cid
        parts.token = token
        parts.peer_ids.follow_retry(source_cid)
        parts.paths.server_chose_id()
        self._handshake.derive_initial_keys(source_cid, now)
        parts.recovery.retry_received(now)

    def handle_negotiation(self, packet: memoryview, header: Header, now: int) -> None:
        """A Version Negotiation packet came (RFC 9000 6.2, RFC 9368 4)."""
        parts = self._parts
        try:
            versions = decode_version_negotiation(packet).versions
        except WireError:
            versions = ()
        is_ours = header.source_cid == parts.peer_ids.current and parts.local_ids.is_ours(header.destination_cid)
        has_answer = self._has_accepted or self.retry_source_cid is not None
        if not (parts.is_client and is_ours and versions) or has_answer or parts.version in versions:
            parts.counters.dropped_foreign += 1
            if parts.tracer is not None:
                parts.tracer.packet_dropped(now, None, len(packet), "rejected")
            return
        if parts.tracer is not None:
            parts.tracer.version_negotiation_received(now, len(packet), versions)
            parts.tracer.version_information(now, chosen=None, client=parts.configuration.versions, server=versions)
        parts.events.append(VersionsOffered(tuple(versions)))
        offered = ", ".join(f"{version:#x}" for version in versions)
        reason = f"the server does not speak version {parts.version:#x}; it offers {offered}"
        end(
            parts,
            ConnectionEvent.SILENCE,
            CloseReason(TransportErrorCode.VERSION_NEGOTIATION_ERROR, reason, by_peer=True, is_silent=True),
            now,
        )

    def choose(self, peer: TransportParameters) -> None:
        """A server knows the client's versions: it answers in the one that it prefers (RFC 9368 2.3)."""
        parts, information = self._parts, peer.version_information
        check_versions_of_client(peer, version=parts.original_version)
        if information is None:
            return
        for version in parts.configuration.versions:
            if version in information.available:
                if version != parts.version:
                    self._handshake.change_version(version)
                return

    def check(self, peer: TransportParameters) -> None:
        """A client knows what the server says of versions: nobody may have meddled (RFC 9368 4)."""
        parts = self._parts
        check_versions_of_server(
            peer,
            version=parts.version,
            supported=parts.configuration.versions,
            had_version_negotiation=self.had_negotiation,
        )


def _read_retry(packet: memoryview, parts: Parts) -> tuple[bytes, bytes] | None:
    """Source connection ID and token of a Retry that is for us and unharmed."""
    try:
        retry = decode_retry(packet)
    except WireError:
        return None
    original = parts.peer_ids.current
    expected = retry_tag(parts.version, original, bytes(packet[:-TAG_BYTES]))
    is_for_us = retry.version == parts.version and parts.local_ids.is_ours(retry.destination_cid)
    if not is_for_us or bytes(retry.tag) != expected:
        return None
    if not retry.token or retry.source_cid == original:
        return None
    return bytes(retry.source_cid), bytes(retry.token)


TAG_BYTES = 16
