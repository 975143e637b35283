"""The stream shape: bytes in order, both ways, over connections (kernel TCP, Unix sockets, their twins in memory).

    StreamTransport   one end of one connection
    StreamNetwork     where connections are made and arrive, and which of them can be read or written
    StreamCore        what a protocol makes of one connection
    StreamEndpoint    a core with any number of connections

`transports.stream_pump` carries bytes between them: they are received where the core says, so that bulk data need not
be copied, and what the core wants to send goes out with one call for many pieces.

A lost connection is a status with its cause: reading then ends, what is sent goes nowhere, and `failure` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from transports.datagram import Address, Buffer


@runtime_checkable
class StreamTransport(Protocol):
    """One end of a connection, without blocking. Contract suite: tests/transports/stream_contract.py."""

    @property
    def failure(self) -> str:
        """Why the connection was lost; empty while it stands or when it ended in order."""

    @property
    def local(self) -> Address:
        """This end's address; empty text and 0 where it has none, as with Unix sockets."""

    @property
    def remote(self) -> Address:
        """Who is at the other end, as with `local`."""

    def send(self, views: Sequence[Buffer]) -> int:
        """Take as much of `views`, from the start, as there is room for; returns bytes, 0 when full.

        views: flat, borrowed until the call returns. With the connection lost all is taken, and discarded.
        TransportError after `finish` or `close`.
        """

    def receive_into(self, views: Sequence[memoryview]) -> int | None:
        """Fill `views`, in order, with the next bytes; returns how many, None when nothing is there, 0 at the end.

        views: writable, at least one byte in all, borrowed until the call returns. The end is told each time.
        """

    def finish(self) -> None:
        """Send no more: the peer reads to the end of what was sent, then the end; idempotent."""

    async def wait_readable(self) -> None:
        """Return when `receive_into` may yield something."""

    async def wait_writable(self) -> None:
        """Return when `send` may take something."""

    def close(self) -> None:
        """Release everything; the peer sees the end, or a loss when it still sends; idempotent."""

    def abort(self) -> None:
        """The same, and what the peer does not have yet never gets there; it may see a loss. Idempotent."""


class StreamCore(Protocol):
    """A protocol's end of one connection, as a pump drives it."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing follows what `poll_output` gives now, so that the peer can be told."""

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be closed at once; what is not sent then is lost."""

    @property
    def discards(self) -> bool:
        """Whether what was sent must not arrive after the connection is over, since it may be sent again elsewhere."""

    def receive_views(self) -> Sequence[memoryview]:
        """Where the next bytes go, in order; none while it takes no more. Borrowed until `handle_received`."""

    def handle_received(self, length: int, now: int) -> None:
        """That many bytes were put into `receive_views`; never raises for what they are. now: in nanoseconds."""

    def handle_ended(self, failure: str, now: int) -> None:
        """No more bytes will come; failure: why the connection was lost, empty when the peer ended it in order."""

    def poll_output(self) -> Sequence[Buffer]:
        """What is to be sent, in order; borrowed until `sent`."""

    def sent(self, length: int) -> None:
        """The first `length` bytes of `poll_output` are taken; what is left over is asked for again later.

        0 says that nothing was taken: a core that gave memory which may change before it is asked again copies it now.
        """


class StreamEndpoint(Protocol):
    """A core whose peers are reached over connections."""

    def tick(self, now: int) -> None:
        """A pass begins; now: in nanoseconds. It may be long since the last one."""

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        """Connections to make, since the last call. One that fails is told to its core by `handle_ended`."""

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:
        """Somebody connected, to `local`, from `remote`; None closes the connection."""

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        """Connections with something to send, to read on with, or to end, since the last call."""

    def handle_timeout(self, now: int) -> None:
        """Act on every deadline at or before `now`."""

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due, in nanoseconds; None for never."""


class StreamNetwork(Protocol):
    """Where an endpoint's connections come from."""

    def connect(self, address: Address) -> StreamTransport:
        """Begin to connect; whether that works shows when it is used. TransportError when it cannot even begin."""

    def accept(self) -> StreamTransport | None:
        """The next connection that somebody else made, or None."""

    def watch(self, transport: StreamTransport, *, reading: bool, writing: bool) -> None:
        """What `poll` and waiting look for at this connection from now on."""

    def forget(self, transport: StreamTransport) -> None:
        """Look for nothing at it any more; before it is closed."""

    def poll(self) -> Sequence[StreamTransport]:
        """The watched connections that can be read or written, as far as is known; without waiting."""

    def close(self) -> None:
        """Release what it holds; connections are closed by who has them. Idempotent."""


class AwaitableStreams(StreamNetwork, Protocol):
    """A network that tasks can wait for."""

    async def wait_readable(self) -> None:
        """Return when `poll` or `accept` has something."""
