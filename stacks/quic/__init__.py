"""A QUIC transport, sans-IO: RFC 9000, 9001 and 9002 with the laboratory's congestion controllers.

    program -> Connection.write -> streams -> sending -> keys -> Transmit (bursts for segmentation offload)
    Burst -> Endpoint -> Connection -> keys -> dispatch -> streams, recovery, paths, tls -> poll_event, read -> program

`Endpoint` is a core for any driver; `stacks.quic.aio` and `stacks.quic.sync` are the faces for programs. A connection
is its concerns, each in a folder: `tls` (the handshake, on aioquic's TLS 1.3), `keys` (packet protection), `streams`
(data, flow control, priorities, datagrams), `recovery` (acknowledgements, losses, congestion), `paths` (connection IDs,
migration, tokens, path MTU), put together in `connection`. `http3` is HTTP/3 by aioquic's h3 on it, `qlog` its log.

Time and randomness are injected: the same seed gives the same bytes. Also followed: RFC 8899 (path MTU), 9218
(priorities), 9221 (datagrams), 9287 (greasing), 9368 and 9369 (version 2), 9959 (careful resume), the drafts of ACK
frequency and RESET_STREAM_AT. Left out: multipath, HelloRetryRequest and client certificates (aioquic's TLS has none).
"""

from stacks.quic.configuration import VERSION_1, VERSION_2, Configuration
from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.errors import TransportErrorCode, code_name
from stacks.quic.events import (
    ConnectionClosed,
    DatagramReceived,
    Event,
    HandshakeCompleted,
    HandshakeConfirmed,
    PathChanged,
    StopSending,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamsAvailable,
    StreamWritable,
    TicketReceived,
    TokenReceived,
    VersionsOffered,
)
from stacks.quic.tls import Ticket

__all__ = [
    "VERSION_1",
    "VERSION_2",
    "Configuration",
    "Connection",
    "ConnectionClosed",
    "ConnectionState",
    "DatagramReceived",
    "Endpoint",
    "Event",
    "HandshakeCompleted",
    "HandshakeConfirmed",
    "PathChanged",
    "StopSending",
    "StreamOpened",
    "StreamReadable",
    "StreamReset",
    "StreamWritable",
    "StreamsAvailable",
    "Ticket",
    "TicketReceived",
    "TokenReceived",
    "TransportErrorCode",
    "VersionsOffered",
    "code_name",
]
