"""Sequence numbers that wrap: 24 bits for RoCE's PSN and MSN, 32 bits for TCP.

Order is the sign of the wrapped difference, so it is meaningful only for numbers less than half the space apart;
exactly half apart counts as older (IBTA 9.7.1, RFC 9293 3.4).
"""

from __future__ import annotations

PSN_MASK = 0xFFFFFF
SEQ_MASK = 0xFFFFFFFF


def psn_add(psn: int, count: int) -> int:
    """The PSN `count` after `psn` (before it when negative), modulo 2^24."""
    return (psn + count) & 0xFFFFFF


def psn_diff(a: int, b: int) -> int:
    """Signed distance a - b in the 24-bit space, -2^23 to 2^23 - 1: positive when `a` is newer than `b`."""
    return ((a - b + 0x800000) & 0xFFFFFF) - 0x800000


def seq_add(seq: int, count: int) -> int:
    """The sequence number `count` after `seq`, modulo 2^32."""
    return (seq + count) & 0xFFFFFFFF


def seq_diff(a: int, b: int) -> int:
    """Signed distance a - b in the 32-bit space, -2^31 to 2^31 - 1: positive when `a` is newer than `b`."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000
