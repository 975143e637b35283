"""The invariant CRC of RoCEv2 for one direction of a UDP flow, at the speed of bursts.

The ICRC (IBTA 7.8.1, annex A17) is a CRC-32 over eight bytes of ones, the IP and UDP headers and the packet, with the
fields that routers change set to ones. Everything before a packet's PSN is the same for all packets of one flow,
opcode and length, so it is folded into a seed once.

It also covers the IPv4 Identification, which a UDP socket neither sets nor sees. A sender that sends unconnected with
DF set knows it all the same: segment k of one segmented send carries k. CRC is linear, so Identification k changes
the CRC by a value that depends only on k and on how many bytes follow:

* sending, segment k's seed is seed(0) xor DELTA[k];
* receiving, a run of valid packets always ends in one constant, so one CRC call checks a whole burst;
* where that fails, the difference between the ICRC received and the one computed with Identification 0 must lie in
  the 16-dimensional image of the Identification: this recovers the number and leaves 16 of the 32 bits as a check.

With IPv6, or where the Identification is known, all 32 bits are checked. `icrc` in this package is the plain version
over a complete IP packet; the tests hold the two equal.

What is kept is bounded, and what anybody may send leaves nothing behind: seeds are kept for what is sent, constants of
runs for sizes of which a good packet came.
"""

from __future__ import annotations

import ipaddress
import struct
from array import array
from collections.abc import Sequence
from functools import lru_cache

from wire.checksum import crc32

BTH_BYTES = 12
ICRC_BYTES = 4
MAX_SEGMENTS = 128
PREFIX_BYTES = 8
"""The first two words of the BTH: opcode, flags, P_Key and destination QP."""

Buffer = bytes | bytearray | memoryview


class FlowIcrc:
    """ICRC arithmetic between two UDP addresses, in the direction from `source` to `destination`.

    source, destination: (host, port) pairs, both IPv4 or both IPv6. Raises ValueError when the families differ.
    """

    def __init__(self, source: tuple[str, int], destination: tuple[str, int]) -> None:
        here, there = ipaddress.ip_address(source[0]), ipaddress.ip_address(destination[0])
        if here.version != there.version:
            raise ValueError(f"a flow cannot join {source[0]} and {destination[0]}: the address families differ")
        self.has_identification = here.version == 4
        self._addresses = here.packed + there.packed
        self._ports = struct.pack(">HH", source[1], destination[1])
        self._seeds: dict[tuple[bytes, int], int] = {}
        self._runs: dict[tuple[int, int], array[int]] = {}
        self.deltas: Sequence[int] = _IDENTIFICATION_DELTAS if self.has_identification else _NO_DELTAS

    def seed(self, prefix: bytes, size: int) -> int:
        """CRC state before the PSN, for Identification 0.

        prefix: the first 8 bytes of the BTH as sent. size: bytes of the whole UDP payload, with the ICRC.
        For segment k of a segmented send use `seed ^ deltas[k]`.
        """
        key = (prefix, size)
        seed = self._seeds.get(key)
        if seed is None:
            if len(self._seeds) >= _SEEDS:
                self._seeds.clear()
            seed = self._seeds[key] = self._fresh_seed(prefix, size)
        return seed

    def icrc(self, packet: Buffer, identification: int = 0) -> int:
        """ICRC of one UDP payload, whose last four bytes are ignored."""
        view = memoryview(packet)
        seed = self._fresh_seed(bytes(view[:PREFIX_BYTES]), len(view))
        state = crc32(view[PREFIX_BYTES:-ICRC_BYTES], seed)
        if identification and self.has_identification:
            state ^= _image(len(view)).effect(identification)
        return state

    def is_valid_run(self, view: Buffer, size: int, count: int, identification: int = 0) -> bool:
        """Whether `count` packets of `size` bytes each, back to back in `view`, all have a good ICRC.

        identification: that of the first packet; the others count up. False also for packets whose masked BTH byte
        is not zero (FECN, BECN) and for more than MAX_SEGMENTS: the caller then looks at them one by one with
        `identification_of`.
        """
        run = self._runs.get((size, identification))
        if run is None or count >= len(run):
            if count > MAX_SEGMENTS or not self._is_right(view[:size], identification):
                return False
            run = self._extend_run(size, identification, count)
        return bool(crc32(view, run[0]) == run[count])

    def identification_of(self, packet: Buffer) -> int | None:
        """The IPv4 Identification under which one UDP payload's ICRC is right, or None when there is none.

        Always 0 for a good packet over IPv6.
        """
        received = int.from_bytes(packet[-ICRC_BYTES:], "little")
        difference = received ^ self.icrc(packet)
        if not difference:
            return 0
        return _image(len(packet)).solve(difference) if self.has_identification else None

    def _is_right(self, packet: Buffer, identification: int) -> bool:
        return self.icrc(packet, identification) == int.from_bytes(packet[-ICRC_BYTES:], "little")

    def _fresh_seed(self, prefix: bytes, size: int) -> int:
        return crc32(prefix[:4] + b"\xff" + prefix[5:], self._header_state(size))

    def _header_state(self, size: int) -> int:
        run = self._runs.get((size, 0))
        return crc32(_STAND_IN_LRH + self._masked_headers(size)) if run is None else run[0]

    def _masked_headers(self, size: int) -> bytes:
        udp_bytes = size + 8
        udp = self._ports + struct.pack(">HH", udp_bytes, 0xFFFF)
        if self.has_identification:
            fixed = struct.pack(">BBHHHBBH", 0x45, 0xFF, 20 + udp_bytes, 0, _DONT_FRAGMENT, 0xFF, _UDP, 0xFFFF)
            return fixed + self._addresses + udp
        return struct.pack(">IHBB", 0x6FFFFFFF, udp_bytes, _UDP, 0xFF) + self._addresses + udp

    def _extend_run(self, size: int, identification: int, count: int) -> array[int]:
        """States after 0..count valid packets, found by checking packets of zeros (any valid ones end the same)."""
        run = self._runs.get((size, identification))
        if run is None:
            if len(self._runs) >= _RUNS:
                self._runs.clear()
            start = self._header_state(size) ^ self._header_delta(identification)
            run = self._runs[size, identification] = array("I", [start])
        packet = bytearray(size)
        while len(run) <= count:
            number = (identification + len(run) - 1) & 0xFFFF
            packet[-ICRC_BYTES:] = self.icrc(packet, number).to_bytes(ICRC_BYTES, "little")
            run.append(crc32(packet, run[-1]))
        return run

    def _header_delta(self, identification: int) -> int:
        if not identification or not self.has_identification:
            return 0
        return _effect(identification, _BYTES_AFTER_IDENTIFICATION - PREFIX_BYTES)


