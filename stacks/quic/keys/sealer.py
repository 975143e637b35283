"""Packets out: encrypted in place, then their headers masked, a burst at a time (RFC 9001 5.3, 5.4)."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.keys.header_protection import (
    LOW_MASKS,
    NUMBER_MASKS,
    NUMBER_WRITERS,
    SHIFTS,
    Masks,
    read_number,
    write_number,
)
from stacks.quic.keys.packet_views import PacketViews
from stacks.quic.keys.secrets import packet_keys
from stacks.quic.keys.suites import Suite

PacketPlace = tuple[int, int, int, int, int]
"""Start, offset of the packet number, its length in bytes, the number, end (tag included): offsets in one buffer."""


class Sealer:
    """One direction's keys of one level or key phase.

    sealed: packets so far, of at most `limit` (6.6), which the owner watches. like: keys before an update, whose header
    protection stays (6.1).
    """

    __slots__ = ("_encrypt_into", "_iv", "_masks", "limit", "sealed", "secret", "suite", "version")

    def __init__(self, suite: Suite, secret: bytes, version: int, *, like: Sealer | None = None) -> None:
        key, iv, hp = packet_keys(suite, secret, version)
        self.suite = suite
        self.secret = secret
        self.version = version
        self.sealed = 0
        self.limit = suite.confidentiality_limit
        self._encrypt_into = suite.aead(key).encrypt_into
        self._iv = int.from_bytes(iv, "big")
        self._masks: Masks = suite.masks(hp) if like is None else like._masks  # noqa: SLF001 - another of this class

    def seal(self, buffer: memoryview, packets: Sequence[PacketPlace]) -> None:
        """Protect `packets` in place: each has its header with the number as it is, its payload, room for the tag.

        Number and payload have 4 bytes together at least, so that there is a sample (5.4.2).
        """
        encrypt_into, iv = self._encrypt_into, self._iv
        samples = []
        for start, number_offset, number_bytes, number, end in packets:
            payload = number_offset + number_bytes
            encrypt_into(
                (iv ^ number).to_bytes(12, "big"),
                buffer[payload : end - 16],
                buffer[start:payload],
                buffer[payload:end],
            )
            samples.append(buffer[number_offset + 4 : number_offset + 20])
        self.sealed += len(packets)
        masks = iter(self._masks(b"".join(samples)))
        for (start, number_offset, number_bytes, _, _), first_mask, mask in zip(packets, masks, masks, strict=True):
            first = buffer[start]
            buffer[start] = first ^ first_mask & (0x0F if first & 0x80 else 0x1F)
            (behind,) = read_number(buffer, number_offset)  # ciphertext behind a shorter number stays as it is
            write_number(buffer, number_offset, behind ^ mask & NUMBER_MASKS[number_bytes])

    def seal_run(self, views: PacketViews, index: int, count: int, *, number: int, number_bytes: int) -> None:
        """As `seal` with `count` packets of `views` from `index` on, numbered from `number` on, with equal first bytes.

        number_bytes: 1, 2 or 4.
        """
        encrypt_into, iv, end = self._encrypt_into, self._iv, index + count
        headers, payloads, sealed = views.parts(number_bytes)
        first = headers[index][0]
        nonce = number
        for header, payload, into in zip(headers[index:end], payloads[index:end], sealed[index:end], strict=True):
            encrypt_into((iv ^ nonce).to_bytes(12, "big"), payload, header, into)
            nonce += 1
        self.sealed += count
        masks = iter(self._masks(b"".join(views.samples[index:end])))
        buffer, step, write = views.buffer, views.step, NUMBER_WRITERS[number_bytes]
        shift, low_mask = SHIFTS[number_bytes], LOW_MASKS[number_bytes]
        first_bits = 0x0F if first & 0x80 else 0x1F
        start = index * step
        number_at = start + views.number_offset
        for first_mask, mask in zip(masks, masks, strict=True):
            buffer[start] = first ^ first_mask & first_bits
            write(buffer, number_at, (number ^ mask >> shift) & low_mask)
            start += step
            number_at += step
            number += 1
