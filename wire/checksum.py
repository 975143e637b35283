"""Checksums: CRC-32, CRC-32C and the Internet checksum, each by the fastest wheel that is installed.

CRC-32 (ICRC, PSK interchange) comes from isal, else zlib. CRC-32C (NVMe/TCP digests, iWARP) comes from crc32c, else
google-crc32c, else a table here, which is for platforms without a wheel and slow.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

Buffer = bytes | bytearray | memoryview


class Crc(Protocol):
    """A CRC that can be continued."""

    def __call__(self, data: Buffer, seed: int = 0, /) -> int:
        """The CRC of `data`; `seed` is that of what came before, 0 at the start."""


def internet_checksum(data: Buffer, initial: int = 0) -> int:
    """The ones' complement checksum over `data` (RFC 1071), 0 to 0xFFFF, ready to be stored.

    data: any bytes; an odd length is padded with a zero byte.
    initial: what was summed before, for example a pseudo-header, as any sum of its 16-bit words.

    Over data that includes its own correct checksum the result is 0.
    """
    total = int.from_bytes(data, "big") << (len(data) & 1) * 8
    total += initial
    # 2^16 is 1 modulo 0xFFFF, so the remainder is the end-around-carry sum; only all-zero input sums to +0.
    return 0xFFFF - (total % 0xFFFF or 0xFFFF) if total else 0xFFFF


def _crc32() -> Crc:
    try:
        found: Crc = import_module("isal.isal_zlib").crc32
    except ImportError:
        found = import_module("zlib").crc32
    return found


def _crc32c() -> Crc:
    try:
        found: Crc = import_module("crc32c").crc32c
    except ImportError:
        return _google_crc32c()
    return found


def _google_crc32c() -> Crc:
    try:
        google = import_module("google_crc32c")
    except ImportError:
        return crc32c_plain

    # google-crc32c takes neither views nor writable buffers.
    def crc32c(data: Buffer, seed: int = 0, /) -> int:
        crc: int = google.extend(seed, data if isinstance(data, bytes) else bytes(data))
        return crc

    return crc32c


def crc32c_plain(data: Buffer, seed: int = 0, /) -> int:
    """CRC-32C byte by byte from a table (RFC 3720 12.1); the oracle for the wheels, and the last resort."""
    crc = ~seed & 0xFFFFFFFF
    for byte in memoryview(data).cast("B"):
        crc = crc >> 8 ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    return ~crc & 0xFFFFFFFF


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC32C_TABLE = _crc32c_table()

crc32 = _crc32()
"""crc32(data, seed=0): CRC-32 of `data`, continuing from `seed`, as zlib.crc32 gives it."""

crc32c = _crc32c()
"""crc32c(data, seed=0): CRC-32C (Castagnoli) of `data`, continuing from `seed`."""
