"""Which connections of a port go to which worker.

A service of the port's pump: it takes connections whose Connect is answered out of the pump and gives each to the
worker that has the fewest. With no worker to have, they stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stacks.nvme.bindings.tcp.agreement import Agreed
from stacks.nvme.bindings.tcp.target import TcpTarget
from stacks.nvme.bindings.tcp.workers.grants import GrantedWorker, Grants
from stacks.nvme.bindings.tcp.workers.owner_side import OwnerChannel
from transports.errors import TransportError
from transports.stream import StreamCore, StreamTransport


class PortWorker(GrantedWorker, Protocol):
    """A worker, as far as one port goes. channel: ours, in the port's pump."""

    channel: OwnerChannel

    def take(self, number: int, agreed: Agreed, unread: bytes, transport: StreamTransport) -> None:
        """Have the worker go on with a connection. TransportError when it does not; the connection is lost then."""


class Handover:
    """The handing over of `target`'s connections. workers: those that there are; detach: takes one out of the pump."""

    def __init__(self, target: TcpTarget, detach: Callable[[StreamCore], StreamTransport | None]) -> None:
        self.workers: list[PortWorker] = []
        self.grants = Grants(target)
        self._target = target
        self._detach = detach

    def add(self, worker: PortWorker) -> None:
        """One more worker."""
        self.workers.append(worker)
        self._target.hands_over = True

    def pump(self, now: int) -> bool:  # noqa: ARG002 (a service is told the time)
        """Hand over what is to be."""
        departing = self._target.poll_departures()
        for connection in departing:
            worker = self._choose()
            transport = None if worker is None else self._detach(connection)
            if worker is None or transport is None:
                connection.stay()
                continue
            agreed, unread = connection.departing()
            number = worker.channel.next_number()
            try:
                worker.take(number, agreed, unread, transport)
            except TransportError as error:
                self._target.ended(connection, str(error))
            else:
                forwarded = worker.channel.adopt(number, connection.queue, connection.remote)
                self._target.replace(connection, forwarded)
                self.grants.add(forwarded, worker)
        return bool(departing)

    def _choose(self) -> PortWorker | None:
        for dead in [each for each in self.workers if each.channel.is_over]:
            self.workers.remove(dead)
            self.grants.forget(dead)
        self._target.hands_over = bool(self.workers)
        return min(self.workers, key=lambda worker: worker.channel.connection_count, default=None)


