"""The face that HTTP/3 and HTTP/0.9 share: requests, responses and bodies on the streams of one connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stacks.runtime.errors import LocalError

Headers = Sequence[tuple[str, str]]
"""Names in lower case, without the pseudo-headers that have arguments of their own."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A client asks. headers: all others than the pseudo-headers."""

    stream_id: int
    method: str
    authority: str
    path: str
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A server answers; interim answers (1xx) are not told. status: 200 in HTTP/0.9, which has none."""

    stream_id: int
    status: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class BodyReceived:
    """The next bytes of a body; is_end: and the last ones, if there are any."""

    stream_id: int
    data: bytes
    is_end: bool


@dataclass(frozen=True, slots=True)
class StreamAborted:
    """The peer reset the stream, or asked to send no more on it (is_sending). code: of the application protocol."""

    stream_id: int
    code: int
    is_sending: bool


HttpEvent = RequestReceived | ResponseReceived | BodyReceived | StreamAborted


class StreamsView(Protocol):
    """What HTTP asks about streams."""

    def unsent_bytes(self, stream_id: int) -> int:
        """Written, and not in any packet yet."""

    def is_finished(self, stream_id: int) -> bool:
        """Whether all that will ever come was read."""


class HttpConnection(Protocol):
    """What HTTP needs of a QUIC connection."""

    @property
    def is_client(self) -> bool:
        """Which end this is."""

    @property
    def streams(self) -> StreamsView:
        """To look at."""

    def open_stream(self, *, is_unidirectional: bool = False) -> int:
        """A new stream's number."""

    def write(self, stream_id: int, data: bytes, *, is_fin: bool = False) -> None:
        """Send on it; LocalError where it cannot be (any more)."""

    def read(self, stream_id: int, limit: int) -> bytes:
        """What arrived in order."""

    def reset_stream(self, stream_id: int, code: int) -> None:
        """Send no more."""

    def stop_sending(self, stream_id: int, code: int) -> None:
        """Have the peer send no more."""

    def set_priority(self, stream_id: int, urgency: int, *, is_incremental: bool = False) -> None:
        """RFC 9218 4."""

    def close(self, code: int = 0, reason: str = "", *, is_application: bool = True, now: int) -> None:
        """End the connection."""


class HttpCore:
    """One connection's HTTP; made by `http_core` when ALPN is known.

    code_cancelled, code_no_error: of the protocol, for `cancel` and for closing the connection.
    """

    code_cancelled = 0
    code_no_error = 0

    def __init__(self, connection: HttpConnection) -> None:
        self.connection = connection
        self.now = 0
        self._events: deque[HttpEvent] = deque()
        self._readable: dict[int, None] = {}

    # In

    def stream_readable(self, stream_id: int) -> None:
        """Something arrived on a stream; it is read when `poll_event` has nothing else."""
        self._readable[stream_id] = None

    def stream_reset(self, stream_id: int, code: int) -> None:
        """The peer reset a stream."""
        self._readable.pop(stream_id, None)
        self._events.append(StreamAborted(stream_id, code, is_sending=False))

    def sending_stopped(self, stream_id: int, code: int) -> None:
        """The peer wants no more on a stream."""
        self._events.append(StreamAborted(stream_id, code, is_sending=True))

    def poll_event(self, now: int) -> HttpEvent | None:
        """The next that happened; reads from the connection for it, `READ_BYTES` at most."""
        self.now = now
        while not self._events and self._readable:
            stream_id = next(iter(self._readable))
            del self._readable[stream_id]
            data = self.connection.read(stream_id, READ_BYTES)
            is_end = self.connection.streams.is_finished(stream_id)
            if data and not is_end:
                self._readable[stream_id] = None  # there may be more, and it is told of only once
            if data or is_end:
                self._receive(stream_id, data, is_end=is_end)
        return self._events.popleft() if self._events else None

    # Out

    def request(self, authority: str, path: str, *, method: str = "GET", headers: Headers = ()) -> int:
        """A client's request without a body; the stream's number."""
        raise NotImplementedError

    def respond(self, stream_id: int, status: int, headers: Headers = (), *, is_end: bool = False) -> None:
        """A server's answer, to be followed by `send_body` unless `is_end`."""
        raise NotImplementedError

    def send_body(self, stream_id: int, data: bytes, *, is_end: bool = False) -> None:
        """More of a body. LocalError where the stream does not take it (any more)."""
        raise NotImplementedError

    def can_send(self, stream_id: int) -> bool:
        """Whether so little is unsent that more should be given; StreamWritable tells when it is so again."""
        return self.connection.streams.unsent_bytes(stream_id) <= UNSENT_BYTES

    def cancel(self, stream_id: int) -> None:
        """Neither send nor receive any more on a stream."""
        self._readable.pop(stream_id, None)
        for stop in (self.connection.reset_stream, self.connection.stop_sending):
            try:
                stop(stream_id, self.code_cancelled)
            except LocalError:
                continue  # this direction is over already

    def _receive(self, stream_id: int, data: bytes, *, is_end: bool) -> None:
        """Bytes of a stream; appends to `_events`."""
        raise NotImplementedError


READ_BYTES = 256 << 10
UNSENT_BYTES = 256 << 10
"""Where streams count as full: above it StreamWritable tells when they are no more (stacks/quic/streams)."""
