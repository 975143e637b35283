"""HTTP/0.9 over QUIC, as interoperability tests speak it (ALPN hq-interop): `GET /path`, and the bytes of the file.

A request is one line on a bidirectional stream, which ends with it; the answer is the body and the end of the stream.
There is no status: what cannot be served is a reset.
"""

from __future__ import annotations

from stacks.quic.http3.core import BodyReceived, Headers, HttpConnection, HttpCore, RequestReceived, ResponseReceived


class Http09(HttpCore):
    """Client or server."""

    code_cancelled = 1

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__(connection)
        self._lines: dict[int, bytes] = {}
        self._started: set[int] = set()

    def request(self, authority: str, path: str, *, method: str = "GET", headers: Headers = ()) -> int:  # noqa: ARG002
        """As of `HttpCore`; authority and headers have no place in it."""
        stream_id = self.connection.open_stream()
        self.connection.write(stream_id, f"{method} {path}\r\n".encode(), is_fin=True)
        return stream_id

    def respond(self, stream_id: int, status: int, headers: Headers = (), *, is_end: bool = False) -> None:  # noqa: ARG002
        """As of `HttpCore`: nothing for 200, a reset for all others."""
        if status != OK:
            self.connection.reset_stream(stream_id, self.code_cancelled)
        elif is_end:
            self.connection.write(stream_id, b"", is_fin=True)

    def send_body(self, stream_id: int, data: bytes, *, is_end: bool = False) -> None:
        """As of `HttpCore`."""
        self.connection.write(stream_id, data, is_fin=is_end)

    def _receive(self, stream_id: int, data: bytes, *, is_end: bool) -> None:
        if stream_id % 4:  # neither a request nor an answer
            return
        if self.connection.is_client:
            if stream_id not in self._started:
                self._started.add(stream_id)
                self._events.append(ResponseReceived(stream_id, OK))
            self._events.append(BodyReceived(stream_id, data, is_end))
            if is_end:
                self._started.discard(stream_id)
            return
        line = self._lines.pop(stream_id, b"") + data
        if not is_end and b"\n" not in line and len(line) <= LINE_BYTES:
            self._lines[stream_id] = line
        elif stream_id not in self._started:
            self._request(stream_id, line)
        if is_end and stream_id in self._started:
            self._started.discard(stream_id)
            self._events.append(BodyReceived(stream_id, b"", is_end=True))

    def _request(self, stream_id: int, line: bytes) -> None:
        method, _, path = line.partition(b"\n")[0].decode("latin-1").strip().partition(" ")
        if method != "GET" or not path.startswith("/") or len(line) > LINE_BYTES:
            self.cancel(stream_id)
            return
        self._started.add(stream_id)
        self._events.append(RequestReceived(stream_id, method, "", path))


OK = 200
LINE_BYTES = 8192
