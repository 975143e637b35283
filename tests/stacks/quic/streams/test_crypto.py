"""CRYPTO streams: in order, bounded, and sent again until they arrive."""

from __future__ import annotations

import random

import pytest

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams import CryptoReceiver, CryptoSender
from wire.quic.frame_types import FRAME_CRYPTO
from wire.quic.frames import Crypto

FLIGHT = bytes(index * 13 & 0xFF for index in range(5000))


def packet_of(sender: CryptoSender, size: int = 300) -> PacketWriter:
    packet = PacketWriter(bytearray(size), 0, size)
    sender.write_frames(packet, 0)
    return packet


def deliver(packet: PacketWriter, receiver: CryptoReceiver) -> None:
    view, at = memoryview(packet.buffer)[: packet.offset], 0
    while at < len(view):
        assert view[at] == FRAME_CRYPTO
        frame, at = Crypto.decode(view, at + 1)
        receiver.handle(frame.offset, frame.data)


@pytest.mark.parametrize("seed", range(5))
def test_a_flight_arrives_whole_whatever_is_lost_or_reordered(seed: int) -> None:
    rng = random.Random(seed)
    sender, receiver = CryptoSender(), CryptoReceiver(8192)
    assert not sender.has_frames
    sender.write(FLIGHT[:1000])
    sender.write(FLIGHT[1000:])
    flying: list[PacketWriter] = []
    got = b""
    while sender.has_frames or flying:
        if sender.has_frames and rng.random() < 0.6:
            flying.append(packet_of(sender, 40 + int(rng.random() * 300)))
        elif flying:
            packet = flying.pop(int(rng.random() * len(flying)))
            arrives = rng.random() < 0.6
            if arrives:
                deliver(packet, receiver)
                got += receiver.take()
            for record in packet.records:
                if arrives:
                    record.acked(0)
                else:
                    record.lost(0)
    assert got == FLIGHT


def test_what_a_probe_has_repeated_and_then_arrives_is_not_sent_a_third_time() -> None:
    sender = CryptoSender()
    sender.write(FLIGHT[:100])
    packet = packet_of(sender)
    packet.records[0].lost(0)
    assert sender.has_frames
    packet.records[0].acked(0)
    assert not sender.has_frames
    packet.records[0].lost(0)
    assert not sender.has_frames


def test_no_room_is_no_frame() -> None:
    sender = CryptoSender()
    sender.write(FLIGHT[:100])
    assert packet_of(sender, 3).offset == 0
    assert sender.has_frames


def test_data_too_far_ahead_exceeds_the_buffer_and_4096_bytes_do_not() -> None:
    receiver = CryptoReceiver(4096)
    receiver.handle(1, memoryview(FLIGHT)[1:4096])
    with pytest.raises(QuicError) as error:
        receiver.handle(4096, memoryview(b"x"))
    assert error.value.code == TransportErrorCode.CRYPTO_BUFFER_EXCEEDED == 0x0D  # RFC 9000 7.5, 20.1
    receiver.handle(0, memoryview(FLIGHT)[:1])
    assert receiver.take() == FLIGHT[:4096]
    receiver.handle(4096, memoryview(FLIGHT)[4096:])
    assert receiver.take() == FLIGHT[4096:]
    receiver.handle(0, memoryview(FLIGHT)[:300])
    assert receiver.take() == b""


def test_a_flood_of_fragments_is_an_error_and_not_memory() -> None:
    receiver = CryptoReceiver(64 << 10)

    def flood() -> None:
        for offset in range(1, 64 << 10, 2):
            receiver.handle(offset, memoryview(b"x"))

    with pytest.raises(QuicError, match="more than 256 gaps"):
        flood()
