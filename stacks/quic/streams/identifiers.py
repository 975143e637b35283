"""Stream numbers, and how many streams there may be in each direction (RFC 9000 2.1, 4.6)."""

from __future__ import annotations

from stacks.quic.errors import QuicError, TransportErrorCode

SERVER_BIT, UNI_BIT = 1, 2
BIDI, UNI = 0, 1
MAX_STREAMS = 1 << 60


class OwnStreams:
    """Streams that this end opens, by kind (BIDI, UNI).

    opened: so many. allowed: so many may be seen by the peer; the others wait.
    """

    __slots__ = ("allowed", "opened")

    def __init__(self) -> None:
        self.opened = [0, 0]
        self.allowed = [0, 0]

    def ids(self, kind: int, before: int, own_bit: int) -> range:
        """Streams of a kind that were opened and are allowed, from the `before`th on."""
        upto = min(self.allowed[kind], self.opened[kind])
        return range(before << 2 | kind << 1 | own_bit, upto << 2 | kind << 1 | own_bit, 4)


class PeerStreams:
    """Streams that the peer opens, by kind. windows: so many at a time.

    opened, closed: so many so far, of which both directions are over. limits: what the peer was told.
    """

    __slots__ = ("closed", "limits", "opened", "windows")

    def __init__(self, bidi: int, uni: int) -> None:
        self.windows = (bidi, uni)
        self.limits = [bidi, uni]
        self.opened = [0, 0]
        self.closed = [0, 0]

    def open(self, stream_id: int) -> range:
        """Numbers that come into being with `stream_id`: it and those below; empty where it is over already.

        QuicError STREAM_LIMIT_ERROR above the limit.
        """
        kind, index = kind_of(stream_id), stream_id >> 2
        if index >= self.limits[kind]:
            raise QuicError(
                TransportErrorCode.STREAM_LIMIT_ERROR,
                f"stream {stream_id} is number {index + 1} of its kind, and {self.limits[kind]} are allowed",
            )
        first = self.opened[kind]
        if index < first:
            return range(0)
        self.opened[kind] = index + 1
        return range(first << 2 | stream_id & 3, stream_id + 1, 4)

    def grant(self, kind: int) -> bool:
        """Whether the limit is to be raised for what was closed, and was: by half of the window at least."""
        limit = min(self.closed[kind] + self.windows[kind], MAX_STREAMS)
        if limit - self.limits[kind] < max(self.windows[kind] // 2, 1):
            return False
        self.limits[kind] = limit
        return True


def kind_of(stream_id: int) -> int:
    """BIDI or UNI."""
    return stream_id >> 1 & 1
