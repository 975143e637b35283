"""What a codec raises, and nothing else does."""

from __future__ import annotations


class WireError(Exception):
    """Bytes that cannot be decoded, or fields that cannot be encoded.

    reason: what is wrong, in a few words.
    format: name of the wire format, for example "Bth".
    field: the offending field, or "" when the whole is meant.
    offset: byte offset of the format in the buffer that was given.
    """

    def __init__(self, reason: str, *, format: str, field: str = "", offset: int = 0) -> None:  # noqa: A002
        super().__init__(reason, format, field, offset)
        self.reason = reason
        self.format = format
        self.field = field
        self.offset = offset

    def __str__(self) -> str:
        place = f"{self.format}.{self.field}" if self.field else self.format
        return f"{place} at offset {self.offset}: {self.reason}"
