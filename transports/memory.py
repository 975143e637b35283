"""Datagrams within one process under trio: the twin of `transports.simulation` for tests of asynchronous code.

Its decisions about packets are seeded; the order in which trio runs tasks is not promised, so neither is a whole run.
Time is the given clock's; `TrioClock` follows trio's, which a test may replace by `trio.testing.MockClock`.
"""

from __future__ import annotations

import heapq
import random

import trio

from transports.clock import Clock
from transports.counters import DatagramStatistics
from transports.datagram import Address, Burst, Transmit
from transports.errors import TransportError
from transports.impairments import ImpairedPath, Impairments
from transports.packets import Inbox, Packet, packets_of


class TrioClock:
    """Trio's clock in nanoseconds; only within `trio.run`."""

    def now(self) -> int:
        """The time in nanoseconds."""
        return int(trio.current_time() * 1e9)


class MemoryNetwork:
    """Connects `MemoryTransport`s by address.

    seed: of the decisions about packets. clock: what arrivals are timed by. impairments: of all paths.
    merges, tells_identification, receive_buffer_bytes: as of `transports.simulation.Network`.
    """

    def __init__(
        self,
        seed: int = 0,
        impairments: Impairments | None = None,
        *,
        clock: Clock | None = None,
        merges: bool = True,
        tells_identification: bool = False,
        receive_buffer_bytes: int = 0,
    ) -> None:
        self.clock: Clock = clock or TrioClock()
        self.unroutable = 0
        """Packets for an address that nobody opened."""
        self._impairments = impairments or Impairments(delay_ns=0)
        self._rng = random.Random(seed)
        self._merges = merges
        self._tells_identification = tells_identification
        self._receive_buffer_bytes = receive_buffer_bytes
        self._transports: dict[Address, MemoryTransport] = {}
        self._paths: dict[tuple[Address, Address], ImpairedPath] = {}
        self._packet_count = 0

    def open(self, address: Address) -> MemoryTransport:
        """A transport at `address`; TransportError when it is taken."""
        if address in self._transports:
            raise TransportError(f"{address[0]} port {address[1]} is taken in this network")
        inbox = Inbox(
            merges=self._merges,
            tells_identification=self._tells_identification,
            limit_bytes=self._receive_buffer_bytes,
        )
        transport = MemoryTransport(self, address, inbox)
        self._transports[address] = transport
        return transport

    def remove(self, transport: MemoryTransport) -> None:
        """Free the address of a closed transport."""
        if self._transports.get(transport.address) is transport:
            del self._transports[transport.address]

    def send(self, transmit: Transmit, source: Address) -> int:
        """Carry the datagrams of `transmit`, copied; returns their number."""
        now = self.clock.now()
        packets = packets_of(transmit, source, first_index=self._packet_count, now=now)
        self._packet_count += len(packets)
        flow = source, transmit.destination
        path = self._paths.get(flow)
        if path is None:
            path = self._paths[flow] = ImpairedPath(self._impairments, self._rng)
        arrivals = path.transit(packets, now)
        receiver = self._transports.get(transmit.destination)
        if receiver is None:
            self.unroutable += len(arrivals)
        else:
            receiver.expect(arrivals)
        return len(packets)


class MemoryTransport:
    """One end of a `MemoryNetwork`. Implements `transports.datagram.DatagramTransport`."""

    def __init__(self, network: MemoryNetwork, address: Address, inbox: Inbox) -> None:
        self._network = network
        self._clock = network.clock
        self._address = address
        self._inbox = inbox
        self._expected: list[tuple[int, int, Packet]] = []
        self._expected_count = 0
        self._changed = trio.lowlevel.ParkingLot()
        self._is_closed = False
        self._is_full = False
        self.statistics = DatagramStatistics()

    @property
    def address(self) -> Address:
        """Where packets for this transport go."""
        return self._address

    @property
    def is_full(self) -> bool:
        """Whether `send` refuses, as a socket with a full buffer does; tests set it."""
        return self._is_full

    @is_full.setter
    def is_full(self, is_full: bool) -> None:
        self._is_full = is_full
        self._changed.unpark_all()

    def expect(self, arrivals: list[tuple[int, Packet]]) -> None:
        """Take packets that arrive at the given times."""
        for arrival_ns, packet in arrivals:
            self._expected_count += 1
            heapq.heappush(self._expected, (arrival_ns, self._expected_count, packet))
        self._changed.unpark_all()

    def send(self, transmit: Transmit) -> bool:
        """Send all datagrams of `transmit`; False while `is_full`."""
        if self._is_closed:
            raise TransportError("the transport is closed")
        if self._is_full:
            self.statistics.full += 1
            return False
        self.statistics.sent_datagrams += self._network.send(transmit, self._address)
        self.statistics.sent_bytes += sum(map(len, transmit.views))
        return True

    def receive(self) -> Burst | None:
        """The next burst that has arrived, or None."""
        self._admit()
        return self._inbox.take(self.statistics)

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something; trio.ClosedResourceError when closed."""
        await trio.lowlevel.checkpoint()
        while not self._is_closed:
            self._admit()
            if self._inbox:
                return
            timeout = trio.CancelScope()
            if self._expected:
                # A nanosecond more, or a clock that counts in floats may wake just before the arrival.
                timeout.deadline = trio.current_time() + (self._expected[0][0] - self._clock.now() + 1) / 1e9
            with timeout:
                await self._changed.park()
        raise trio.ClosedResourceError("the transport was closed")

    async def wait_writable(self) -> None:
        """Return when `send` may succeed; trio.ClosedResourceError when closed."""
        await trio.lowlevel.checkpoint()
        while self._is_full and not self._is_closed:
            await self._changed.park()
        if self._is_closed:
            raise trio.ClosedResourceError("the transport was closed")

    def close(self) -> None:
        """Drop what waits and what comes; idempotent. Tasks that wait get trio.ClosedResourceError."""
        if not self._is_closed:
            self._is_closed = True
            self._expected.clear()
            self._network.remove(self)
            self._changed.unpark_all()

    def _admit(self) -> None:
        now = self._clock.now()
        while self._expected and self._expected[0][0] <= now:
            self._inbox.put((heapq.heappop(self._expected)[2],))
