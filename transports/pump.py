"""The pump: one bounded pass that carries bursts, deadlines and transmits between a datagram core and a transport.

    transport.receive -> core.handle_burst    1
                         core.handle_timeout  2  -> core.poll_transmit -> transport.send -> core.sent
                         service.pump         3

It knows no protocol and no event loop. Programs without one call `pump` and `wait`; posting and polling functions may
call `pump` inline (doorbells, busy polling); the simulator calls it in virtual time; `transports.driver` under trio.

A transmit that the transport refuses is kept and offered first in the next pass; one with a departure time in the
future waits here without holding up the others. Neither is ever sent twice or dropped.
"""

from __future__ import annotations

import heapq
import select
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from transports.clock import Clock
from transports.datagram import DatagramCore, DatagramTransport, MulticastTransport, Transmit
from transports.errors import TransportError

RECEIVE_BUDGET_BURSTS = 16
SEND_BUDGET_TRANSMITS = 32


class Service(Protocol):
    """Something beside the core that makes progress in each pass: a store executor, a completion notifier."""

    def pump(self, now: int) -> bool:
        """Do what can be done without waiting; True when anything was done (another pass follows soon)."""


@runtime_checkable
class TimedService(Service, Protocol):
    """A service that also wants a pass at a certain time."""

    def poll_deadline(self) -> int | None:
        """When `pump` should next be called, in nanoseconds; None for never."""


@runtime_checkable
class HasFileno(Protocol):
    """A transport that the operating system can be asked to wait for."""

    def fileno(self) -> int:
        """The file descriptor, ready when the transport is."""


class Enlisting(Protocol):
    """Something that can be waited for beside others, as every pump can."""

    @property
    def has_more(self) -> bool:
        """Whether a pass is due already."""

    def enlist(self, poller: select.poll, timeout_ns: int | None) -> int | None:
        """Have `poller` wait for it as well; the time left, `timeout_ns` at most, until a pass is due."""


