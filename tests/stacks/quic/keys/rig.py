"""Short-header packets for tests: built, sealed and opened with plain calls, one buffer a packet or a burst."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.keys import SUITES, OneRttKeys, Opener, Sealer, Suite

CID = bytes.fromhex("c0ffee0102030405")
VERSION = 1
PTO_NS = 100_000_000


class Packets:
    """`count` short-header packets of `payload` each, back to back in one buffer."""

    def __init__(self, numbers: Sequence[int], payloads: Sequence[bytes], *, number_bytes: int = 2, first: int = 0x40):
        buffer = bytearray()
        self.places: list[tuple[int, int, int, int, int]] = []
        for number, payload in zip(numbers, payloads, strict=True):
            start = len(buffer)
            buffer += bytes([first | (number_bytes - 1)]) + CID
            buffer += (number & ((1 << 8 * number_bytes) - 1)).to_bytes(number_bytes, "big") + payload + bytes(16)
            self.places.append((start, start + 1 + len(CID), number_bytes, number, len(buffer)))
        self.buffer = buffer
        self.view = memoryview(buffer)

    def sealed_by(self, sealer: Sealer) -> Packets:
        sealer.seal(self.view, self.places)
        return self

    def each(self) -> list[bytes]:
        return [bytes(self.view[start:end]) for start, _, _, _, end in self.places]

    def open_places(self) -> list[tuple[int, int, int]]:
        return [(start, number_offset, end) for start, number_offset, _, _, end in self.places]

    def opened_by(self, opener: Opener, largest: int) -> list[tuple[int, int, bytes] | None]:
        return plain(opener.open_burst(self.view, self.open_places(), largest))


def plain(opened: Sequence[tuple[int, int, memoryview] | None]) -> list[tuple[int, int, bytes] | None]:
    return [None if packet is None else (packet[0], packet[1], bytes(packet[2])) for packet in opened]


class End:
    """One end of a connection as far as 1-RTT keys go. sealed: packets that left. largest: number received."""

    def __init__(self, *, sends: bytes, receives: bytes, suite: Suite = SUITES[0x1301], update_after: int = 0) -> None:
        self.keys = OneRttKeys(VERSION, update_after=update_after)
        self.keys.install(suite, sends, is_sending=True)
        self.keys.install(suite, receives, is_sending=False)
        self.keys.is_handshake_complete = self.keys.is_confirmed = True
        self.next_number = 0
        self.largest = -1

    def send(self, now: int = 0, *, count: int = 1) -> list[bytes]:
        out = []
        for _ in range(count):
            number, self.next_number = self.next_number, self.next_number + 1
            sealer = self.keys.sealer_for(number, now)
            first = 0x40 | self.keys.phase_bit
            out += Packets([number], [payload_of(number)], first=first).sealed_by(sealer).each()
        return out

    def receive(self, packets: Sequence[bytes], now: int = 0) -> list[int | None]:
        """The numbers of what could be opened; their payloads are checked."""
        buffer = bytearray(b"".join(packets))
        places, start = [], 0
        for packet in packets:
            places.append((start, start + 1 + len(CID), start + len(packet)))
            start += len(packet)
        numbers: list[int | None] = []
        for opened in self.keys.open_burst(memoryview(buffer), places, self.largest, now, PTO_NS):
            if opened is None:
                numbers.append(None)
                continue
            assert bytes(opened[2]) == payload_of(opened[0])
            self.largest = max(self.largest, opened[0])
            numbers.append(opened[0])
        return numbers


def two_ends(suite: Suite = SUITES[0x1301], *, update_after: int = 0) -> tuple[End, End]:
    one, other = (bytes([value]) * suite.hash.digest_size for value in (1, 2))
    return (
        End(sends=one, receives=other, suite=suite, update_after=update_after),
        End(sends=other, receives=one, suite=suite, update_after=update_after),
    )


def payload_of(number: int) -> bytes:
    return b"packet %d" % number
