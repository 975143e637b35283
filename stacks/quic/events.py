"""What a connection tells its application: `Connection.poll_event` yields these, in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from transports.datagram import Address


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all."""


def note(events: deque[Event], event: Event) -> None:
    """Append an event that can be missed, unless nobody takes any: a peer could cause it without end."""
    if len(events) < MAX_NOTED:
        events.append(event)


MAX_NOTED = 4096


@dataclass(frozen=True, slots=True)
class HandshakeCompleted(Event):
    """TLS is done at this end: data may be sent to whom the certificate names."""

    alpn: str
    is_resumed: bool
    is_early_data_accepted: bool


@dataclass(frozen=True, slots=True)
class HandshakeConfirmed(Event):
    """And at the other."""


@dataclass(frozen=True, slots=True)
class StreamOpened(Event):
    """The peer began a stream."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamReadable(Event):
    """There is data to read, or the end; told once until it was read."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamWritable(Event):
    """Little waits to be sent on a stream on which much did."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamReset(Event):
    """The peer sends no more on a stream (RESET_STREAM)."""

    stream_id: int
    code: int


@dataclass(frozen=True, slots=True)
class StopSending(Event):
    """The peer reads no more of a stream; our side was reset with its code already."""

    stream_id: int
    code: int


@dataclass(frozen=True, slots=True)
class DatagramReceived(Event):
    """An unreliable datagram (RFC 9221)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StreamsAvailable(Event):
    """The peer allows more streams of ours."""

    is_unidirectional: bool


@dataclass(frozen=True, slots=True)
class PathChanged(Event):
    """Packets go another way."""

    local: Address
    remote: Address


@dataclass(frozen=True, slots=True)
class PathFailed(Event):
    """Nobody answered there in time: packets go, or go on, the way they last went with success."""

    local: Address
    remote: Address


@dataclass(frozen=True, slots=True)
class TicketReceived(Event):
    """For a later connection: resumption and 0-RTT. ticket: `stacks.quic.tls.Ticket.from_bytes` reads it."""

    ticket: bytes


@dataclass(frozen=True, slots=True)
class TokenReceived(Event):
    """For a later connection from the same address (NEW_TOKEN)."""

    token: bytes


@dataclass(frozen=True, slots=True)
class VersionsOffered(Event):
    """The server speaks other versions only."""

    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Event):
    """The end. code: of the transport, or of the application."""

    code: int
    reason: str
    is_application: bool
    by_peer: bool
