"""Several sockets as one datagram transport: a host with more than one address, or one that moves to another.

What leaves goes by the `source` that a transmit names, or by the first socket; what arrives says in `destination`
which of them it came to. One file descriptor (epoll) waits for all of them.

Left out: multicast. Follows Linux epoll(7).
"""

from __future__ import annotations

import contextlib
import select
from typing import Protocol

import trio

from transports.datagram import Address, Burst, DatagramTransport, Transmit
from transports.errors import TransportError


class SocketTransport(DatagramTransport, Protocol):
    """A datagram transport that is a socket."""

    def fileno(self) -> int:
        """Its file descriptor."""


class SeveralTransports:
    """Implements `transports.datagram.DatagramTransport` over others, which it closes.

    first: what it has to begin with, and where its address is. unknown_sources: transmits that named an address which
    none of them has; they are dropped, as a network would.
    """

    def __init__(self, first: SocketTransport) -> None:
        self.unknown_sources = 0
        self._first = first
        self._members: dict[Address, SocketTransport] = {}
        self._refused: SocketTransport = first
        self._turn: list[SocketTransport] = []
        self._epoll = select.epoll()
        self.add(first)

    @property
    def address(self) -> Address:
        """Of the first."""
        return self._first.address

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Of all."""
        return tuple(self._members)

    def add(self, transport: SocketTransport) -> None:
        """Another one; TransportError where one with its address is there already."""
        if transport.address in self._members:
            raise TransportError(f"{transport.address[0]} port {transport.address[1]} is there already")
        self._members[transport.address] = transport
        self._epoll.register(transport.fileno(), select.EPOLLIN)

    def remove(self, address: Address) -> None:
        """Close one of them, but not the first; nothing happens for an address that none has."""
        transport = self._members.get(address)
        if transport is not None and transport is not self._first:
            del self._members[address]
            self._epoll.unregister(transport.fileno())
            transport.close()
            self._turn.clear()
            if self._refused is transport:
                self._refused = self._first

    def fileno(self) -> int:
        """Readable when any of them is."""
        return self._epoll.fileno()

    def send(self, transmit: Transmit) -> bool:
        """As of `DatagramTransport`, by the one that has the transmit's source."""
        source = transmit.source
        transport = self._first if source is None else self._members.get(source)
        if transport is None:
            self.unknown_sources += 1
            return True
        if transport.send(transmit):
            return True
        self._refused = transport
        return False

    def receive(self) -> Burst | None:
        """As of `DatagramTransport`, from each in turn."""
        if not self._turn:
            self._turn = list(self._members.values())
        while self._turn:
            burst = self._turn[-1].receive()
            if burst is not None:
                return burst
            self._turn.pop()
        return None

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    async def wait_writable(self) -> None:
        """Return when the one that refused last may send."""
        await self._refused.wait_writable()

    def close(self) -> None:
        """Close all of them; idempotent. Tasks that wait get trio.ClosedResourceError."""
        if not self._epoll.closed:
            with contextlib.suppress(RuntimeError):  # outside of trio nobody can be waiting
                trio.lowlevel.notify_closing(self._epoll.fileno())
            self._epoll.close()
        for transport in self._members.values():
            transport.close()
