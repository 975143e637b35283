"""Goodput, utilisation and loss (RFC 5166 2.1 and 2.3)."""

from __future__ import annotations


def goodput_bps(new_bytes: int, duration_ns: int) -> int:
    """Bits per second of payload that was new (RFC 5166 2.1.1: without headers), rounded down; 0 for no time."""
    return new_bytes * 8 * SECOND_NS // duration_ns if duration_ns > 0 else 0


def utilisation(sent_bytes: int, rate_bps: int, duration_ns: int) -> float:
    """What a link sent, headers included, of what its rate allows, 0 to 1."""
    return sent_bytes * 8 * SECOND_NS / (rate_bps * duration_ns) if duration_ns > 0 else 0.0


def loss_share(lost: int, total: int) -> float:
    """What was lost of all, 0 to 1; 0 of nothing."""
    return lost / total if total else 0.0


SECOND_NS = 1_000_000_000
