"""Packets and datagrams while they are being built: headers first, frames into them, padding, then all sealed at once.

    Assembly(buffer) -> begin_datagram -> begin_packet -> (frames) -> end_packet -> ... -> end_datagram -> seal

Nothing is encrypted before the burst is complete: so the last packet of a datagram can still be padded, and the header
protection of all of a level's packets is one call of the cipher.
"""

from __future__ import annotations

from stacks.quic.connection.buffers import BurstBuffer
from stacks.quic.keys import PacketPlace, Sealer
from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_INITIAL, LEVEL_ONE_RTT, LEVEL_ZERO_RTT
from stacks.quic.packet_writer import PacketWriter, SentFrame
from wire.quic.packet import (
    FIXED_BIT,
    KIND_HANDSHAKE,
    KIND_INITIAL,
    KIND_ZERO_RTT,
    encode_long_header,
    write_length,
)


class BuiltPacket:
    """A packet whose frames are written: what is needed to seal it, and to remember it.

    start, end: in the burst's buffer, with the tag. records: of its frames.
    """

    __slots__ = (
        "end", "is_ack_eliciting", "is_in_flight", "length_offset", "level", "number", "number_bytes", "number_offset",
        "records", "sealer", "start",
    )  # fmt: skip

    def __init__(self, level: int, number: int, sealer: Sealer, start: int) -> None:
        self.level = level
        self.number = number
        self.sealer = sealer
        self.start = start
        self.length_offset = 0
        self.number_offset = 0
        self.number_bytes = 0
        self.end = 0
        self.records: list[SentFrame] = []
        self.is_ack_eliciting = self.is_in_flight = False


class Assembly:
    """One burst: datagrams back to back in `buffer`, at most `limit_bytes` of it.

    writer: of the packet at hand. datagram: its packets so far. used_bytes: of the buffer. fixed_bit: of all packets.
    """

    __slots__ = ("_packet", "_sealing", "_start", "buffer", "datagram", "fixed_bit", "used_bytes", "view", "writer")

    def __init__(self, buffer: BurstBuffer, fixed_bit: int = FIXED_BIT) -> None:
        self.buffer = buffer
        self.view = buffer.view
        self.fixed_bit = fixed_bit
        self.used_bytes = 0
        self.datagram: list[BuiltPacket] = []
        self.writer = PacketWriter(buffer, 0, 0)
        self._start = 0
        self._packet: BuiltPacket | None = None
        self._sealing: dict[Sealer, list[PacketPlace]] = {}

    def begin_datagram(self) -> None:
        """Another datagram, behind those that are there."""
        self._start = self.used_bytes
        self.datagram = []

    def begin_packet(
        self,
        level: int,
        number: int,
        number_bytes: int,
        sealer: Sealer,
        *,
        version: int,
        destination_cid: bytes,
        source_cid: bytes,
        token: bytes,
        first_bits: int,
        limit: int,
    ) -> PacketWriter | None:
        """The header of the next packet of the datagram, which ends at offset `limit` of the buffer at the latest.

        first_bits: for the first byte of a short header. None where there is no room for anything.
        """
        packet = BuiltPacket(level, number, sealer, self.used_bytes)
        buffer, start = self.buffer, self.used_bytes
        overhead = len(destination_cid) + TAG_BYTES + number_bytes
        if level != LEVEL_ONE_RTT:
            overhead += len(source_cid) + len(token) + LONG_FIXED_BYTES
        if limit - start < overhead + LEAST_PAYLOAD_BYTES:
            return None
        if level == LEVEL_ONE_RTT:
            buffer[start] = self.fixed_bit | first_bits | (number_bytes - 1)
            number_offset = start + 1 + len(destination_cid)
            buffer[start + 1 : number_offset] = destination_cid
        else:
            packet.length_offset, number_offset = encode_long_header(
                buffer, start, KIND_OF_LEVEL[level], version, destination_cid, source_cid, token, number_bytes
            )
            buffer[start] &= ~FIXED_BIT | self.fixed_bit
        packet.number_offset, packet.number_bytes = number_offset, number_bytes
        payload = number_offset + number_bytes
        buffer[number_offset:payload] = (number & NUMBER_MASKS[number_bytes]).to_bytes(number_bytes, "big")
        writer = self.writer
        writer.offset, writer.limit, writer.records = payload, limit - TAG_BYTES, []
        writer.is_ack_eliciting = writer.is_in_flight = writer.has_frames = False
        self._packet = packet
        return writer

    def end_packet(self) -> bool:
        """Keep the packet at hand; False, and it never was, where no frame was written."""
        packet, writer = self._packet, self.writer
        assert packet is not None
        self._packet = None
        if not writer.has_frames:
            return False
        self._pad(packet, packet.number_offset + LEAST_SAMPLED_BYTES)
        packet.end = writer.offset + TAG_BYTES
        packet.records = writer.records
        packet.is_ack_eliciting, packet.is_in_flight = writer.is_ack_eliciting, writer.is_in_flight
        self.datagram.append(packet)
        self.used_bytes = packet.end
        return True

    def pad_datagram(self, length: int) -> None:
        """PADDING in the last packet, so that the datagram has `length` bytes at least."""
        packet = self.datagram[-1]
        writer, end = self.writer, self._start + length
        if packet.end < end:
            writer.offset = packet.end - TAG_BYTES
            self._pad(packet, end - TAG_BYTES)
            packet.end = self.used_bytes = end
            packet.is_in_flight = True

    def end_datagram(self) -> int:
        """Note what is to be sealed; the datagram's length in bytes."""
        for packet in self.datagram:
            if packet.level != LEVEL_ONE_RTT:
                write_length(self.buffer, packet.length_offset, packet.end - packet.number_offset)
            place = (packet.start, packet.number_offset, packet.number_bytes, packet.number, packet.end)
            self._sealing.setdefault(packet.sealer, []).append(place)
        return self.used_bytes - self._start

    def extend(self, used_bytes: int) -> None:
        """Datagrams were written behind the others, up to `used_bytes`, and are sealed already."""
        self.used_bytes = used_bytes

    def seal(self) -> None:
        """Encrypt everything."""
        for sealer, packets in self._sealing.items():
            sealer.seal(self.view, packets)
        self._sealing.clear()

    def _pad(self, packet: BuiltPacket, until: int) -> None:
        missing = until - self.writer.offset
        if missing > 0:
            self.buffer[self.writer.offset : until] = bytes(missing)
            self.writer.offset = until
            packet.is_in_flight = True


KIND_OF_LEVEL = {LEVEL_INITIAL: KIND_INITIAL, LEVEL_ZERO_RTT: KIND_ZERO_RTT, LEVEL_HANDSHAKE: KIND_HANDSHAKE}
NUMBER_MASKS = (0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF)
TAG_BYTES = 16
LONG_FIXED_BYTES = 13
"""First byte, version, two lengths of connection IDs, Length, and room for the length of a token."""
LEAST_PAYLOAD_BYTES = 4
LEAST_SAMPLED_BYTES = 4
"""Header protection samples from 4 bytes behind the start of the number, tag included (RFC 9001 5.4.2)."""