class Pump:
    """Moves everything between `core` and `transport`, with time from `clock`.

    core: gets bursts and timeouts, is asked for transmits and deadlines.
    transport: stays the caller's to close.
    services: pumped in order in every pass, after the core's input and before its output.
    receive_budget, send_budget: the most bursts and transmits that one pass handles.
    """

    def __init__(
        self,
        core: DatagramCore,
        transport: DatagramTransport,
        clock: Clock,
        services: Sequence[Service] = (),
        *,
        receive_budget: int = RECEIVE_BUDGET_BURSTS,
        send_budget: int = SEND_BUDGET_TRANSMITS,
    ) -> None:
        self._core = core
        self._handle_burst = core.handle_burst
        self._poll_transmit = core.poll_transmit
        self._sent = core.sent
        self._transport = transport
        self._file = transport if isinstance(transport, HasFileno) else None
        self._multicast = transport if isinstance(transport, MulticastTransport) else None
        self._now = clock.now
        self._receive = transport.receive
        self._send = transport.send
        self._services = tuple(services)
        self._timed_services = tuple(service for service in services if isinstance(service, TimedService))
        self._receive_budget = receive_budget
        self._send_budget = range(send_budget)
        self._kept: Transmit | None = None
        self._delayed: list[tuple[int, int, Transmit]] = []
        self._delayed_count = 0
        self._is_pumping = False
        self._has_more = False
        self._polls_left = POLLS_PER_PASS

    @property
    def has_more(self) -> bool:
        """Whether the last pass stopped at a budget or a service did something: pump again soon."""
        return self._has_more

    @property
    def is_blocked(self) -> bool:
        """Whether a transmit is kept because the transport had no room."""
        return self._kept is not None

    @property
    def deadline_ns(self) -> int | None:
        """When a pass is due without any input, in nanoseconds; None for never."""
        deadline = self._core.poll_deadline()
        if self._delayed and self._kept is None:
            departure = self._delayed[0][0]
            deadline = departure if deadline is None else min(deadline, departure)
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

    def poll(self, spins: int = 1) -> bool:
        """The short pass of busy polling: send what is queued, then take one burst; True when anything was done.

        spins: how often to look for a burst before giving up, about a microsecond each.

        What the burst asks for (an acknowledgement, say) leaves with the next pass, behind whatever the program posts
        in between: its answer is what the peer waits for. Timers and services have their turn once in
        `POLLS_PER_PASS` calls. A program that stops polling must `pump` until `wait` would block.
        """
        if self._is_pumping:
            return False
        self._is_pumping = True
        try:
            self._has_more = False
            did = self._give_output()
            self._polls_left -= 1
            if not self._polls_left:
                self._polls_left = POLLS_PER_PASS
                is_unsent, took = self._has_more, self._take_input()
                self._has_more = self._has_more or is_unsent or took
                return took or did
            receive = self._receive
            burst = receive()
            while burst is None and spins > 1:
                spins -= 1
                burst = receive()
            if burst is None:
                return did
            now = self._now()
            if not burst.received_ns:
                burst.received_ns = now
            self._handle_burst(burst, now)
            self._has_more = True
            return True
        finally:
            self._is_pumping = False

    def wait(
        self, timeout_ns: int | None = None, *, beside: Iterable[Enlisting] = (), wake_fd: int | None = None
    ) -> None:
        """Block the thread until a pass is due: readable, writable while a transmit is kept, deadline, or `timeout_ns`.

        For programs without an event loop. beside: other pumps of this thread; returns when a pass of any is due.
        wake_fd: returns when this file is readable, so that another thread can say so.
        TransportError when a transport is no socket (has no `fileno`).
        """
        wait_for([self, *beside], timeout_ns, wake_fd=wake_fd)

    def enlist(self, poller: select.poll, timeout_ns: int | None) -> int | None:
        """Have `poller` wait for the transport as well; the time left, `timeout_ns` at most, until a pass is due."""
        if self._file is None:
            raise TransportError(f"{type(self._transport).__name__} has no file descriptor to wait for: use Driver.run")
        poller.register(self._file.fileno(), select.POLLIN if self._kept is None else select.POLLIN | select.POLLOUT)
        if self._multicast is not None and (groups := self._multicast.group_fileno()) is not None:
            poller.register(groups, select.POLLIN)
        deadline_ns = self.deadline_ns
        if deadline_ns is None:
            return timeout_ns
        remaining_ns = max(0, deadline_ns - self._now())
        return remaining_ns if timeout_ns is None else min(timeout_ns, remaining_ns)

    def _take_input(self) -> bool:
        core, read_clock = self._core, self._now
        now = read_clock()
        did = has_more = False
        for _ in range(self._receive_budget):
            burst = self._receive()
            if burst is None:
                break
            now = read_clock()
            if not burst.received_ns:
                burst.received_ns = now
            core.handle_burst(burst, now)
            did = True
        else:
            has_more = True
        due = core.poll_deadline()
        if due is not None and due <= now:
            core.handle_timeout(now)
            did = True
        for service in self._services:
            if service.pump(now):
                did = has_more = True
        self._has_more = has_more
        return did

    def _give_output(self) -> bool:
        did = False
        if self._kept is not None:
            if not self._send(self._kept):
                return False
            kept, self._kept, did = self._kept, None, True
            self._sent(kept)
        now, poll_transmit = self._now(), self._poll_transmit
        for _ in self._send_budget:
            transmit = self._next_delayed(now) if self._delayed else poll_transmit(now)
            if transmit is None:
                return did
            did = True
            if transmit.not_before_ns > now:
                self._delay(transmit)
            elif self._send(transmit):
                self._sent(transmit)
            else:
                self._kept = transmit
                return True
        self._has_more = True
        return True

    def _next_delayed(self, now: int) -> Transmit | None:
        """The next transmit while some wait for their departure: the first of them that is due, or the core's."""
        if self._delayed[0][0] <= now:
            return heapq.heappop(self._delayed)[2]
        return self._core.poll_transmit(now) if len(self._delayed) < DELAYED_LIMIT else None

    def _delay(self, transmit: Transmit) -> None:
        # The count keeps equal departure times in the core's order, and transmits out of the comparison.
        self._delayed_count += 1
        heapq.heappush(self._delayed, (transmit.not_before_ns, self._delayed_count, transmit))


def wait_for(pumps: Sequence[Enlisting], timeout_ns: int | None = None, *, wake_fd: int | None = None) -> None:
    """Block the thread until a pass of one of `pumps` is due, or for `timeout_ns`.

    wake_fd: returns when this file is readable, so that another thread can say so.
    """
    poller = select.poll()
    if wake_fd is not None:
        poller.register(wake_fd, select.POLLIN)
    for pump in pumps:
        if pump.has_more:
            return
        timeout_ns = pump.enlist(poller, timeout_ns)
    # Rounded up to whole milliseconds, or a deadline less than one away would spin.
    poller.poll(None if timeout_ns is None else -(-timeout_ns // 1_000_000))


def turn_until(
    condition: Callable[[], bool],
    *,
    turn: Callable[[], bool],
    wait: Callable[[int | None], object],
    clock: Clock,
    timeout_ns: int | None = None,
) -> bool:
    """Make passes until `condition` holds, for `timeout_ns` at most; whether it holds. For programs without a loop.

    turn: makes a pass; True when anything was done. wait: sleeps until one is due, for so long at most.
    """
    end_ns = None if timeout_ns is None else clock.now() + timeout_ns
    while not condition():
        if turn():
            continue
        remaining_ns = None if end_ns is None else end_ns - clock.now()
        if remaining_ns is not None and remaining_ns <= 0:
            return False
        wait(remaining_ns)
    return True


DELAYED_LIMIT = 256
"""Transmits that may wait for their departure; further ones stay in the core, which is the better place to choose."""
POLLS_PER_PASS = 16
"""Calls of `poll` of which one is a whole pass, so that timers and services never starve."""
