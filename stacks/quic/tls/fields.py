"""Lists of byte strings as one, for what this stack alone reads again: tickets, and what is sealed inside them."""

from __future__ import annotations

from collections.abc import Sequence


def join_fields(fields: Sequence[bytes]) -> bytes:
    """Each behind its length in two bytes; at most 65535 bytes each."""
    return b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def split_fields(data: bytes, count: int) -> list[bytes] | None:
    """The reverse, or None where `data` is not exactly `count` fields."""
    fields, offset = [], 0
    for _ in range(count):
        end = offset + 2 + int.from_bytes(data[offset : offset + 2], "big")
        if offset + 2 > len(data) or end > len(data):
            return None
        fields.append(data[offset + 2 : end])
        offset = end
    return fields if offset == len(data) else None
