"""Several sockets as one transport."""

from __future__ import annotations

import pytest

from transports.datagram import Transmit
from transports.errors import TransportError
from transports.several import SeveralTransports
from transports.udp import UdpTransport


def test_a_transmit_leaves_from_the_source_that_it_names_and_arrivals_say_where_they_came_to() -> None:
    several = SeveralTransports(UdpTransport("127.0.0.84", 0))
    several.add(UdpTransport("127.0.0.85", 0))
    peer = UdpTransport("127.0.0.86", 0)
    try:
        first, second = several.addresses
        for source in (None, first, second):
            assert several.send(Transmit([b"x"], 0, source, peer.address))
        seen = []
        while (burst := peer.receive()) is not None:
            seen.append(burst.source)
        assert seen == [first, first, second]
        peer.send(Transmit([b"y"], 0, None, second))
        burst = several.receive()
        assert burst is not None
        assert burst.destination == second
    finally:
        several.close()
        peer.close()


def test_one_may_go_and_what_names_it_is_dropped_and_counted() -> None:
    several = SeveralTransports(UdpTransport("127.0.0.84", 0))
    try:
        other = UdpTransport("127.0.0.85", 0)
        several.add(other)
        address = other.address
        with pytest.raises(TransportError, match="there already"):
            several.add(other)
        several.remove(address)
        assert several.addresses == (several.address,)
        assert several.send(Transmit([b"x"], 0, address, several.address))
        assert several.unknown_sources == 1
    finally:
        several.close()
