"""A client that gets files over HTTP/3 or HTTP/0.9, on aioquic or qh3."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from interop.quic.peers.library_settings import Settings


async def get(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    """Get every URL into a file of its name; the URLs that did not come."""
    session = _Session(settings, arguments)
    urls: list[str] = arguments.urls
    match arguments.connections:
        case "one":
            return await session.connection(urls)
        case "each":
            return [each for url in urls for each in await session.connection([url])]
        case how:
            missing = await session.connection(urls[:1], waits_for_ticket=True)
            if session.ticket is None:
                return [*missing, *urls[1:]]
            return missing + await session.connection(urls[1:], is_resuming=True, is_early=how == "early")


class _Session:
    def __init__(self, settings: Settings, arguments: argparse.Namespace) -> None:
        self.ticket: Any = None
        self._settings = settings
        self._arguments = arguments
        self._got_ticket = asyncio.Event()
        base = settings.module("asyncio.protocol").QuicConnectionProtocol
        self._protocol = type("ClientProtocol", (_Requests, base), {"settings": settings})

    async def connection(
        self, urls: Sequence[str], *, waits_for_ticket: bool = False, is_resuming: bool = False, is_early: bool = False
    ) -> list[str]:
        """Get these on one connection; those that did not come."""
        connect = self._settings.module("asyncio").connect
        parts, missing = urlsplit(urls[0]), list(urls)
        configuration = self._configuration()
        if is_resuming:
            configuration.session_ticket = self.ticket
        with contextlib.suppress(ConnectionError):
            async with connect(
                parts.hostname,
                parts.port or 443,
                configuration=configuration,
                create_protocol=self._protocol,
                session_ticket_handler=self._keep,
                wait_connected=not is_early,
            ) as client:
                await client.fetch(urls, self._arguments, missing)
                if waits_for_ticket:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._got_ticket.wait(), TICKET_S)
        return missing

    def _configuration(self) -> Any:
        configuration = self._settings.configuration(is_client=True)
        if self._arguments.window:
            configuration.max_data = configuration.max_stream_data = self._arguments.window
        if self._arguments.connections == "early":
            configuration.probe_datagram_size = False  # qh3: probes of the path MTU would count as 1-RTT data
        if self._arguments.chacha20:
            suites = self._settings.module("tls").CipherSuite
            configuration.cipher_suites = [suites.CHACHA20_POLY1305_SHA256]
        return configuration

    def _keep(self, ticket: Any) -> None:
        self.ticket = ticket
        self._got_ticket.set()


class _Requests:
    """What a client does on a connection: mixed into the library's QuicConnectionProtocol."""

    _quic: Any
    settings: Settings

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.http: Any = None
        self.parts: dict[int, list[bytes]] = {}
        self.asked: dict[int, str] = {}
        self.waiting: list[str] = []
        self.results: dict[str, asyncio.Future[bytes | None]] = {}

    async def fetch(self, urls: Sequence[str], arguments: argparse.Namespace, missing: list[str]) -> None:
        """Ask for all at once, write each that comes, and take it from `missing`."""
        self.begin()
        self.waiting = list(reversed(urls))
        self.results = {url: asyncio.get_running_loop().create_future() for url in urls}
        self.ask_more()
        self.transmit()
        if arguments.key_update:
            await asyncio.sleep(KEY_UPDATE_S)
            self._quic.request_key_update()
            self.transmit()
        for url, result in self.results.items():
            body = await result
            if body is not None:
                (arguments.out / Path(urlsplit(url).path).name).write_bytes(body)
                missing.remove(url)

    def begin(self) -> None:
        """As soon as the protocol is negotiated; with early data before anything is."""
        if self.settings.alpn == "h3" and self.http is None:
            self.http = self.settings.module("h3.connection").H3Connection(self._quic)

    def ask_more(self) -> None:
        """What waits, as far as the server's limit of streams goes: aioquic sees to that itself, qh3 raises."""
        while self.waiting:
            limit = getattr(self._quic, "max_concurrent_bidi_streams", None)
            if limit and self._quic.get_next_available_stream_id() // 4 >= limit:
                return
            self.ask(self.waiting.pop())

    def transmit(self) -> None:
        """The library calls this behind all that it does; a raised limit comes without an event."""
        self.ask_more()
        super().transmit()  # type: ignore[misc]

    def ask(self, url: str) -> None:
        """Request one."""
        parts = urlsplit(url)
        stream_id: int = self._quic.get_next_available_stream_id()
        self.parts[stream_id] = []
        self.asked[stream_id] = url
        if self.http is None:
            self._quic.send_stream_data(stream_id, f"GET {parts.path}\r\n".encode(), end_stream=True)
        else:
            headers = {":method": "GET", ":scheme": "https", ":authority": parts.netloc, ":path": parts.path}
            sent = [(name.encode(), value.encode()) for name, value in headers.items()]
            self.http.send_headers(stream_id, sent, end_stream=True)

    def quic_event_received(self, event: Any) -> None:
        """The library calls this."""
        match type(event).__name__:
            case "ProtocolNegotiated":
                self.begin()
            case "ConnectionTerminated":
                self.fail(f"closed with error {event.error_code:#x} {event.reason_phrase}")
        if self.http is not None:
            for each in self.http.handle_event(event):
                self.http_event_received(each)
        elif type(event).__name__ == "StreamDataReceived":
            self.take(event.stream_id, event.data, is_end=event.end_stream)
        elif type(event).__name__ == "StreamReset":
            self.finish(event.stream_id, is_whole=False)

    def http_event_received(self, event: Any) -> None:
        """Of HTTP/3."""
        match type(event).__name__:
            case "HeadersReceived" if dict(event.headers).get(b":status") != b"200":
                self.finish(event.stream_id, is_whole=False)
            case "HeadersReceived" if event.stream_ended:
                self.finish(event.stream_id, is_whole=True)
            case "DataReceived":
                self.take(event.stream_id, event.data, is_end=event.stream_ended)

    def take(self, stream_id: int, data: bytes, *, is_end: bool) -> None:
        """Of a response."""
        self.parts[stream_id].append(data)
        if is_end:
            self.finish(stream_id, is_whole=True)

    def finish(self, stream_id: int, *, is_whole: bool) -> None:
        """No more will come."""
        result = self.results[self.asked[stream_id]]
        if not result.done():
            result.set_result(b"".join(self.parts.pop(stream_id)) if is_whole else None)

    def fail(self, words: str) -> None:
        """The connection is no more."""
        open_results = [result for result in self.results.values() if not result.done()]
        if open_results:
            print(words, file=sys.stderr)
        for result in open_results:
            result.set_result(None)


TICKET_S = 5.0
KEY_UPDATE_S = 0.5
