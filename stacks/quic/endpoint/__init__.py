"""Many QUIC connections on one socket: who gets which datagram, and who may send when."""

from stacks.quic.endpoint.endpoint import Endpoint

__all__ = ["Endpoint"]
