"""The drivers: pumps that trio turns (`transports.turning`), for datagrams and for streams."""

from __future__ import annotations

from collections.abc import Sequence

from transports.clock import Clock
from transports.datagram import DatagramCore, DatagramTransport
from transports.pump import (
    RECEIVE_BUDGET_BURSTS,
    SEND_BUDGET_TRANSMITS,
    HasFileno,
    Pump,
    Service,
    TimedService,
)
from transports.stream import AwaitableStreams, StreamEndpoint
from transports.stream_pump import StreamPump
from transports.turning import Turner

__all__ = ["Driver", "HasFileno", "Pump", "Service", "StreamDriver", "TimedService"]


class Driver(Pump):
    """Moves everything between `core` and `transport` under trio; arguments as of `Pump`."""

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
        super().__init__(core, transport, clock, services, receive_budget=receive_budget, send_budget=send_budget)
        self._turner = Turner(self, super().pump, clock)
        self.wake = self._turner.wake
        self.run = self._turner.run
        self.wait_readable = transport.wait_readable
        self.wait_writable = transport.wait_writable

    def pump(self) -> bool:
        """Make one pass, as `Pump.pump`; the tasks of `run` learn of a new deadline and of what was left over."""
        is_nested = self._is_pumping
        did = super().pump()
        if not is_nested:
            self._turner.passed()
        return did

    def poll(self, spins: int = 1) -> bool:
        """As `Pump.poll`; while `run` is active, a whole pass."""
        return self.pump() if self._turner.is_running else super().poll(spins)


class StreamDriver(StreamPump):
    """Moves everything between `endpoint` and its connections under trio; arguments as of `StreamPump`."""

    def __init__(
        self, endpoint: StreamEndpoint, network: AwaitableStreams, clock: Clock, services: Sequence[Service] = ()
    ) -> None:
        super().__init__(endpoint, network, clock, services)
        self._turner = Turner(self, super().pump, clock)
        self.wake = self._turner.wake
        self.run = self._turner.run
        self.wait_readable = network.wait_readable
        # Room is one of the things that the network's one file descriptor tells of.
        self.wait_writable = network.wait_readable

    def pump(self) -> bool:
        """Make one pass, as `StreamPump.pump`; the tasks of `run` learn of a new deadline and of what was left over."""
        is_nested = self._is_pumping
        did = super().pump()
        if not is_nested:
            self._turner.passed()
        return did
