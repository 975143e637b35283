"""The transport's error codes, and the error that a peer's mistake is inside the core (RFC 9000 20.1, RFC 9001 4.8)."""

from __future__ import annotations

from enum import IntEnum

from stacks.runtime.errors import RemoteError


class TransportErrorCode(IntEnum):
    """What CONNECTION_CLOSE (0x1c) carries."""

    NO_ERROR = 0x00
    INTERNAL_ERROR = 0x01
    CONNECTION_REFUSED = 0x02
    FLOW_CONTROL_ERROR = 0x03
    STREAM_LIMIT_ERROR = 0x04
    STREAM_STATE_ERROR = 0x05
    FINAL_SIZE_ERROR = 0x06
    FRAME_ENCODING_ERROR = 0x07
    TRANSPORT_PARAMETER_ERROR = 0x08
    CONNECTION_ID_LIMIT_ERROR = 0x09
    PROTOCOL_VIOLATION = 0x0A
    INVALID_TOKEN = 0x0B
    APPLICATION_ERROR = 0x0C
    CRYPTO_BUFFER_EXCEEDED = 0x0D
    KEY_UPDATE_ERROR = 0x0E
    AEAD_LIMIT_REACHED = 0x0F
    NO_VIABLE_PATH = 0x10
    VERSION_NEGOTIATION_ERROR = 0x11


class QuicError(RemoteError):
    """A peer broke a rule: the connection closes with `code`.

    code: a `TransportErrorCode`, or CRYPTO_ERROR + a TLS alert. reason: for people, sent in CONNECTION_CLOSE.
    frame_type: of the frame that was wrong, 0 where it is not known.
    """

    def __init__(self, code: int, reason: str, *, frame_type: int = 0) -> None:
        super().__init__(code, reason)
        self.frame_type = frame_type


def code_name(code: int) -> str:
    """The code in the words of RFC 9000, for people."""
    if code in _NAMES:
        return _NAMES[code]
    if CRYPTO_ERROR <= code < CRYPTO_ERROR + 0x100:
        return f"CRYPTO_ERROR (TLS alert {code - CRYPTO_ERROR})"
    return f"{code:#x}"


CRYPTO_ERROR = 0x100
_NAMES = {int(code): code.name for code in TransportErrorCode}
