"""The client behind `quic get`: requests over one connection, and what comes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.quic.downloads import Download, Outflow, sink
from apps.quic.http_events import open_http, pass_on
from apps.quic.urls import Url
from stacks.quic.connection import Connection
from stacks.quic.events import (
    ConnectionClosed,
    Event,
    HandshakeCompleted,
    HandshakeConfirmed,
    TicketReceived,
    TokenReceived,
)
from stacks.quic.http3 import BodyReceived, HttpCore, HttpEvent, ResponseReceived, StreamAborted, http_core
from stacks.runtime import LocalError


@dataclass(slots=True)
class Fetch:
    """One URL. path: where it goes, `-` for standard output; it is opened when the answer begins. status: HTTP's, 0
    before. expected_bytes: None where nobody said. problem: why nothing came of it.
    """

    url: Url
    path: Path
    sink: Download | Outflow | None = None
    stream_id: int = -1
    status: int = 0
    expected_bytes: int | None = None
    started_ns: int = 0
    ended_ns: int = 0
    is_done: bool = False
    problem: str = ""

    @property
    def size_bytes(self) -> int:
        """How much has come."""
        return 0 if self.sink is None else self.sink.size_bytes

    def fail(self, problem: str) -> None:
        """Nothing comes of it."""
        if not self.is_done:
            self.is_done = True
            self.problem = problem
            if self.sink is not None:
                self.sink.discard()


class Fetcher:
    """A `Service`: one connection's fetches.

    early_alpn: protocol of a ticket, with which requests go out in 0-RTT; empty to wait for the handshake.
    is_updating_keys: change keys once, when the handshake is confirmed. wants_ticket: wait for one at the end.
    on_bytes: told of every piece. is_over: all fetches have ended and nothing is waited for, or the connection has.
    failure: why the connection ended, None where we ended it; problem: the same in words, if it is ours.
    tickets, tokens: that came. connected_ns: when the handshake was done, 0 before.
    """

    def __init__(
        self,
        connection: Connection,
        fetches: Sequence[Fetch],
        *,
        now: int,
        early_alpn: str = "",
        is_updating_keys: bool = False,
        wants_ticket: bool = False,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.connection = connection
        self.fetches = list(fetches)
        self.is_over = False
        self.failure: ConnectionClosed | None = None
        self.problem = ""
        self.tickets: list[bytes] = []
        self.tokens: list[bytes] = []
        self.started_ns = now
        self.connected_ns = 0
        self._early_alpn = early_alpn
        self._is_updating_keys = is_updating_keys
        self._wants_ticket = wants_ticket
        self._deadline_ns: int | None = None
        self._on_bytes = on_bytes
        self._http: HttpCore | None = None
        self._by_stream: dict[int, Fetch] = {}
        if early_alpn:
            self._open(http_core(early_alpn, connection), now)

    def pump(self, now: int) -> bool:
        """Take what happened."""
        did = False
        while (event := self.connection.poll_event()) is not None:
            self._handle(event, now)
            did = True
        http = self._http
        while http is not None and (what := http.poll_event(now)) is not None:
            self._take(what, now)
            did = True
        self._settle(now)
        return did

    def poll_deadline(self) -> int | None:
        """Until when a ticket is waited for."""
        return None if self.is_over else self._deadline_ns

    def _handle(self, event: Event, now: int) -> None:
        if isinstance(event, ConnectionClosed):
            self._closed(event)
        elif isinstance(event, HandshakeCompleted):
            self._completed(event, now)
        elif isinstance(event, HandshakeConfirmed):
            self._update_keys(now)
        elif isinstance(event, TicketReceived):
            self.tickets.append(event.ticket)
        elif isinstance(event, TokenReceived):
            self.tokens.append(event.token)
        elif self._http is not None:
            pass_on(event, self._http)

    def _completed(self, event: HandshakeCompleted, now: int) -> None:
        self.connected_ns = now
        if self._http is None:
            http = open_http(self.connection)
            assert http is not None
            self._open(http, now)
        elif event.alpn != self._early_alpn:
            # What went out in 0-RTT is sent again by itself where it is rejected; but it was in another language.
            self.problem = f"the server speaks {event.alpn} now, no longer {self._early_alpn}"
            self.connection.close(self._http.code_no_error, "", now=now)

    def _open(self, http: HttpCore, now: int) -> None:
        """Ask for all."""
        self._http = http
        for fetch in self.fetches:
            fetch.stream_id = http.request(fetch.url.authority, fetch.url.target)
            fetch.started_ns = fetch.started_ns or now
            self._by_stream[fetch.stream_id] = fetch

    def _update_keys(self, now: int) -> None:
        if self._is_updating_keys:
            self._is_updating_keys = False
            try:
                self.connection.update_keys(now)
            except LocalError:
                self._is_updating_keys = True  # too early: with the next event

    def _take(self, what: HttpEvent, now: int) -> None:
        fetch = self._by_stream.get(what.stream_id)
        if fetch is None or fetch.is_done:
            return
        if isinstance(what, ResponseReceived):
            self._started(fetch, what)
        elif isinstance(what, BodyReceived):
            self._body(fetch, what, now)
        elif isinstance(what, StreamAborted) and not what.is_sending:
            fetch.fail(f"the server broke it off (code {what.code:#x})")

    def _started(self, fetch: Fetch, response: ResponseReceived) -> None:
        fetch.status = response.status
        length = dict(response.headers).get("content-length", "")
        fetch.expected_bytes = int(length) if length.isdecimal() else None
        if response.status != OK:
            fetch.fail(f"the server answers {response.status}{WORDS.get(response.status, '')}")
            self._cancel(fetch)
            return
        fetch.sink = sink(fetch.path)

    def _body(self, fetch: Fetch, body: BodyReceived, now: int) -> None:
        assert fetch.sink is not None, "HTTP has a body after the answer's beginning"
        if body.data:
            fetch.sink.write(body.data)
            self._on_bytes(len(body.data))
        if body.is_end:
            fetch.ended_ns = now
            fetch.sink.finish()
            fetch.is_done = True

    def _cancel(self, fetch: Fetch) -> None:
        assert self._http is not None
        self._http.cancel(fetch.stream_id)

    def _closed(self, event: ConnectionClosed) -> None:
        if not self.is_over:
            self.is_over = True
            self.failure = event

    def _settle(self, now: int) -> None:
        if self.is_over or not all(fetch.is_done for fetch in self.fetches):
            return
        if self._wants_ticket and not self.tickets and self.connected_ns:
            # A resumed connection may be done before the server's ticket comes.
            self._deadline_ns = self._deadline_ns or now + TICKET_WAIT_NS
            if now < self._deadline_ns:
                return
        self.is_over = True
        self.connection.close(self._http.code_no_error if self._http else 0, "", now=now)


OK = 200
TICKET_WAIT_NS = 500_000_000
WORDS = {400: ", bad request", 403: ", forbidden", 404: ", not found", 405: ", method not allowed", 500: ", its fault"}
