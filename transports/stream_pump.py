"""The pump of stream endpoints: one bounded pass that carries bytes and deadlines between cores and connections.

    network.poll -> transport.receive_into -> core.handle_received      1
                              endpoint.handle_timeout                    2
                              service.pump                               3
    endpoint.poll_active  -> core.poll_output -> transport.send          4

The counterpart of `transports.pump` for connections: no protocol, no event loop. A connection that is full is left
alone until there is room; one whose core takes no more is not read until the core is active again.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from transports.clock import Clock
from transports.datagram import Address
from transports.errors import TransportError
from transports.pump import Enlisting, HasFileno, Service, TimedService, wait_for
from transports.stream import StreamCore, StreamEndpoint, StreamNetwork, StreamTransport

READS_PER_PASS = 4
"""How often one connection is read in a pass."""
ACCEPTS_PER_PASS = 64
"""How many connections are taken in a pass, so that whoever knocks all the time does not keep those inside waiting."""


@runtime_checkable
class Waiting(Protocol):
    """A network that can block the thread by itself."""

    def wait(self, timeout_ns: int | None) -> None:
        """Until `poll` has something, or for `timeout_ns`."""


class StreamPump:
    """Moves everything between `endpoint` and the connections of `network`, with time from `clock`.

    network: stays the caller's to close, and what it listens on; connections are closed here.
    services: pumped in order in every pass, after the input and before the output.
    reads: how often one connection is read in a pass, so that none holds the others up.
    """

    def __init__(
        self,
        endpoint: StreamEndpoint,
        network: StreamNetwork,
        clock: Clock,
        services: Sequence[Service] = (),
        *,
        reads: int = READS_PER_PASS,
    ) -> None:
        self._endpoint = endpoint
        self._network = network
        self._waiting = network if isinstance(network, Waiting) else None
        self._file = network if isinstance(network, HasFileno) else None
        self._now = clock.now
        self._services = tuple(services)
        self._timed_services = tuple(service for service in services if isinstance(service, TimedService))
        self._reads = range(reads)
        self._links: dict[StreamTransport, _Link] = {}
        self._by_core: dict[StreamCore, _Link] = {}
        self._is_pumping = False
        self._has_more = False

    @property
    def has_more(self) -> bool:
        """Whether the last pass left input behind, closed a connection, or a service did something: pump again soon."""
        return self._has_more

    @property
    def is_blocked(self) -> bool:
        """Never: the network is asked for room together with everything else."""
        return False

    @property
    def connection_count(self) -> int:
        """How many connections there are."""
        return len(self._links)

    @property
    def deadline_ns(self) -> int | None:
        """When a pass is due without any input, in nanoseconds; None for never."""
        deadline = self._endpoint.poll_deadline()
        for service in self._timed_services:
            due = service.poll_deadline()
            if due is not None and (deadline is None or due < deadline):
                deadline = due
        return deadline

    def pump(self) -> bool:
        """Make one pass; True when anything was done. Called from within itself it does nothing and returns False.

        Whatever core, transport or services raise comes through, and the pump stays usable.
        """
        if self._is_pumping:
            return False
        self._is_pumping = True
        try:
            did = self._take_input()
            return self._give_output() or did
        finally:
            self._is_pumping = False

    def wait(
        self, timeout_ns: int | None = None, *, beside: Iterable[Enlisting] = (), wake_fd: int | None = None
    ) -> None:
        """Block the thread until a pass is due, or for `timeout_ns`; for programs without an event loop.

        beside: other pumps of this thread. wake_fd: returns when this file is readable.
        TransportError when the network cannot be waited for (has no `fileno`).
        """
        if beside or wake_fd is not None or self._waiting is None:
            wait_for([self, *beside], timeout_ns, wake_fd=wake_fd)
        elif not self._has_more:
            self._waiting.wait(self._time_left(timeout_ns))

    def enlist(self, poller: select.poll, timeout_ns: int | None) -> int | None:
        """Have `poller` wait for the network as well; the time left, `timeout_ns` at most, until a pass is due."""
        if self._file is None:
            raise TransportError(f"{type(self._network).__name__} has no file descriptor to wait for")
        poller.register(self._file.fileno(), select.POLLIN)
        return self._time_left(timeout_ns)

    def attach(self, core: StreamCore, transport: StreamTransport) -> None:
        """Carry a connection that was made elsewhere."""
        link = _Link(core, transport)
        self._links[transport] = self._by_core[core] = link
        self._watch(link)

    def detach(self, core: StreamCore) -> StreamTransport | None:
        """Let go of a connection, which is the caller's from now on; None when it is gone already."""
        link = self._by_core.pop(core, None)
        if link is None:
            return None
        del self._links[link.transport]
        self._network.forget(link.transport)
        return link.transport

    def close(self) -> None:
        """Close every connection, without a word to the cores."""
        for transport, link in list(self._links.items()):
            self._network.forget(transport)
            _close(link)
        self._links.clear()
        self._by_core.clear()

    def _time_left(self, timeout_ns: int | None) -> int | None:
        deadline_ns = self.deadline_ns
        if deadline_ns is None:
            return timeout_ns
        remaining_ns = max(0, deadline_ns - self._now())
        return remaining_ns if timeout_ns is None else min(timeout_ns, remaining_ns)

    def _take_input(self) -> bool:
        now = self._now()
        did = self._has_more = False
        self._endpoint.tick(now)
        links = self._links
        for transport in self._network.poll():
            link = links.get(transport)
            if link is not None:
                if link.is_blocked:
                    self._send(link)
                did = self._receive(link, now) or did
        if (arrived := self._network.accept()) is not None:
            self._accept(arrived, now)
            did = True
        due = self._endpoint.poll_deadline()
        if due is not None and due <= now:
            self._endpoint.handle_timeout(now)
            did = True
        for service in self._services:
            if service.pump(now):
                did = self._has_more = True
        return did

    def _receive(self, link: _Link, now: int) -> bool:
        if link.is_ended:
            return False
        core, receive_into = link.core, link.transport.receive_into
        for round_ in self._reads:
            views = core.receive_views()
            if not views:
                self._pause(link, is_paused=True)
                return round_ > 0
            if link.is_paused:
                self._pause(link, is_paused=False)
            length = receive_into(views)
            if length is None:
                return round_ > 0
            if not length:
                link.is_ended = True
                self._watch(link)
                core.handle_ended(link.transport.failure, now)
                self._close_if_over(link)
                return True
            core.handle_received(length, now)
            if length < sum(map(len, views)):
                # Nothing is left, in all likelihood; what is shows in the next pass.
                return True
        self._has_more = True
        return True

    def _accept(self, transport: StreamTransport, now: int) -> None:
        for left in reversed(range(ACCEPTS_PER_PASS)):
            core = self._endpoint.handle_accepted(transport.local, transport.remote, now)
            if core is None:
                transport.close()
            else:
                self.attach(core, transport)
            following = self._network.accept() if left else None
            if following is None:
                self._has_more = self._has_more or not left
                return
            transport = following

    def _connect(self, core: StreamCore, address: Address) -> None:
        try:
            transport = self._network.connect(address)
        except TransportError as error:
            core.handle_ended(str(error), self._now())
        else:
            self.attach(core, transport)

    def _give_output(self) -> bool:
        did = False
        endpoint, by_core = self._endpoint, self._by_core
        for core, address in endpoint.poll_connects():
            self._connect(core, address)
            did = True
        for core in endpoint.poll_active(self._now()):
            link = by_core.get(core)
            if link is None:
                continue
            did = True
            if link.is_paused:
                self._pause(link, is_paused=False)
            if not link.is_blocked:
                self._send(link)
            if self._close_if_over(link):
                # Nothing will be heard of it any more, and the services may wait for that.
                self._has_more = True
        return did

    def _send(self, link: _Link) -> None:
        core, send = link.core, link.transport.send
        was_blocked, link.is_blocked = link.is_blocked, False
        while views := core.poll_output():
            if link.is_finished:
                break
            taken = send(views)
            core.sent(taken)
            if not taken:
                link.is_blocked = True
                break
        if link.is_blocked != was_blocked:
            self._watch(link)
        if not link.is_blocked and not link.is_finished and core.is_finished:
            link.is_finished = True
            link.transport.finish()

    def _close_if_over(self, link: _Link) -> bool:
        is_over = link.core.is_over and self.detach(link.core) is not None
        if is_over:
            _close(link)
        return is_over

    def _pause(self, link: _Link, *, is_paused: bool) -> None:
        if link.is_paused != is_paused:
            link.is_paused = is_paused
            self._watch(link)

    def _watch(self, link: _Link) -> None:
        self._network.watch(
            link.transport, reading=not (link.is_paused or link.is_ended), writing=link.is_blocked
        )


def _close(link: _Link) -> None:
    if link.core.discards:
        link.transport.abort()
    else:
        link.transport.close()


class _Link:
    """A connection and its core.

    is_blocked: there was no room for all that the core wants to send; is_finished: the peer knows that no more comes.
    is_paused: the core takes no more for now; is_ended: no more bytes will come.
    """

    __slots__ = ("core", "is_blocked", "is_ended", "is_finished", "is_paused", "transport")

    def __init__(self, core: StreamCore, transport: StreamTransport) -> None:
        self.core = core
        self.transport = transport
        self.is_blocked = False
        self.is_ended = False
        self.is_finished = False
        self.is_paused = False
