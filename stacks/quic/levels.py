"""Encryption levels and packet number spaces, as plain integers (RFC 9001 2.1, RFC 9000 12.3)."""

from __future__ import annotations

LEVEL_INITIAL, LEVEL_ZERO_RTT, LEVEL_HANDSHAKE, LEVEL_ONE_RTT = range(4)
LEVEL_NAMES = ("initial", "0RTT", "handshake", "1RTT")
SPACE_INITIAL, SPACE_HANDSHAKE, SPACE_APPLICATION = range(3)
SPACE_OF_LEVEL = (SPACE_INITIAL, SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_APPLICATION)
