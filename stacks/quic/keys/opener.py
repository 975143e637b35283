"""Packets in: headers unmasked, a burst at a time, then decrypted in place (RFC 9001 5.3, 5.4)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from stacks.quic.keys.header_protection import Masks
from stacks.quic.keys.secrets import packet_keys
from stacks.quic.keys.suites import Suite
from wire.quic.packet import decode_number

OpenPlace = tuple[int, int, int]
"""Start, offset of the packet number, end, all offsets in one buffer."""
Opened = tuple[int, int, memoryview]
"""Packet number, first byte without protection, payload (a slice of the buffer)."""
Unmasked = tuple[int, int, int, int]
"""Packet number in full, first byte, offset of the payload, end. The header in the buffer is without its mask."""


class Opener:
    """One direction's keys of one level or key phase. failed: packets that could not be opened, of at most `limit`."""

    __slots__ = ("_decrypt_into", "_iv", "_masks", "failed", "limit", "secret", "suite", "version")

    def __init__(self, suite: Suite, secret: bytes, version: int, *, like: Opener | None = None) -> None:
        key, iv, hp = packet_keys(suite, secret, version)
        self.suite = suite
        self.secret = secret
        self.version = version
        self.failed = 0
        self.limit = suite.integrity_limit
        self._decrypt_into = suite.aead(key).decrypt_into
        self._iv = int.from_bytes(iv, "big")
        self._masks: Masks = suite.masks(hp) if like is None else like._masks  # noqa: SLF001 - another of this class

    def open_burst(
        self, buffer: memoryview, packets: Sequence[OpenPlace], largest: int
    ) -> list[Opened | None]:
        """Open `packets` in place; None for each that is not from the peer.

        largest: packet number received so far, -1 for none; it rises with each packet of the burst that opens.
        """
        opened: list[Opened | None] = []
        for place, mask in zip(packets, self.masks_of(buffer, packets), strict=True):
            packet = None if mask is None else self.unmask(buffer, place, mask, largest)
            payload = None if packet is None else self.decrypt(buffer, place[0], packet)
            if packet is None or payload is None:
                opened.append(None)
                continue
            if packet[0] > largest:
                largest = packet[0]
            opened.append((packet[0], packet[1], payload))
        return opened

    def masks_of(self, buffer: memoryview, packets: Sequence[OpenPlace]) -> list[bytes | None]:
        """The masks of a burst; None for a packet that is too short to have a sample."""
        samples = bytearray()
        for _, number_offset, end in packets:
            sample = buffer[number_offset + 4 : number_offset + 20]
            samples += sample if number_offset + 20 <= end else bytes(16)
        masks = self._masks(samples)
        return [
            masks[at : at + 5] if number_offset + 20 <= end else None  # type: ignore[misc]
            for at, (_, number_offset, end) in zip(range(0, len(masks), 16), packets, strict=True)
        ]

    def unmask(self, buffer: memoryview, place: OpenPlace, mask: bytes, largest: int) -> Unmasked:
        """Take the mask off the header in the buffer."""
        start, number_offset, end = place
        first = buffer[start]
        first ^= mask[0] & (0x0F if first & 0x80 else 0x1F)
        length = (first & 3) + 1
        payload = number_offset + length
        truncated = int.from_bytes(buffer[number_offset:payload], "big") ^ int.from_bytes(mask[1 : 1 + length], "big")
        buffer[start] = first
        buffer[number_offset:payload] = truncated.to_bytes(length, "big")
        return decode_number(truncated, length, largest + 1), first, payload, end

    def decrypt(self, buffer: memoryview, start: int, packet: Unmasked) -> memoryview | None:
        """The payload of an unmasked packet, decrypted in place; None, and counted, where the tag is wrong."""
        number, _, payload, end = packet
        plain = buffer[payload : end - TAG_BYTES]
        try:
            self._decrypt_into(
                (self._iv ^ number).to_bytes(12, "big"), buffer[payload:end], buffer[start:payload], plain
            )
        except InvalidTag:
            self.failed += 1
            return None
        return plain


TAG_BYTES = 16
