"""The server behind `quic serve`: answers requests with files, a piece of each in turn, as streams take them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from apps.quic.documents import Document, Documents
from apps.quic.http_events import open_http, pass_on
from stacks.quic.connection import Connection
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import ConnectionClosed, StreamWritable
from stacks.quic.http3 import HttpCore, RequestReceived, StreamAborted
from stacks.runtime import LocalError


@dataclass(slots=True)
class Counters:
    """What was served since the start. answers: by HTTP status. aborted: answers that a client broke off."""

    connections: int = 0
    requests: int = 0
    body_bytes: int = 0
    aborted: int = 0
    answers: dict[int, int] = field(default_factory=dict)


class FileServer:
    """A `Service` beside an endpoint's pump. on_request: told of each method, path and status."""

    def __init__(
        self, endpoint: Endpoint, documents: Documents, *, on_request: Callable[[str, str, int], None] | None = None
    ) -> None:
        self.counters = Counters()
        self._endpoint = endpoint
        self._documents = documents
        self._on_request = on_request
        self._clients: dict[Connection, _Client] = {}
        self._busy: dict[_Client, None] = {}

    @property
    def client_count(self) -> int:
        """Connections that are served now."""
        return len(self._clients)

    def pump(self, now: int) -> bool:
        """Take what happened, and give what there is room for."""
        did = False
        while (connection := self._endpoint.poll_accepted()) is not None:
            self._clients[connection] = _Client(connection, self)
            self.counters.connections += 1
            did = True
        while (connection := self._endpoint.poll_active()) is not None:
            client = self._clients.get(connection)
            if client is not None:
                did |= client.take(now)
                if client.is_over:
                    del self._clients[connection]
                    self._busy.pop(client, None)
                elif client.has_work:
                    self._busy[client] = None
        return self._send(now) or did

    def close(self, now: int) -> None:
        """End all connections, and close the files that are open."""
        for client in self._clients.values():
            client.close(now)
        self._clients.clear()

    def _send(self, now: int) -> bool:
        """Pieces of files, each client in turn, and so many that timers and packets do not wait for long."""
        pieces = 0
        for _ in range(len(self._busy)):
            if pieces >= PIECES_PER_PASS:
                break
            client = next(iter(self._busy))
            del self._busy[client]
            pieces += client.send(now, PIECES_PER_PASS - pieces)
            if client.has_work:
                self._busy[client] = None
        return pieces > 0

    def answer(self, http: HttpCore, request: RequestReceived) -> Document | None:
        """Begin the answer to a request; the file whose content is to follow, if any is."""
        found = self._documents.open(request.path) if request.method in METHODS else METHOD_NOT_ALLOWED
        status = found if isinstance(found, int) else OK
        self.counters.requests += 1
        self.counters.answers[status] = self.counters.answers.get(status, 0) + 1
        if self._on_request is not None:
            self._on_request(request.method, request.path, status)
        if isinstance(found, int):
            http.respond(request.stream_id, found, (("content-length", "0"),), is_end=True)
            return None
        headers = [("content-type", found.content_type)]
        if (
            request.method == "GET"
        ):  # of HEAD it may be left out, and clients with aioquic's HTTP/3 take it for a promise
            headers.append(("content-length", str(found.size_bytes)))
        is_bare = request.method == "HEAD" or not found.size_bytes
        try:
            http.respond(request.stream_id, OK, headers, is_end=is_bare)
        except LocalError:
            is_bare = True  # the client has stopped it already
        if is_bare:
            os.close(found.descriptor)
            return None
        return found


class _Client:
    """One connection, and the files that are on their way through it, each with how far it is."""

    def __init__(self, connection: Connection, server: FileServer) -> None:
        self.is_over = False
        self._connection = connection
        self._server = server
        self._http: HttpCore | None = None
        self._sending: dict[int, _Sending] = {}
        self._waiting: dict[int, _Sending] = {}

    @property
    def has_work(self) -> bool:
        """Whether a stream may have room for more of its file."""
        return bool(self._sending)

    def take(self, now: int) -> bool:
        """All events of the connection."""
        did = False
        while (event := self._connection.poll_event()) is not None:
            did = True
            if isinstance(event, ConnectionClosed):
                self._end()
            elif isinstance(event, StreamWritable):
                self._resume(event.stream_id)
            else:
                self._http = self._http or open_http(self._connection)
                if self._http is not None:
                    pass_on(event, self._http)
        http = self._http
        while not self.is_over and http is not None and (what := http.poll_event(now)) is not None:
            did = True
            if isinstance(what, RequestReceived):
                document = self._server.answer(http, what)
                if document is not None:
                    self._sending[what.stream_id] = _Sending(document)
            elif isinstance(what, StreamAborted):
                self._server.counters.aborted += self._drop(what.stream_id)
        return did

    def send(self, now: int, limit: int) -> int:
        """A piece of each file whose stream has room, `limit` at most; how many there were."""
        http, pieces = self._http, 0
        assert http is not None
        http.now = now
        for _ in range(len(self._sending)):
            if pieces >= limit:
                break
            stream_id = next(iter(self._sending))
            sending = self._sending.pop(stream_id)
            if not http.can_send(stream_id):
                self._waiting[stream_id] = sending
                continue
            self._sending[stream_id] = sending
            self._send_piece(http, stream_id, sending)
            pieces += 1
        return pieces

    def close(self, now: int) -> None:
        """The server ends."""
        code = 0 if self._http is None else self._http.code_no_error
        self._connection.close(code, "", now=now)
        self._end()

    def _send_piece(self, http: HttpCore, stream_id: int, sending: _Sending) -> None:
        document = sending.document
        length = min(PIECE_BYTES, document.size_bytes - sending.at)
        try:
            data = os.pread(document.descriptor, length, sending.at)
            sending.at += len(data)
            is_end = sending.at == document.size_bytes
            if not data:  # the file has become shorter: what was promised cannot be kept
                http.cancel(stream_id)
                self._drop(stream_id)
                return
            http.send_body(stream_id, data, is_end=is_end)
            self._server.counters.body_bytes += len(data)
            if is_end:
                self._drop(stream_id)
        except (OSError, LocalError):
            http.cancel(stream_id)
            self._drop(stream_id)

    def _resume(self, stream_id: int) -> None:
        if stream_id in self._waiting:
            self._sending[stream_id] = self._waiting.pop(stream_id)

    def _drop(self, stream_id: int) -> bool:
        sending = self._sending.pop(stream_id, None) or self._waiting.pop(stream_id, None)
        if sending is None:
            return False
        os.close(sending.document.descriptor)
        return True

    def _end(self) -> None:
        self.is_over = True
        for stream_id in (*self._sending, *self._waiting):
            self._drop(stream_id)


@dataclass(slots=True)
class _Sending:
    """A file, and the first byte of it that was not given to its stream yet."""

    document: Document
    at: int = 0


METHODS = ("GET", "HEAD")
OK, METHOD_NOT_ALLOWED = 200, 405
PIECE_BYTES = 256 << 10
PIECES_PER_PASS = 32
