"""Which of several equal ways a flow takes: always the same one, and any of them as likely."""

from __future__ import annotations


def choose(flow: int, ways: int, *, salt: int = 0) -> int:
    """From 0 to `ways` - 1, by the flow's number; another salt, as every switch has its own, chooses independently.

    The bits are mixed as in the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 13).
    """
    mixed = (flow + 1) * GAMMA + salt * SALT & MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & MASK
    mixed ^= mixed >> 31
    return mixed * ways >> 64


GAMMA = 0x9E3779B97F4A7C15
SALT = 0xD1B54A32D192ED03
MASK = (1 << 64) - 1
