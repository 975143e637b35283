"""Handshake messages out of CRYPTO data, and the rules of levels that TLS itself does not know (RFC 9001 4.1.3)."""

from __future__ import annotations

from stacks.quic.errors import CRYPTO_ERROR, QuicError, TransportErrorCode
from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_INITIAL, LEVEL_NAMES, LEVEL_ONE_RTT

MESSAGE_CLIENT_HELLO = 1
MESSAGE_SERVER_HELLO = 2
MESSAGE_NEW_SESSION_TICKET = 4
MESSAGE_CERTIFICATE_REQUEST = 13
MESSAGE_CERTIFICATE_VERIFY = 15
MESSAGE_FINISHED = 20
MESSAGE_KEY_UPDATE = 24


class MessageReader:
    """Cuts one direction's CRYPTO data into messages. level: the one on which data is expected now."""

    __slots__ = ("_data", "_limit_bytes", "level")

    def __init__(self, *, limit_bytes: int = 0) -> None:
        self.level = LEVEL_INITIAL
        self._limit_bytes = limit_bytes or LIMIT_BYTES
        self._data = bytearray()

    def receive(self, level: int, data: bytes | memoryview) -> None:
        """In-order data of a level; QuicError where it is not the level that is read now."""
        if level < self.level:
            raise QuicError(
                TransportErrorCode.PROTOCOL_VIOLATION,
                f"CRYPTO data at the {LEVEL_NAMES[level]} level after the change to {LEVEL_NAMES[self.level]}",
            )
        if level > self.level:
            raise QuicError(
                CRYPTO_ERROR + ALERT_UNEXPECTED_MESSAGE,
                f"CRYPTO data at the {LEVEL_NAMES[level]} level while {LEVEL_NAMES[self.level]} is not complete",
            )
        self._data += data

    def next_message(self) -> bytes | None:
        """The next whole message, header and all; QuicError where it is longer than anybody needs."""
        data = self._data
        if len(data) < 4:
            return None
        length = 4 + int.from_bytes(data[1:4], "big")
        if length > self._limit_bytes:
            raise QuicError(
                TransportErrorCode.CRYPTO_BUFFER_EXCEEDED,
                f"a TLS message of {length} bytes; at most {self._limit_bytes} are taken",
            )
        if len(data) < length:
            return None
        message = bytes(data[:length])
        del data[:length]
        return message

    def change_level(self, level: int) -> None:
        """The peer's keys changed: nothing of the old level may be left; QuicError where something is."""
        if self._data:
            raise QuicError(
                TransportErrorCode.PROTOCOL_VIOLATION,
                f"{len(self._data)} bytes of CRYPTO data at the {LEVEL_NAMES[self.level]} level cross a change of keys",
            )
        self.level = level


ALERT_UNEXPECTED_MESSAGE = 10
LIMIT_BYTES = 256 << 10
# Which of the peer's messages is its last on a level: (whether we are the client, its type) -> the next level.
LAST_OF_LEVEL = {
    (True, MESSAGE_SERVER_HELLO): LEVEL_HANDSHAKE,
    (True, MESSAGE_FINISHED): LEVEL_ONE_RTT,
    (False, MESSAGE_CLIENT_HELLO): LEVEL_HANDSHAKE,
    (False, MESSAGE_FINISHED): LEVEL_ONE_RTT,
}
