"""Packets of one connection: their headers, what is remembered of them, and the transmit that they become."""

from __future__ import annotations

from stacks.quic.connection.assembly import Assembly, BuiltPacket
from stacks.quic.connection.buffers import BufferPool
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.parts import Parts
from stacks.quic.keys import Sealer
from stacks.quic.levels import (
    LEVEL_HANDSHAKE,
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_INITIAL,
    SPACE_OF_LEVEL,
)
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.paths import Path
from stacks.quic.recovery import SentPacket
from transports.datagram import Transmit
from wire.quic.packet import FIXED_BIT, number_bytes


class Building:
    """What bursts and lone datagrams have in common. pool: of buffers for bursts, shared by all of an endpoint."""

    __slots__ = ("_handshake", "_has_sent_handshake", "_parts", "_pool")

    def __init__(self, parts: Parts, handshake: Handshake, pool: BufferPool) -> None:
        self._parts = parts
        self._handshake = handshake
        self._pool = pool
        self._has_sent_handshake = False

    def assembly(self) -> Assembly:
        """An empty burst. Its fixed bits are random where the peer takes either (RFC 9287 3)."""
        is_cleared = self._parts.is_greasing and self._is_clearing()
        return Assembly(self._pool.take(), 0 if is_cleared else FIXED_BIT)

    def begin_long(
        self, assembly: Assembly, space: int, level: int, sealer: Sealer, *, limit: int
    ) -> PacketWriter | None:
        """A packet with a long header, which ends at `limit` at the latest; None where there is no room."""
        parts = self._parts
        number = parts.recovery.next_number(space)
        return assembly.begin_packet(
            level,
            number,
            number_bytes(number, parts.recovery.largest_acked(space)),
            sealer,
            version=parts.version if level != LEVEL_ZERO_RTT else parts.original_version,
            destination_cid=parts.peer_ids.current,
            source_cid=parts.local_ids.handshake_cid,
            token=parts.token if level == LEVEL_INITIAL else b"",
            first_bits=0,
            limit=limit,
        )

    def begin_short(
        self, assembly: Assembly, path: Path, *, limit: int, now: int, is_closing: bool = False
    ) -> PacketWriter | None:
        """A packet with a short header; there are 1-RTT keys. is_closing: they need not be good for more than that."""
        parts = self._parts
        keys = parts.one_rtt
        assert keys is not None
        number = parts.recovery.next_number(SPACE_APPLICATION)
        sealer = keys.last_sealer if is_closing else keys.sealer_for(number, now)
        return assembly.begin_packet(
            LEVEL_ONE_RTT,
            number,
            number_bytes(number, parts.recovery.largest_acked(SPACE_APPLICATION)),
            sealer,
            version=0,
            destination_cid=path.peer_cid,
            source_cid=b"",
            token=b"",
            first_bits=keys.phase_bit,
            limit=limit,
        )

    def finish_datagram(
        self, assembly: Assembly, path: Path, now: int, *, pad_to: int = 0, is_mtu_probe: bool = False
    ) -> int:
        """The datagram is complete: what it has is remembered; its length."""
        if pad_to:
            assembly.pad_datagram(pad_to)
        length = assembly.end_datagram()
        for packet in assembly.datagram:
            self._note_sent(packet, path, assembly, now, is_mtu_probe)
        path.sent_bytes += length
        return length

    def transmit(
        self, assembly: Assembly, path: Path, segment: int, count: int, now: int, *, is_probe: bool = False
    ) -> Transmit | None:
        """Seal the burst of `count` datagrams of `segment` bytes; None, and the buffer is given back, for none."""
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
            parts.tracer.datagrams_sent(now, length, segment, path.congestion.ecn)
        return Transmit(
            [assembly.view[:length]],
            segment if count > 1 else 0,
            path.local,
            path.remote,
            path.congestion.ecn,
            is_probe=is_probe,
        )

    def _is_clearing(self) -> bool:
        """By a secret of the connection and the next number, so that nothing depends on how often it is asked."""
        number = self._parts.recovery.next_number(SPACE_APPLICATION)
        return bool(self._parts.grease_pattern >> number % GREASE_BITS & 1)

    def _note_sent(self, packet: BuiltPacket, path: Path, assembly: Assembly, now: int, is_mtu_probe: bool) -> None:
        parts, level = self._parts, packet.level
        if level == LEVEL_HANDSHAKE and parts.is_client and parts.spaces[SPACE_INITIAL].is_open:
            self._has_sent_handshake = True
        if parts.tracer is not None:
            payload = assembly.view[packet.number_offset + packet.number_bytes : packet.end - TAG_BYTES]
            size = packet.end - packet.start
            parts.tracer.packet_sent(
                now, level, packet.number, size, payload, is_mtu_probe=is_mtu_probe, tuple_id=path.number
            )
        parts.counters.packets_sent += 1
        congestion = path.congestion
        sent = SentPacket(
            SPACE_OF_LEVEL[level],
            packet.number,
            packet.end - packet.start,
            packet.records,
            congestion,
            is_ack_eliciting=packet.is_ack_eliciting,
            is_in_flight=packet.is_in_flight,
            ecn=congestion.ecn,
            is_mtu_probe=is_mtu_probe,
        )
        parts.recovery.sent(sent, now)
        if packet.is_ack_eliciting:
            parts.idle.sent(now)


GREASE_BITS = 48
TAG_BYTES = 16
