"""The end of a connection: what CONNECTION_CLOSE says, to whom and how often (RFC 9000 10).

In Initial and Handshake packets an application's error becomes APPLICATION_ERROR without its reason (10.2.3). While the
connection is CLOSING, what still comes is answered with the same packet again, every time after twice as many
datagrams (10.2.1: an endpoint limits the rate).
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.quic.errors import TransportErrorCode
from stacks.quic.levels import LEVEL_ONE_RTT, LEVEL_ZERO_RTT
from wire.quic.frames import ConnectionClose


@dataclass(frozen=True, slots=True)
class CloseReason:
    """Why a connection ended.

    code: a `TransportErrorCode`, CRYPTO_ERROR + alert, or the application's own. is_application: which of them.
    by_peer: who said so. frame_type: that was wrong. is_silent: nobody said anything: idle, a stateless reset.
    """

    code: int
    reason: str
    is_application: bool = False
    by_peer: bool = False
    frame_type: int = 0
    is_silent: bool = False

    def frame(self, level: int) -> bytes:
        """The CONNECTION_CLOSE for a packet of `level`."""
        reason = self.reason.encode()[:MAX_REASON_BYTES]
        if not self.is_application:
            return ConnectionClose(self.code, reason, frame_type=self.frame_type).encode()
        if level in (LEVEL_ONE_RTT, LEVEL_ZERO_RTT):
            return ConnectionClose(self.code, reason, is_application=True).encode()
        return ConnectionClose(TransportErrorCode.APPLICATION_ERROR, b"").encode()


class CloseRepeater:
    """Whether CONNECTION_CLOSE is to be sent: once at first, then for the 1st, 2nd, 4th, 8th datagram that comes."""

    __slots__ = ("_arrived", "_next", "is_due")

    def __init__(self) -> None:
        self.is_due = True
        self._arrived = 0
        self._next = 1

    def arrived(self) -> None:
        """A datagram came although the connection is closing."""
        self._arrived += 1
        if self._arrived >= self._next:
            self._next *= 2
            self.is_due = True


MAX_REASON_BYTES = 256
