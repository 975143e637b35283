"""Datagrams out: which spaces have something to say, into which datagrams, and when (RFC 9000 12.2, 13, 14).

    spaces in order -> ACK, then the frame sources of the level -> padding -> sealed bursts of equal datagrams

A burst ends with the first datagram that is shorter than the others, or when the window, the pacer, the
amplification limit or the buffer does. ACKs are not held back by the window; probes (RFC 9002 6.2.4) by nothing but
the amplification limit.
"""

from __future__ import annotations

from stacks.quic.connection.assembly import Assembly, BuiltPacket
from stacks.quic.connection.buffers import BufferPool
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.sending_runs import SendingRuns
from stacks.quic.connection.space import Space
from stacks.quic.connection.states import ConnectionState
from stacks.quic.keys import Sealer
from stacks.quic.levels import (
    LEVEL_HANDSHAKE,
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_HANDSHAKE,
    SPACE_INITIAL,
    SPACE_OF_LEVEL,
)
from stacks.quic.packet_writer import FrameSource, PacketWriter
from stacks.quic.paths import Path
from stacks.quic.recovery import SentPacket
from transports.datagram import Transmit
from wire.quic.packet import number_bytes


class Sending:
    """The outgoing side of one connection. pool: of buffers for bursts, shared by all of an endpoint.

    pacing_due_ns: when the pacer lets the next burst leave, None where it holds nothing back.
    """

    __slots__ = (
        "_early_sources", "_handshake", "_has_sent_handshake", "_parts", "_pool", "_runs", "_sources", "pacing_due_ns",
    )  # fmt: skip

    def __init__(self, parts: Parts, handshake: Handshake, pool: BufferPool) -> None:
        self._parts = parts
        self._handshake = handshake
        self._pool = pool
        self._has_sent_handshake = False
        self._runs = SendingRuns(parts)
        self.pacing_due_ns: int | None = None
        application = parts.spaces[SPACE_APPLICATION]
        self._sources: tuple[FrameSource, ...] = (
            application.crypto_out,
            parts.control,
            parts.local_ids,
            parts.peer_ids,
            parts.datagrams,
            parts.streams,
        )
        self._early_sources: tuple[FrameSource, ...] = (parts.datagrams, parts.streams)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next burst, or None when nothing may leave now."""
        parts = self._parts
        if parts.state >= ConnectionState.CLOSING:
            return self._poll_close(now) if parts.state == ConnectionState.CLOSING and parts.repeater.is_due else None
        for path in parts.paths.with_frames(now):
            transmit = self._path_datagram(path, now)
            if transmit is not None:
                return transmit
        path = parts.paths.active
        transmit = self._burst(path, now)
        if transmit is None and parts.state == ConnectionState.CONFIRMED:
            transmit = self._mtu_probe(path, now)
        return transmit

    # Bursts on the active path

    def _burst(self, path: Path, now: int) -> Transmit | None:
        parts = self._parts
        segment = min(path.datagram_bytes, parts.peer_max_payload_bytes)
        assembly = Assembly(self._pool.take())
        count = 0
        while count < MAX_SEGMENTS and assembly.used_bytes + segment <= MAX_BURST_BYTES:
            room = min(segment, path.budget_bytes())
            length = self._build_datagram(assembly, path, room, now)
            if not length:
                break
            count += 1
            if length < segment:
                break
            if count < MAX_SEGMENTS:
                count += self._runs.extend(assembly, path, segment, MAX_SEGMENTS - count, now)
        congestion = path.congestion
        congestion.end_burst()
        has_more = self._has_data()
        self.pacing_due_ns = congestion.next_send_ns if has_more and congestion.is_paced_out(now) else None
        if not has_more and parts.state >= ConnectionState.COMPLETE:
            congestion.application_limited()
        parts.recovery.is_blocked = path.budget_bytes() < segment and not parts.is_client
        return self._transmit(assembly, path, segment, count, now)

    def _has_data(self) -> bool:
        """Whether anything waits that the window and the pacer may hold back."""
        return any(source.has_frames for source in self._sources)

    def _build_datagram(self, assembly: Assembly, path: Path, room: int, now: int) -> int:
        """Packets of every space that has something to say; the bytes of the datagram, 0 for none."""
        parts = self._parts
        assembly.begin_datagram()
        limit = assembly.used_bytes + room
        may_send = self._has_data() and path.congestion.may_send(now)
        if parts.state < ConnectionState.CONFIRMED:
            for number in (SPACE_INITIAL, SPACE_HANDSHAKE):
                space = parts.spaces[number]
                # DEVIATION: the window does not hold back what the handshake says. Before it is confirmed no probe
                # timeout looks after 1-RTT packets (RFC 9002 6.2.1), which could fill the window for ever.
                if space.sealer is not None and self._wants(space, (space.crypto_out,), True, now):
                    self._build_long(assembly, space, space.level, space.sealer, limit, True, now)
        space = parts.spaces[SPACE_APPLICATION]
        keys = parts.one_rtt
        if keys is not None and keys.can_seal:
            if self._wants(space, self._sources, may_send, now):
                self._build_short(assembly, space, path, limit, may_send, now)
        elif parts.early_sealer is not None and may_send and any(source.has_frames for source in self._early_sources):
            self._build_long(assembly, space, LEVEL_ZERO_RTT, parts.early_sealer, limit, may_send, now)
        return self._finish_datagram(assembly, path, room, now)

    def _wants(self, space: Space, sources: tuple[FrameSource, ...], may_send: bool, now: int) -> bool:
        due_ns = space.received.ack_due_ns
        if (due_ns is not None and due_ns <= now) or space.probes:
            return True
        if may_send:
            for source in sources:
                if source.has_frames:
                    return True
        return False

    def _build_long(
        self,
        assembly: Assembly,
        space: Space,
        level: int,
        sealer: Sealer,
        limit: int,
        may_send: bool,
        now: int,
    ) -> None:
        parts = self._parts
        number = parts.recovery.next_number(space.number)
        writer = assembly.begin_packet(
            level,
            number,
            number_bytes(number, parts.recovery.largest_acked(space.number)),
            sealer,
            version=parts.version if level != LEVEL_ZERO_RTT else parts.original_version,
            destination_cid=parts.peer_ids.current,
            source_cid=parts.local_ids.handshake_cid,
            token=parts.token if level == LEVEL_INITIAL else b"",
            first_bits=0,
            limit=limit,
        )
        if writer is None:
            return
        if level == LEVEL_ZERO_RTT:
            self._write(writer, space, self._early_sources, may_send, now)
        else:
            if space.received.has_frames:
                space.received.write_frames(writer, now)
            self._write(writer, space, (space.crypto_out,), may_send, now)
        assembly.end_packet()

    def _build_short(
        self, assembly: Assembly, space: Space, path: Path, limit: int, may_send: bool, now: int
    ) -> None:
        parts = self._parts
        keys = parts.one_rtt
        assert keys is not None
        number = parts.recovery.next_number(SPACE_APPLICATION)
        writer = assembly.begin_packet(
            LEVEL_ONE_RTT,
            number,
            number_bytes(number, parts.recovery.largest_acked(SPACE_APPLICATION)),
            keys.sealer_for(number, now),
            version=0,
            destination_cid=path.peer_cid,
            source_cid=b"",
            token=b"",
            first_bits=keys.phase_bit,
            limit=limit,
        )
        if writer is None:
            return
        if space.received.has_frames:
            space.received.write_frames(writer, now)
        self._write(writer, space, self._sources, may_send, now)
        assembly.end_packet()

    def _write(
        self, writer: PacketWriter, space: Space, sources: tuple[FrameSource, ...], may_send: bool, now: int
    ) -> None:
        if may_send or space.probes:
            for source in sources:
                if source.has_frames:
                    source.write_frames(writer, now)
        if space.probes:
            if not writer.is_ack_eliciting:
                writer.put(PING)
            space.probes -= 1

    def _finish_datagram(self, assembly: Assembly, path: Path, room: int, now: int) -> int:
        """Pad where an Initial asks for it (14.1), and note what was sent."""
        packets = assembly.datagram
        if not packets:
            return 0
        first = packets[0]
        if first.level == LEVEL_INITIAL and (self._parts.is_client or first.is_ack_eliciting):
            assembly.pad_datagram(min(MIN_INITIAL_BYTES, room))
        length = assembly.end_datagram()
        for packet in packets:
            self._note_sent(packet, path, assembly, now)
        path.sent_bytes += length
        return length

    def _note_sent(
        self, packet: BuiltPacket, path: Path, assembly: Assembly, now: int, *, is_probe: bool = False
    ) -> None:
        parts, level = self._parts, packet.level
        if level == LEVEL_HANDSHAKE and parts.is_client and parts.spaces[SPACE_INITIAL].is_open:
            self._has_sent_handshake = True
        if parts.tracer is not None:
            payload = assembly.view[packet.number_offset + packet.number_bytes : packet.end - TAG_BYTES]
            size = packet.end - packet.start
            parts.tracer.packet_sent(
                now, level, packet.number, size, payload, is_mtu_probe=is_probe, tuple_id=path.number
            )
        parts.counters.packets_sent += 1
        congestion = path.congestion
        parts.recovery.sent(
            SentPacket(
                SPACE_OF_LEVEL[level],
                packet.number,
                packet.end - packet.start,
                packet.records,
                congestion,
                is_ack_eliciting=packet.is_ack_eliciting,
                is_in_flight=packet.is_in_flight,
                ecn=congestion.ecn,
                is_mtu_probe=is_probe,
            ),
            now,
        )
        if packet.is_ack_eliciting:
            parts.idle.sent(now)

    def _transmit(
        self, assembly: Assembly, path: Path, segment: int, count: int, now: int, *, is_probe: bool = False
    ) -> Transmit | None:
        if not count:
            self._pool.give_back(assembly.buffer)
            return None
        parts, length = self._parts, assembly.used_bytes
        assembly.seal()
        if self._has_sent_handshake:
            self._has_sent_handshake = False
            self._handshake.first_handshake_packet(now)
        parts.counters.datagrams_sent += count
        parts.counters.bytes_sent += length
        if parts.tracer is not None:
            parts.tracer.datagrams_sent(now, length, segment if count > 1 else length, path.congestion.ecn)
        return Transmit(
            [assembly.view[:length]],
            segment if count > 1 else 0,
            path.local,
            path.remote,
            path.congestion.ecn,
            is_probe=is_probe,
        )

    # Off the active path, and at the end

    def _path_datagram(self, path: Path, now: int) -> Transmit | None:
        """A datagram of its own for what has to be on this path: challenges and responses (8.2)."""
        parts = self._parts
        keys = parts.one_rtt
        if keys is None or not keys.can_seal:
            return None
        room = min(path.datagram_bytes, path.budget_bytes())
        assembly = Assembly(self._pool.take())
        assembly.begin_datagram()
        space = parts.spaces[SPACE_APPLICATION]
        number = parts.recovery.next_number(SPACE_APPLICATION)
        writer = assembly.begin_packet(
            LEVEL_ONE_RTT,
            number,
            number_bytes(number, parts.recovery.largest_acked(SPACE_APPLICATION)),
            keys.sealer_for(number, now),
            version=0,
            destination_cid=path.peer_cid,
            source_cid=b"",
            token=b"",
            first_bits=keys.phase_bit,
            limit=room,
        )
        if writer is not None:
            path.frames.write_frames(writer, now)
            if space.received.has_frames and writer.has_frames:
                space.received.write_frames(writer, now)
        if writer is None or not assembly.end_packet():
            self._pool.give_back(assembly.buffer)
            return None
        assembly.pad_datagram(min(MIN_INITIAL_BYTES, room))
        length = assembly.end_datagram()
        self._note_sent(assembly.datagram[0], path, assembly, now)
        path.sent_bytes += length
        return self._transmit(assembly, path, length, 1, now)

    def _mtu_probe(self, path: Path, now: int) -> Transmit | None:
        """A PING with PADDING, of the size that the path may or may not carry (14.4)."""
        parts = self._parts
        keys = parts.one_rtt
        size = path.mtu.poll_probe(now)
        if size is None or keys is None or not path.congestion.may_send(now):
            return None
        assembly = Assembly(self._pool.take())
        assembly.begin_datagram()
        number = parts.recovery.next_number(SPACE_APPLICATION)
        writer = assembly.begin_packet(
            LEVEL_ONE_RTT,
            number,
            number_bytes(number, parts.recovery.largest_acked(SPACE_APPLICATION)),
            keys.sealer_for(number, now),
            version=0,
            destination_cid=path.peer_cid,
            source_cid=b"",
            token=b"",
            first_bits=keys.phase_bit,
            limit=size,
        )
        assert writer is not None
        writer.put(PING, path.mtu.record(size))
        assembly.end_packet()
        assembly.pad_datagram(size)
        length = assembly.end_datagram()
        self._note_sent(assembly.datagram[0], path, assembly, now, is_probe=True)
        path.sent_bytes += length
        return self._transmit(assembly, path, length, 1, now, is_probe=True)

    def _poll_close(self, now: int) -> Transmit | None:
        """CONNECTION_CLOSE at every level that the peer may be able to read (10.2.3)."""
        parts, path = self._parts, self._parts.paths.active
        reason = parts.close_reason
        assert reason is not None
        parts.repeater.is_due = False
        assembly = Assembly(self._pool.take())
        assembly.begin_datagram()
        limit = min(path.datagram_bytes, path.budget_bytes())
        for level, number, sealer in self._closing_levels(now):
            is_short = level == LEVEL_ONE_RTT
            writer = assembly.begin_packet(
                level,
                number,
                4,
                sealer,
                version=parts.version,
                destination_cid=path.peer_cid if is_short else parts.peer_ids.current,
                source_cid=parts.local_ids.handshake_cid,
                token=parts.token if level == LEVEL_INITIAL else b"",
                first_bits=parts.one_rtt.phase_bit if is_short and parts.one_rtt is not None else 0,
                limit=limit,
            )
            if writer is not None and writer.put(reason.frame(level), is_ack_eliciting=False):
                assembly.end_packet()
        if not assembly.datagram:
            self._pool.give_back(assembly.buffer)
            return None
        if assembly.datagram[0].level == LEVEL_INITIAL and parts.is_client:
            assembly.pad_datagram(min(MIN_INITIAL_BYTES, limit))
        length = assembly.end_datagram()
        path.sent_bytes += length
        if parts.tracer is not None:
            for packet in assembly.datagram:
                payload = assembly.view[packet.number_offset + packet.number_bytes : packet.end - TAG_BYTES]
                parts.tracer.packet_sent(now, packet.level, packet.number, packet.end - packet.start, payload)
        return self._transmit(assembly, path, length, 1, now)

    def _closing_levels(self, now: int) -> list[tuple[int, int, Sealer]]:
        parts = self._parts
        levels: list[tuple[int, int, Sealer]] = []
        for number in (SPACE_INITIAL, SPACE_HANDSHAKE):
            space = parts.spaces[number]
            if space.sealer is not None:
                levels.append((space.level, parts.recovery.next_number(number), space.sealer))
        keys = parts.one_rtt
        if keys is not None and keys.can_seal:
            number = parts.recovery.next_number(SPACE_APPLICATION)
            levels.append((LEVEL_ONE_RTT, number, keys.sealer_for(number, now)))
        return levels


PING = b"\x01"
MAX_SEGMENTS = 64
MAX_BURST_BYTES = 65_507
MIN_INITIAL_BYTES = 1200
TAG_BYTES = 16
