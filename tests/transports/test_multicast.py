"""Multicast groups: on real sockets over loopback, and in the simulated network (RFC 1112)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from transports.capture import CapturingTransport
from transports.clock import RealClock
from transports.datagram import Burst, MulticastTransport, Transmit
from transports.errors import TransportError
from transports.memory import MemoryNetwork
from transports.simulation import Network, Simulation
from transports.udp import UdpTransport

GROUP = "239.78.1.2"
PORT = 47910
_HOSTS = count(1)


@pytest.fixture
def pair() -> Iterator[tuple[UdpTransport, UdpTransport]]:
    ends = [UdpTransport(f"127.78.0.{next(_HOSTS)}", PORT) for _ in range(2)]
    yield ends[0], ends[1]
    for end in ends:
        end.close()


def sent(end: UdpTransport, payload: bytes, segment_bytes: int = 0) -> None:
    assert end.send(Transmit([payload], segment_bytes, None, (GROUP, PORT)))


def taken(end: UdpTransport) -> list[tuple[bytes, tuple[str, int], str]]:
    found = []
    while (burst := end.receive()) is not None:
        found.append((bytes(burst.view), burst.source, burst.destination[0]))
    return found


def test_every_member_gets_every_datagram_once_and_the_burst_says_which_group(
    pair: tuple[UdpTransport, UdpTransport],
) -> None:
    first, second = pair
    for end in pair:
        end.join(GROUP)
        end.join(GROUP)
    sent(first, b"to all")
    for end in pair:
        assert taken(end) == [(b"to all", first.address, GROUP)]
    sent(second, bytes(25), segment_bytes=10)
    assert [len(payload) for payload, _, _ in taken(first)] == [10, 10, 5]
    assert first.send(Transmit([b"alone"], 0, None, second.address))
    # What waits for the socket itself comes first.
    assert taken(second)[0] == (b"alone", first.address, second.address[0])


def test_who_left_or_never_joined_gets_nothing(pair: tuple[UdpTransport, UdpTransport]) -> None:
    first, second = pair
    second.leave(GROUP)
    second.join(GROUP)
    second.leave(GROUP)
    sent(first, b"to all")
    assert taken(first) == taken(second) == []


def test_what_is_no_group_cannot_be_joined(pair: tuple[UdpTransport, UdpTransport]) -> None:
    with pytest.raises(TransportError, match="cannot join group 192.0.2.1"):
        pair[0].join("192.0.2.1")


def test_a_capturing_transport_joins_through_the_one_inside(
    pair: tuple[UdpTransport, UdpTransport], tmp_path: object
) -> None:
    outer = CapturingTransport(pair[1], f"{tmp_path}/group.pcapng", RealClock())
    assert isinstance(outer, MulticastTransport)
    assert outer.group_fileno() is None
    outer.join(GROUP)
    assert outer.group_fileno() is not None
    sent(pair[0], b"recorded")
    burst = outer.receive()
    assert isinstance(burst, Burst)
    assert burst.destination == (GROUP, PORT)
    outer.leave(GROUP)
    outer.close()
    plain = CapturingTransport(MemoryNetwork(1).open(("192.0.2.1", PORT)), f"{tmp_path}/none.pcapng", RealClock())
    with pytest.raises(TransportError, match="no multicast"):
        plain.join(GROUP)


def test_a_simulated_group_delivers_to_its_members_and_counts_what_nobody_gets() -> None:
    network = Network(Simulation(1))
    ends = [network.open((f"192.0.2.{number}", PORT)) for number in range(1, 4)]
    for end in ends[:2]:
        end.join(GROUP)
    ends[2].send(Transmit([b"to all"], 0, None, (GROUP, PORT)))
    network.simulation.run_for(10**9)
    bursts = [end.receive() for end in ends]
    assert [burst and bytes(burst.view) for burst in bursts] == [b"to all", b"to all", None]
    ends[0].leave(GROUP)
    ends[1].close()
    ends[2].send(Transmit([b"to none"], 0, None, (GROUP, PORT)))
    network.simulation.run_for(10**9)
    assert network.unroutable == 1
