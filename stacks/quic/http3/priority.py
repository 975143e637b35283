"""The Priority header field: urgency and whether a response is of use in parts (RFC 9218 4, 5)."""

from __future__ import annotations

URGENCY_DEFAULT = 3
URGENCY_LAST = 7


def parse_priority(text: str) -> tuple[int, bool]:
    """Urgency, 0 first to 7 last, and whether incremental; what is malformed or unknown counts as not there (4)."""
    urgency, is_incremental = URGENCY_DEFAULT, False
    for member in text.split(","):
        name, has_value, value = member.partition(";")[0].strip().partition("=")
        if name == "u" and len(value) == 1 and value in "01234567":
            urgency = int(value)
        elif name == "i":
            is_incremental = not has_value or value == "?1"
    return urgency, is_incremental
