"""HTTP/3 (RFC 9114) by aioquic's H3Connection and pylsqpack, on a connection of ours."""

from __future__ import annotations

from typing import cast

from aioquic.h3.connection import ErrorCode, H3Connection, ProtocolError
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StopSendingReceived, StreamDataReceived, StreamReset

from stacks.quic.http3.core import BodyReceived, Headers, HttpConnection, HttpCore, RequestReceived, ResponseReceived
from stacks.quic.http3.priority import parse_priority
from stacks.quic.http3.surface import QuicSurface
from stacks.runtime.errors import LocalError
from wire.quic.varint import encode_varint


class Http3(HttpCore):
    """Opens its control and QPACK streams at once."""

    code_cancelled = int(ErrorCode.H3_REQUEST_CANCELLED)
    code_no_error = int(ErrorCode.H3_NO_ERROR)

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__(connection)
        self._h3 = H3Connection(cast(QuicConnection, QuicSurface(self)))
        self._started: set[int] = set()
        self._answered: set[int] = set()

    def stream_reset(self, stream_id: int, code: int) -> None:
        """As of `HttpCore`; the end of a critical stream closes the connection (RFC 9114 6.2.1)."""
        self._h3.handle_event(StreamReset(error_code=code, stream_id=stream_id))
        self._started.discard(stream_id)
        super().stream_reset(stream_id, code)

    def sending_stopped(self, stream_id: int, code: int) -> None:
        """As of `HttpCore`."""
        self._h3.handle_event(StopSendingReceived(error_code=code, stream_id=stream_id))
        self._answered.discard(stream_id)
        super().sending_stopped(stream_id, code)

    def request(self, authority: str, path: str, *, method: str = "GET", headers: Headers = ()) -> int:
        """As of `HttpCore`."""
        stream_id = self.connection.open_stream()
        pseudo = ((":method", method), (":scheme", "https"), (":authority", authority), (":path", path))
        self._h3.send_headers(stream_id, _encode((*pseudo, *headers)), end_stream=True)
        return stream_id

    def respond(self, stream_id: int, status: int, headers: Headers = (), *, is_end: bool = False) -> None:
        """As of `HttpCore`."""
        try:
            self._h3.send_headers(stream_id, _encode(((":status", str(status)), *headers)), end_stream=is_end)
        except ProtocolError as error:
            raise LocalError(f"no answer can be sent on stream {stream_id}: {error}") from error
        if not is_end:
            self._answered.add(stream_id)

    def send_body(self, stream_id: int, data: bytes, *, is_end: bool = False) -> None:
        """As of `HttpCore`: one DATA frame."""
        if data and stream_id in self._answered:  # as the library does it, without two copies of what is large
            self.connection.write(stream_id, b"\0" + encode_varint(len(data)))
            self.connection.write(stream_id, data, is_fin=is_end)
            if is_end:
                self._answered.discard(stream_id)
            return
        try:
            self._h3.send_data(stream_id, data, end_stream=is_end)
        except ProtocolError as error:
            raise LocalError(f"no body can be sent on stream {stream_id}: {error}") from error

    def cancel(self, stream_id: int) -> None:
        """As of `HttpCore`."""
        self._answered.discard(stream_id)
        super().cancel(stream_id)

    def _receive(self, stream_id: int, data: bytes, *, is_end: bool) -> None:
        arrived = StreamDataReceived(data=data, end_stream=is_end, stream_id=stream_id)
        for event in self._h3.handle_event(arrived):
            self._translate(event)

    def _translate(self, event: H3Event) -> None:
        if isinstance(event, DataReceived) and event.push_id is None:
            self._events.append(BodyReceived(event.stream_id, event.data, event.stream_ended))
            if event.stream_ended:
                self._started.discard(event.stream_id)
        elif isinstance(event, HeadersReceived) and event.push_id is None:
            self._headers(event)

    def _headers(self, event: HeadersReceived) -> None:
        stream_id = event.stream_id
        if stream_id not in self._started:
            values = {name.decode(): value.decode("latin-1") for name, value in event.headers if name[:1] == b":"}
            others = tuple((n.decode(), v.decode("latin-1")) for n, v in event.headers if n[:1] != b":")
            if self.connection.is_client:
                status = int(values[":status"])
                if status < FINAL_STATUS:
                    return
                self._events.append(ResponseReceived(stream_id, status, others))
            else:
                self._prioritise(stream_id, others)
                method, path = values.get(":method", ""), values.get(":path", "")
                self._events.append(RequestReceived(stream_id, method, values.get(":authority", ""), path, others))
            self._started.add(stream_id)
        if event.stream_ended:  # no body at all, or trailers
            self._events.append(BodyReceived(stream_id, b"", is_end=True))
            self._started.discard(stream_id)

    def _prioritise(self, stream_id: int, headers: Headers) -> None:
        for name, value in headers:
            if name == "priority":
                urgency, is_incremental = parse_priority(value)
                self.connection.set_priority(stream_id, urgency, is_incremental=is_incremental)


def _encode(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]


FINAL_STATUS = 200
