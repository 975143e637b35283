"""Packets in: headers unmasked, a burst at a time, then decrypted in place (RFC 9001 5.3, 5.4, RFC 9000 A.3).

What is opened is overwritten, and so are the headers; what fails to open is of no meaning afterwards but for its last
16 bytes, which stay as they came (a stateless reset is told by them).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidTag

from stacks.quic.keys.header_protection import (
    LOW_MASKS,
    NUMBER_MASKS,
    SHIFTS,
    Masks,
    read_number,
    write_number,
)
from stacks.quic.keys.packet_views import PacketViews
from stacks.quic.keys.secrets import packet_keys
from stacks.quic.keys.suites import Suite
from wire.quic.packet import decode_number

OpenPlace = tuple[int, int, int]
"""Start, offset of the packet number, end, all offsets in one buffer."""
Opened = tuple[int, int, memoryview]
"""Packet number, first byte without protection, payload (a slice of the buffer)."""
Unmasked = tuple[int, int, int, int, int]
"""Start, packet number in full, first byte, offset of the payload, end. The header in the buffer has no mask."""
Run = Iterator[tuple[OpenPlace, int, int]]
"""Places with the masks of their first bytes and packet numbers."""


class Opener:
    """One direction's keys of one level or key phase.

    failed: packets that could not be opened, of at most `limit` over all keys of a connection (6.6).
    like: keys before an update, whose header protection stays (6.1).
    """

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

    def open_burst(self, buffer: memoryview, packets: Sequence[OpenPlace], largest: int) -> list[Opened | None]:
        """Open `packets` in place; None for each that is not from the peer.

        largest: packet number received so far, -1 for none; it rises with each packet of the burst that opens.
        """
        opened: list[Opened | None] = []
        self.open_run(buffer, self.start_run(buffer, packets), opened, largest)
        return opened

    def start_run(self, buffer: memoryview, packets: Sequence[OpenPlace]) -> Run:
        """The packets with their masks, all in one call, for `open_run` of this or another key phase."""
        samples = b"".join([buffer[number_offset + 4 : number_offset + 20] for _, number_offset, _ in packets])
        if len(samples) != 16 * len(packets):  # some are cut off: `open_run` tells which
            padded = [bytes(buffer[place[1] + 4 : place[1] + 20]).ljust(16, b"\0") for place in packets]
            samples = b"".join(padded)
        masks = iter(self._masks(samples))
        return zip(packets, masks, masks, strict=True)

    def open_run(
        self,
        buffer: memoryview,
        run: Run,
        opened: list[Opened | None],
        largest: int,
        lowest: int = -1,
        phase_mask: int = 0,
        phase: int = 0,
    ) -> tuple[int, int, Unmasked | None]:
        """Open packets until the run ends, or one has other bits under `phase_mask` of its first byte than `phase`.

        opened: gets what was opened, as of `open_burst`. lowest: packet number of this phase so far. Returned are
        `largest` and `lowest` as they are now, and the packet of another phase, of which only the header was touched.
        """
        decrypt_into, iv = self._decrypt_into, self._iv
        for (start, number_offset, end), first_mask, mask in run:
            if end - number_offset < 20:  # too short for a sample (5.4.2)
                opened.append(None)
                continue
            first = buffer[start]
            first ^= first_mask & (0x0F if first & 0x80 else 0x1F)
            length = (first & 3) + 1
            payload = number_offset + length
            (behind,) = read_number(buffer, number_offset)
            behind ^= mask & NUMBER_MASKS[length]
            buffer[start] = first
            write_number(buffer, number_offset, behind)
            truncated = behind >> SHIFTS[length]
            number = largest + 1
            if truncated != number & LOW_MASKS[length]:
                number = decode_number(truncated, length, number)
            if first & phase_mask != phase:
                return largest, lowest, (start, number, first, payload, end)
            plain = buffer[payload : end - 16]
            try:
                decrypt_into((iv ^ number).to_bytes(12, "big"), buffer[payload:end], buffer[start:payload], plain)
            except InvalidTag:
                self.failed += 1
                opened.append(None)
                continue
            if number > largest:
                largest = number
            elif number < lowest:
                lowest = number
            opened.append((number, first, plain))
        return largest, lowest, None

    def open_plain(
        self,
        views: PacketViews,
        count: int,
        opened: list[Opened | None],
        largest: int,
        phase_mask: int,
        phase: int,
    ) -> int:
        """The shortcut for a burst whose packets come as they were sent: those of `views` up to `count` from the first.

        Ends with the first that is not the next by number, has another length of its number than the one before, is
        of another phase, or does not open; that one and those behind it are as they came. Headers keep their masks.
        opened: gets what was opened, in order. Returns `largest` as it is now.
        """
        decrypt_into, iv, buffer = self._decrypt_into, self._iv, views.buffer
        masks = iter(self._masks(b"".join(views.samples[:count])))
        step, number_offset, start = views.step, views.number_offset, 0
        former, front, length, shift, low_mask = -1, b"", 0, 0, 0
        payloads: list[memoryview] = []
        sealed: list[memoryview] = []
        for index, first_mask, mask in zip(range(count), masks, masks, strict=True):
            first = buffer[start] ^ first_mask & 0x1F
            if first != former:
                if first & phase_mask != phase or first & 0x80:
                    return largest
                former, length = first, (first & 3) + 1
                _, payloads, sealed = views.parts(length)
                front = first.to_bytes(1, "big") + buffer[start + 1 : start + number_offset]
                shift, low_mask = SHIFTS[length], LOW_MASKS[length]
            (behind,) = read_number(buffer, start + number_offset)
            number = largest + 1
            if (behind ^ mask) >> shift != number & low_mask:
                return largest
            payload = payloads[index]
            try:
                decrypt_into(
                    (iv ^ number).to_bytes(12, "big"),
                    sealed[index],
                    front + (number & low_mask).to_bytes(length, "big"),
                    payload,
                )
            except InvalidTag:
                self.failed += 1
                opened.append(None)
                return largest
            largest = number
            start += step
            opened.append((number, first, payload))
        return largest

    def decrypt(self, buffer: memoryview, packet: Unmasked) -> memoryview | None:
        """The payload of an unmasked packet, decrypted in place; None where the tag is wrong."""
        start, number, _, payload, end = packet
        plain = buffer[payload : end - 16]
        try:
            self._decrypt_into(
                (self._iv ^ number).to_bytes(12, "big"), buffer[payload:end], buffer[start:payload], plain
            )
        except InvalidTag:
            return None
        return plain

