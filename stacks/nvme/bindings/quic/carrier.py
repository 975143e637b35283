"""A stream endpoint's connections as streams of QUIC connections: two cores become one `DatagramCore`.

    datagrams -> quic Endpoint -> events -> StreamLink -> cores of the stream endpoint
    poll_connects, poll_active  -> StreamLink -> streams -> datagrams

One QUIC connection for each address that is connected to; it begins with the first stream and ends with the last. It
is kept alive while it has streams, so that a peer that is gone is noticed within the idle timeout.
"""

from __future__ import annotations

from collections.abc import Iterable

from stacks.nvme.bindings.quic.link import StreamLink
from stacks.nvme.bindings.quic.parameters import CODE_CLOSED, CODE_REFUSED
from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import (
    ConnectionClosed,
    Event,
    StopSending,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamWritable,
)
from transports.datagram import Address, Burst, Transmit
from transports.stream import StreamCore, StreamEndpoint


class QuicCarrier:
    """A `DatagramCore`. endpoint: of QUIC; streams: what is carried; client: of connections that it asks for.

    LocalError from `StreamEndpoint`s that connect comes through only where `client` is None.
    """

    def __init__(self, endpoint: Endpoint, streams: StreamEndpoint, *, client: Configuration | None = None) -> None:
        self.endpoint = endpoint
        self._streams = streams
        self._client = client
        self._links: dict[StreamCore, StreamLink] = {}
        self._of: dict[Connection, dict[int, StreamLink]] = {}
        self._calls: dict[Address, Connection] = {}
        self._ping_ns: int | None = None
        self._now = 0

    @property
    def link_count(self) -> int:
        """How many streams are carried."""
        return len(self._links)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The QUIC connections that have streams."""
        return tuple(self._of)

    # DatagramCore

    def handle_burst(self, burst: Burst, now: int) -> None:
        """As of `DatagramCore`."""
        self._begin(now)
        self.endpoint.handle_burst(burst, now)
        self._take_events(now)

    def handle_timeout(self, now: int) -> None:
        """As of `DatagramCore`."""
        self._begin(now)
        self.endpoint.handle_timeout(now)
        self._take_events(now)
        due_ns = self._streams.poll_deadline()
        if due_ns is not None and due_ns <= now:
            self._streams.handle_timeout(now)
        if self._ping_ns is not None and self._ping_ns <= now:
            self._ping_ns = now + PING_NS if self._calls else None
            for connection in self._calls.values():
                connection.ping()

    def poll_transmit(self, now: int) -> Transmit | None:
        """As of `DatagramCore`; before that, whatever the stream endpoint has is written to streams."""
        self._give_output(now)
        return self.endpoint.poll_transmit(now)

    def poll_deadline(self) -> int | None:
        """As of `DatagramCore`."""
        deadlines = (self.endpoint.poll_deadline(), self._streams.poll_deadline(), self._ping_ns)
        return min((due_ns for due_ns in deadlines if due_ns is not None), default=None)

    def sent(self, transmit: Transmit) -> None:
        """As of `DatagramCore`."""
        self.endpoint.sent(transmit)

    def close(self, now: int) -> None:
        """End every connection; the peers are told when the transmits are sent."""
        for connection in self.endpoint.connections:
            connection.close(CODE_CLOSED, now=now)

    # In

    def _begin(self, now: int) -> None:
        self._now = now
        self._streams.tick(now)

    def _take_events(self, now: int) -> None:
        while (connection := self.endpoint.poll_accepted()) is not None:
            self._of[connection] = {}
        while (active := self.endpoint.poll_active()) is not None:
            events: list[Event] = []
            while (event := active.poll_event()) is not None:
                events.append(event)
            links = self._of.get(active)
            if links is not None and events:
                self._handle(active, links, events, now)

    def _handle(self, connection: Connection, links: dict[int, StreamLink], events: list[Event], now: int) -> None:
        # What changes how other events are taken comes first: whose end is no end in order, and who reads no more.
        resets = {event.stream_id for event in events if isinstance(event, StreamReset)}
        for event in events:
            if isinstance(event, StopSending) and event.stream_id in links:
                links[event.stream_id].is_finished = True
        for event in events:
            if isinstance(event, StreamReadable):
                link = links.get(event.stream_id)
                if link is not None and event.stream_id not in resets:
                    link.receive(now)
                    self._close_if_over(link)
            elif isinstance(event, StreamOpened):
                self._accept(connection, links, event.stream_id, now)
            elif isinstance(event, StreamWritable):
                link = links.get(event.stream_id)
                if link is not None and link.is_blocked:
                    link.send()
            elif isinstance(event, StreamReset):
                self._end([link for link in (links.get(event.stream_id),) if link], _words(event.code), now)
            elif isinstance(event, StopSending):
                link = links.get(event.stream_id)
                if link is not None:
                    link.send()
            elif isinstance(event, ConnectionClosed):
                failure = _words(event.code) if event.by_peer and event.is_application else event.reason
                self._end(list(links.values()), failure, now)
                self._forget(connection)

    def _accept(self, connection: Connection, links: dict[int, StreamLink], stream_id: int, now: int) -> None:
        path = connection.path
        core = self._streams.handle_accepted(path.local, path.remote, now)
        if core is None:
            connection.reset_stream(stream_id, CODE_REFUSED)
            connection.stop_sending(stream_id, CODE_REFUSED)
        else:
            self._add(StreamLink(core, connection, stream_id), links)

    def _end(self, links: Iterable[StreamLink], failure: str, now: int) -> None:
        for link in links:
            link.end(failure, now)
            self._close_if_over(link)

    # Out

    def _give_output(self, now: int) -> None:
        self._begin(now)
        for core, address in self._streams.poll_connects():
            self._connect(core, address, now)
        for core in self._streams.poll_active(now):
            link = self._links.get(core)
            if link is None:
                continue
            if link.is_paused:
                link.receive(now)
            if not link.is_blocked:
                link.send()
            self._close_if_over(link)
        for address, connection in list(self._calls.items()):
            if not self._of[connection]:
                self._forget(connection)
                connection.close(CODE_CLOSED, now=now)
                self._calls.pop(address, None)

    def _connect(self, core: StreamCore, address: Address, now: int) -> None:
        assert self._client is not None, "only who has a client's configuration connects"
        connection = self._calls.get(address)
        if connection is None or connection.state >= ConnectionState.CLOSING:
            connection = self._calls[address] = self.endpoint.connect(address, self._client, now)
            self._of[connection] = {}
            if self._ping_ns is None:
                self._ping_ns = now + PING_NS
        self._add(StreamLink(core, connection, connection.open_stream()), self._of[connection])

    # The books

    def _add(self, link: StreamLink, links: dict[int, StreamLink]) -> None:
        # Queues share what there is, a packet each in turn: the commands of one do not wait for the data of another.
        link.connection.set_priority(link.stream_id, URGENCY, is_incremental=True)
        links[link.stream_id] = self._links[link.core] = link

    def _close_if_over(self, link: StreamLink) -> None:
        if link.core.is_over and self._links.pop(link.core, None) is not None:
            self._of.get(link.connection, {}).pop(link.stream_id, None)
            if link.connection.state < ConnectionState.CLOSING:
                link.close()

    def _forget(self, connection: Connection) -> None:
        self._of.pop(connection, None)
        for address, called in list(self._calls.items()):
            if called is connection:
                del self._calls[address]


def _words(code: int) -> str:
    if code == CODE_CLOSED:
        return ""  # its answer to our STOP_SENDING, too, where both ended at a time
    return "it refused the queue: there are too many" if code == CODE_REFUSED else f"it gave up, code {code}"


URGENCY = 3
PING_NS = 10 * 10**9
"""A third of the default idle timeout."""
