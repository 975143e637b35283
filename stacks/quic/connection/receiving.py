"""Datagrams in: packets out of them, opened, and their frames handled, one packet after the other (RFC 9000 12.2).

    datagram -> packets by their headers -> keys of their level -> number and payload -> Dispatcher

A packet that cannot be opened never stops the next one in the datagram, and changes nothing but a counter. What comes
before its keys is kept for a moment, since packets overtake each other (RFC 9001 5.7).
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.connection.closing import CloseReason
from stacks.quic.connection.dispatch import Dispatcher
from stacks.quic.connection.early import EarlyPackets
from stacks.quic.connection.ending import end
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.packet import ArrivedPacket
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.receiving_runs import ReceivingRuns
from stacks.quic.connection.states import ConnectionEvent, ConnectionState
from stacks.quic.connection.versions import VersionSwitch
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.keys import Opened, Opener, PacketViews
from stacks.quic.levels import (
    LEVEL_HANDSHAKE,
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_HANDSHAKE,
    SPACE_OF_LEVEL,
)
from stacks.quic.paths import Path
from wire.errors import WireError
from wire.quic.frames import ConnectionClose, read_frames
from wire.quic.packet import (
    KIND_HANDSHAKE,
    KIND_INITIAL,
    KIND_ONE_RTT,
    KIND_RETRY,
    KIND_VERSION_NEGOTIATION,
    KIND_ZERO_RTT,
    Header,
    decode_header,
)


class Receiving:
    """The incoming side of one connection. packet: that was handled last."""

    __slots__ = ("_dispatcher", "_early", "_handshake", "_parts", "_runs", "_versions", "packet")

    def __init__(self, parts: Parts, handshake: Handshake, versions: VersionSwitch) -> None:
        self._parts = parts
        self._handshake = handshake
        self._versions = versions
        self._dispatcher = Dispatcher(parts, handshake)
        self._early = EarlyPackets()
        self.packet = ArrivedPacket()
        self._runs = ReceivingRuns(parts)

    def handle_datagram(self, datagram: memoryview, path: Path, ecn: int, now: int) -> None:
        """One datagram of this connection, which may be overwritten. The path has counted its bytes already."""
        parts = self._parts
        parts.counters.datagrams_received += 1
        parts.counters.bytes_received += len(datagram)
        if parts.tracer is not None:
            parts.tracer.datagrams_received(now, len(datagram), len(datagram), ecn)
        self._handle_packets(datagram, path, ecn, now)

    def _handle_packets(self, datagram: memoryview, path: Path, ecn: int, now: int) -> None:
        parts = self._parts
        start, end_offset = 0, len(datagram)
        first_cid: bytes | None = None
        while start < end_offset and self._is_listening():
            try:
                header = decode_header(datagram, start, end_offset, parts.configuration.connection_id_bytes)
            except WireError:
                parts.counters.dropped_malformed += 1
                self._dropped(None, end_offset - start, "invalid", now)
                return
            if not header.has_fixed_bit and not parts.configuration.grease:
                parts.counters.dropped_malformed += 1  # RFC 9287 3: only who offers it takes them
                self._dropped(None, header.end - start, "invalid", now)
                start = header.end
                continue
            if first_cid is None:
                first_cid = header.destination_cid
            elif header.destination_cid != first_cid:
                parts.counters.dropped_foreign += 1  # 12.2: later packets for other connections are dropped
                self._dropped(None, header.end - start, "connection_unknown", now)
                start = header.end
                continue
            self._handle_packet(datagram, header, path, ecn, now)
            start = header.end

    def handle_burst(
        self, view: memoryview, segment_bytes: int, path: Path, ecn: int, now: int, views: PacketViews | None = None
    ) -> None:
        """Datagrams of one 1-RTT packet each, all for the same connection ID. The path has counted them.

        views: of the buffer that `view` is the front of, where there are any.
        """
        parts, end_offset = self._parts, len(view)
        keys = parts.one_rtt
        number_offset = 1 + parts.configuration.connection_id_bytes
        if keys is None or not keys.can_open or not self._is_listening():
            for start in range(0, end_offset, segment_bytes):
                self.handle_datagram(view[start : start + segment_bytes], path, ecn, now)
            return
        parts.counters.datagrams_received += -(-end_offset // segment_bytes)
        parts.counters.bytes_received += end_offset
        if parts.tracer is not None:
            parts.tracer.datagrams_received(now, end_offset, segment_bytes, ecn)
        if views is not None and (
            parts.tracer is not None
            or not parts.configuration.shortcuts
            or views.number_offset != number_offset
            or end_offset > views.count * segment_bytes
        ):
            views = None
        largest, pto_ns = parts.spaces[SPACE_APPLICATION].received.largest, parts.recovery.pto_ns()
        try:
            if views is None:
                packets = [
                    (start, start + number_offset, min(start + segment_bytes, end_offset))
                    for start in range(0, end_offset, segment_bytes)
                ]
                opened = keys.open_burst(view, packets, largest, now, pto_ns)
            else:
                opened = keys.open_views(views, end_offset, largest, now, pto_ns)
        except QuicError as error:
            self._mistake(error, now)
            return
        self._take_opened(opened, segment_bytes, end_offset, bytes(view[1:number_offset]), path, ecn, now)

    def keys_changed(self, now: int) -> None:
        """There are new keys: what came too early may be opened."""
        for datagram, path, ecn in self._early.take():
            self._handle_packets(memoryview(datagram), path, ecn, now)

    def _is_listening(self) -> bool:
        """While CLOSING only CONNECTION_CLOSE matters, and it is told by packets that can be opened."""
        return self._parts.state < ConnectionState.DRAINING

    def _handle_packet(self, datagram: memoryview, header: Header, path: Path, ecn: int, now: int) -> None:
        kind, counters = header.kind, self._parts.counters
        if kind == KIND_ONE_RTT:
            keys = self._parts.one_rtt
            if keys is None or not keys.can_open:
                self._keep(datagram, header, LEVEL_ONE_RTT, path, ecn, now)
                return
            self._handle_one_rtt(datagram, header, path, ecn, now)
        elif kind == KIND_RETRY:
            self._versions.handle_retry(datagram[header.start : header.end], now)
        elif kind == KIND_VERSION_NEGOTIATION:
            self._versions.handle_negotiation(datagram[header.start : header.end], header, now)
        elif kind in LEVEL_OF_KIND:
            self._handle_long(datagram, header, path, ecn, now)
        else:
            counters.dropped_foreign += 1
            self._dropped(None, header.end - header.start, "unsupported", now)

    def _handle_long(self, datagram: memoryview, header: Header, path: Path, ecn: int, now: int) -> None:
        parts, level = self._parts, LEVEL_OF_KIND[header.kind]
        space, size = parts.spaces[SPACE_OF_LEVEL[level]], header.end - header.start
        if not self._versions.is_acceptable(header) or not parts.peer_ids.is_source_acceptable(header.source_cid):
            parts.counters.dropped_foreign += 1
            self._dropped(level, size, "rejected", now)
            return
        if level == LEVEL_INITIAL and (header.token if parts.is_client else len(datagram) < MIN_INITIAL_BYTES):
            parts.counters.dropped_foreign += 1  # 17.2.2: only clients send tokens; 14.1: in large datagrams
            self._dropped(level, size, "invalid", now)
            return
        opener = self._opener(level, header.version, now)
        if opener is None:
            if space.is_open and level != LEVEL_INITIAL:
                self._keep(datagram, header, level, path, ecn, now)
            else:
                parts.counters.dropped_keys += 1
                self._dropped(level, size, "key_unavailable", now)
            return
        place = (header.start, header.number_offset, header.end)
        (opened,) = opener.open_burst(datagram, (place,), space.received.largest)
        if opened is None:
            parts.counters.dropped_forged += 1
            self._dropped(level, size, "decryption_failure", now)
            return
        number, first, payload = opened
        self._versions.opened(header)
        is_bad = bool(first & LONG_RESERVED_BITS)
        if self._take(level, number, size, is_bad, payload, header.destination_cid, path, ecn, now):
            if level == LEVEL_HANDSHAKE:
                path.is_validated = True  # 8.1: the peer has our keys, so it gets what we send
                if not parts.is_client:
                    self._handshake.first_handshake_packet(now)

    def _handle_one_rtt(self, datagram: memoryview, header: Header, path: Path, ecn: int, now: int) -> None:
        parts, size = self._parts, header.end - header.start
        keys = parts.one_rtt
        assert keys is not None
        place = (header.start, header.number_offset, header.end)
        largest, pto_ns = parts.spaces[SPACE_APPLICATION].received.largest, parts.recovery.pto_ns()
        try:
            opened = keys.open_burst(datagram, (place,), largest, now, pto_ns)
        except QuicError as error:
            self._mistake(error, now)
            return
        self._take_opened(opened, size, size, header.destination_cid, path, ecn, now)

    def _take_opened(
        self,
        packets: Sequence[Opened | None],
        step: int,
        end_offset: int,
        destination_cid: bytes,
        path: Path,
        ecn: int,
        now: int,
    ) -> None:
        """1-RTT packets of `step` bytes, but for the last, which ends at `end_offset`."""
        parts, count, index = self._parts, len(packets), 0
        if count > 1:
            index = self._runs.handle(packets, 0, destination_cid, path, ecn, now)
        while index < count:
            opened = packets[index]
            size = min(step, end_offset - index * step)
            index += 1
            if opened is None:
                parts.counters.dropped_forged += 1
                self._dropped(LEVEL_ONE_RTT, size, "decryption_failure", now)
                continue
            number, first, payload = opened
            is_bad = bool(first & SHORT_RESERVED_BITS)
            self._take(LEVEL_ONE_RTT, number, size, is_bad, payload, destination_cid, path, ecn, now)
            if index < count:
                index = self._runs.handle(packets, index, destination_cid, path, ecn, now)

    def _take(
        self,
        level: int,
        number: int,
        size: int,
        has_reserved_bits: bool,
        payload: memoryview,
        destination_cid: bytes,
        path: Path,
        ecn: int,
        now: int,
    ) -> bool:
        """One packet that was opened; whether it was new, and in order."""
        parts = self._parts
        space = SPACE_OF_LEVEL[level]
        received = parts.spaces[space].received
        if received.is_duplicate(number):
            parts.counters.dropped_duplicates += 1
            self._dropped(level, size, "duplicate", now)
            return False
        parts.counters.packets_received += 1
        if parts.tracer is not None:
            parts.tracer.packet_received(now, level, number, size, payload, tuple_id=path.number)
        if parts.state >= ConnectionState.CLOSING:
            received.record(number, False, ecn, now)
            self._hear_close(payload, now)
            return False
        packet = self.packet
        packet.level, packet.level_bit, packet.number = level, 1 << level, number
        packet.path, packet.destination_cid, packet.ecn, packet.now = path, destination_cid, ecn, now
        packet.is_ack_eliciting, packet.is_probing = False, True
        is_newest = number > received.largest
        try:
            if has_reserved_bits:
                raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "reserved bits of the header are set")
            self._dispatcher.handle_payload(payload, packet)
        except QuicError as error:
            self._mistake(error, now)
            return False
        received.record(number, packet.is_ack_eliciting, ecn, now)
        parts.idle.received(now)
        if level == LEVEL_ONE_RTT:
            parts.paths.packet_processed(
                path,
                destination_cid=destination_cid,
                is_probing=packet.is_probing,
                is_newest=is_newest,
                now=now,
            )
        return True

    def _hear_close(self, payload: memoryview, now: int) -> None:
        """While CLOSING nothing of a packet counts but that the peer closes as well (10.2.1)."""
        try:
            for _, frame in read_frames(payload):
                if isinstance(frame, ConnectionClose):
                    reason = bytes(frame.reason).decode(errors="replace")
                    cause = CloseReason(frame.error_code, reason, frame.is_application, by_peer=True)
                    end(self._parts, ConnectionEvent.PEER_CLOSE, cause, now)
                    return
        except WireError:
            pass  # a peer that goes on making mistakes is told again that it is over
        self._parts.repeater.arrived()

    def _mistake(self, error: QuicError, now: int) -> None:
        reason = CloseReason(error.code, str(error), frame_type=error.frame_type)
        end(self._parts, ConnectionEvent.CLOSE, reason, now)

    def _opener(self, level: int, version: int, now: int) -> Opener | None:
        if level == LEVEL_INITIAL:
            return self._handshake.initial_opener(version)
        if level == LEVEL_ZERO_RTT:
            if now >= self._parts.early_until_ns:
                self._parts.early_opener = None  # RFC 9001 4.9.3
            return self._parts.early_opener
        return self._parts.spaces[SPACE_HANDSHAKE].opener

    def _keep(self, datagram: memoryview, header: Header, level: int, path: Path, ecn: int, now: int) -> None:
        size, tracer = header.end - header.start, self._parts.tracer
        # 0-RTT packets are a server's alone, and when the handshake is done their keys do not come any more.
        is_hopeless = level == LEVEL_ZERO_RTT and (
            self._parts.is_client or self._parts.state != ConnectionState.HANDSHAKING
        )
        if is_hopeless or not self._early.keep(datagram[header.start : header.end], path, ecn):
            self._parts.counters.dropped_keys += 1
            self._dropped(level, size, "key_unavailable", now)
        elif tracer is not None:
            tracer.packet_buffered(now, level, size)

    def _dropped(self, level: int | None, size: int, trigger: str, now: int) -> None:
        if self._parts.tracer is not None:
            self._parts.tracer.packet_dropped(now, level, size, trigger)


LEVEL_OF_KIND = {KIND_INITIAL: LEVEL_INITIAL, KIND_ZERO_RTT: LEVEL_ZERO_RTT, KIND_HANDSHAKE: LEVEL_HANDSHAKE}
MIN_INITIAL_BYTES = 1200
LONG_RESERVED_BITS, SHORT_RESERVED_BITS = 0x0C, 0x18
