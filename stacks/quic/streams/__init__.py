"""Streams, their flow control and priorities, CRYPTO streams, and unreliable datagrams (RFC 9000 2 to 4, RFC 9221).

    write -> SendStream -> Schedule (RFC 9218) -> Outgoing.write_frames -> STREAM frames
    STREAM frames -> Streams.handle_stream -> ReceiveStream -> read -> windows -> MAX_DATA, MAX_STREAM_DATA

One object a direction of a stream, made when it is needed and gone when its state machine is at its end (`states`).
"""

from stacks.quic.streams.crypto import CryptoReceiver, CryptoSender
from stacks.quic.streams.datagrams import Datagrams
from stacks.quic.streams.streams import Streams
from stacks.quic.streams.traced import TracedDatagrams, TracedStreams

__all__ = ["CryptoReceiver", "CryptoSender", "Datagrams", "Streams", "TracedDatagrams", "TracedStreams"]
