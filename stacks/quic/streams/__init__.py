"""Streams, their flow control and priorities, CRYPTO streams, and unreliable datagrams (RFC 9000 2 to 4, RFC 9221)."""

from stacks.quic.streams.crypto import CryptoReceiver, CryptoSender
from stacks.quic.streams.datagrams import Datagrams
from stacks.quic.streams.streams import Streams

__all__ = ["CryptoReceiver", "CryptoSender", "Datagrams", "Streams"]
