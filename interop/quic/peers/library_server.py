"""A server of a folder's files over HTTP/3 or HTTP/0.9, on aioquic or qh3."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from interop.quic.peers.library_settings import Settings


async def serve(settings: Settings, arguments: argparse.Namespace) -> None:
    """Listen, say so in one line, and end when standard input does."""
    configuration = settings.configuration(is_client=False)
    configuration.load_cert_chain(str(arguments.certificate), str(arguments.key))
    tickets: dict[bytes, Any] = {}
    base, directory = settings.module("asyncio.protocol").QuicConnectionProtocol, arguments.directory

    def keep(ticket: Any) -> None:
        tickets[ticket.ticket] = ticket

    server = await settings.module("asyncio").serve(
        arguments.host,
        arguments.port,
        configuration=configuration,
        create_protocol=type("ServerProtocol", (_Answers, base), {"settings": settings, "directory": directory}),
        session_ticket_fetcher=tickets.get,
        session_ticket_handler=keep,
        retry=arguments.retry,
    )
    print(f"{settings.library} listens at {arguments.host} port {arguments.port}", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    server.close()


class _Answers:
    """What a server does on a connection: mixed into the library's QuicConnectionProtocol."""

    _quic: Any
    transmit: Any
    settings: Settings
    directory: Path

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.http: Any = None
        self.requests: dict[int, bytes] = {}

    def quic_event_received(self, event: Any) -> None:
        """The library calls this."""
        kind = type(event).__name__
        if kind == "ProtocolNegotiated" and event.alpn_protocol == "h3":
            self.http = self.settings.module("h3.connection").H3Connection(self._quic)
        if self.http is not None:
            for each in self.http.handle_event(event):
                if type(each).__name__ == "HeadersReceived":
                    self.answer(each.stream_id, dict(each.headers)[b":path"].decode())
        elif kind == "StreamDataReceived":
            self.answer_09(event)

    def answer(self, stream_id: int, path: str) -> None:
        """Over HTTP/3."""
        body = _read(self.directory, path)
        status = b"404" if body is None else b"200"
        length = str(len(body or b"")).encode()
        self.http.send_headers(stream_id, [(b":status", status), (b"content-length", length)])
        self.http.send_data(stream_id, body or b"", end_stream=True)
        self.transmit()

    def answer_09(self, event: Any) -> None:
        """Over HTTP/0.9, as soon as the request is whole."""
        request = self.requests.get(event.stream_id, b"") + event.data
        self.requests[event.stream_id] = request
        if not event.end_stream:
            return
        del self.requests[event.stream_id]
        words = request.decode(errors="replace").split()
        body = _read(self.directory, words[1]) if len(words) == 2 and words[0] == "GET" else None
        if body is None:
            self._quic.reset_stream(event.stream_id, 1)
        else:
            self._quic.send_stream_data(event.stream_id, body, end_stream=True)
        self.transmit()


def _read(directory: Path, path: str) -> bytes | None:
    name = path.lstrip("/")
    file = directory / name
    return file.read_bytes() if name and "/" not in name and file.is_file() else None