class _IdentificationImage:
    """How the 16 bits of the Identification show in the ICRC of packets of one size."""

    __slots__ = ("_columns", "_rows")

    def __init__(self, size: int) -> None:
        following = _BYTES_AFTER_IDENTIFICATION - PREFIX_BYTES + size - ICRC_BYTES
        self._columns = [_effect(1 << bit, following) for bit in range(16)]
        rows: list[tuple[int, int, int]] = []  # (pivot bit, value, Identification), reduced as they are added
        for bit, column in enumerate(self._columns):
            value, number = column, 1 << bit
            for pivot, row, row_number in rows:
                if value & pivot:
                    value ^= row
                    number ^= row_number
            if value:
                rows.append((1 << (value.bit_length() - 1), value, number))
        self._rows = rows

    def effect(self, identification: int) -> int:
        """What `identification` changes in the ICRC."""
        result = 0
        for bit, column in enumerate(self._columns):
            if identification >> bit & 1:
                result ^= column
        return result

    def solve(self, difference: int) -> int | None:
        """The Identification whose effect is `difference`, or None."""
        number = 0
        for pivot, row, row_number in self._rows:
            if difference & pivot:
                difference ^= row
                number ^= row_number
        return None if difference else number


@lru_cache(256)
def _image(size: int) -> _IdentificationImage:
    """It depends on nothing but the size, so all flows share those that are asked for most."""
    return _IdentificationImage(size)


def _effect(identification: int, following_bytes: int) -> int:
    """Change of a CRC by an Identification that `following_bytes` bytes follow."""
    zeros = bytes(following_bytes)
    return crc32(identification.to_bytes(2, "big") + zeros) ^ crc32(bytes(2) + zeros)


_RUNS = 64
_SEEDS = 1024
_DONT_FRAGMENT = 0x4000
_UDP = 17
_STAND_IN_LRH = b"\xff" * 8
_BYTES_AFTER_IDENTIFICATION = 20 - 6 + 8 + PREFIX_BYTES
"""From behind the Identification to the end of the first eight bytes of the BTH."""
_IDENTIFICATION_DELTAS = tuple(_effect(k, _BYTES_AFTER_IDENTIFICATION) for k in range(MAX_SEGMENTS))
_NO_DELTAS = (0,) * MAX_SEGMENTS
