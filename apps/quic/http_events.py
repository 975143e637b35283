"""From what QUIC tells to what HTTP wants to know."""

from __future__ import annotations

from stacks.quic.connection import Connection
from stacks.quic.events import Event, StopSending, StreamReadable, StreamReset
from stacks.quic.http3 import HttpCore, http_core


def open_http(connection: Connection) -> HttpCore | None:
    """The HTTP of a connection; None while its protocol is not known. LocalError where it is none of HTTP's."""
    alpn = connection.tls.alpn
    return http_core(alpn, connection) if alpn else None


def pass_on(event: Event, http: HttpCore) -> None:
    """Tell HTTP of an event, if it is one about streams."""
    if isinstance(event, StreamReadable):
        http.stream_readable(event.stream_id)
    elif isinstance(event, StreamReset):
        http.stream_reset(event.stream_id, event.code)
    elif isinstance(event, StopSending):
        http.sending_stopped(event.stream_id, event.code)
