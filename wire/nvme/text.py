"""Text in fixed fields, and lists of numbers in log and Identify data.

NVMe pads ASCII with spaces (serial number, model, discovery addresses) and NQNs with NULs; peers mix the two, so both
are stripped on reading (NVMe Base 2.0 1.5, 4.5).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from sys import byteorder


def padded(text: str, size: int, *, fill: bytes = b"\0") -> bytes:
    """`text` as UTF-8 in exactly `size` bytes, filled up with `fill`; ValueError when it is longer."""
    data = text.encode()
    if len(data) > size:
        raise ValueError(f"{text!r} is longer than {size} bytes")
    return data.ljust(size, fill)


def padded_text(data: bytes) -> str:
    """The text of a padded field: up to the first NUL, without trailing spaces; undecodable bytes become U+FFFD."""
    return data.partition(b"\0")[0].decode(errors="replace").rstrip(" ")


def encode_nsids(nsids: Iterable[int], size: int = 0) -> bytes:
    """32-bit identifiers, little-endian, zero-filled to `size` bytes.

    OverflowError when one does not fit in 32 bits, ValueError when all of them do not fit in a `size` given.
    """
    data = b"".join(nsid.to_bytes(4, "little") for nsid in nsids)
    if size and len(data) > size:
        raise ValueError(f"{len(data) // 4} identifiers do not fit in {size} bytes")
    return data.ljust(size, b"\0")


def decode_nsids(data: bytes | bytearray | memoryview) -> list[int]:
    """The identifiers in `data` up to the first zero, which ends a namespace list (NVMe Base 2.0 5.17.2.2)."""
    words = array("I", bytes(data[: len(data) // 4 * 4]))
    if byteorder == "big":
        words.byteswap()
    return words.tolist()[: words.index(0) if 0 in words else len(words)]
