"""A connection from a command to a subsystem, without an event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.addresses import local_address_for
from apps.nvme.url import NvmeUrl
from stacks.nvme.bindings.rdma import RdmaInitiator
from stacks.nvme.host import ConnectionFailed, HostConfig, HostController, Region
from stacks.nvme.host.script import Steps
from stacks.rdma import Device
from stacks.runtime import StackError
from transports.capture import CapturingTransport
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.pump import Pump
from transports.udp import UdpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a command connects.

    local: IP address of our device, None for one that suits. offload: many packets with one system call.
    capture: where to record packets. queue_entries: size of the I/O queue.
    """

    local: str | None = None
    offload: bool = True
    capture: Path | None = None
    queue_entries: int = 128
    host_nqn: str = "nqn.2026-11.io.baremetal:host"


class Session:
    """A live association and what drives it."""

    def __init__(self, initiator: RdmaInitiator, pump: Pump, clock: RealClock) -> None:
        self._initiator = initiator
        self._pump = pump
        self._clock = clock
        self.host: HostController

    def register(self, buffer: object) -> Region:
        """Register a writable buffer, so that its data moves without a copy."""
        return self._initiator.register(buffer)

    def step(self) -> None:
        """One pass; sleeps when there is nothing to do. ConnectionFailed when the association is over."""
        if not self._pump.pump():
            if self.host.is_closed:
                raise ConnectionFailed(self.host.failure or "the connection was closed")
            self._pump.wait(WAIT_NS)

    def run(self, steps: Steps) -> None:
        """Run a sequence of admin commands to its end; raises what ended it."""
        outcome: list[StackError | None] = []
        self.host.run(steps, outcome.append, self._clock.now())
        self._until(lambda: bool(outcome))
        if outcome[0] is not None:
            raise outcome[0]

    def connect(self, address: str, port: int, config: HostConfig) -> None:
        """Connect; ConnectionFailed, with the reason, when that does not come about."""
        self.host = self._initiator.connect(address, config, self._clock.now(), port=port)
        self._until(lambda: self.host.is_live)

    def close(self) -> None:
        """End the association in good order."""
        if not self.host.is_closed:
            self.host.stop(self._clock.now())
        while not (self.host.is_closed and self._initiator.is_quiet):
            if not self._pump.pump():
                self._pump.wait(WAIT_NS)

    def _until(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            self.step()


@contextlib.contextmanager
def open_session(url: NvmeUrl, nqn: str, options: SessionOptions) -> Iterator[Session]:
    """A session with the subsystem `nqn` at the place of `url`."""
    local = options.local or local_address_for(url.host)
    clock = RealClock()
    device = Device(local)
    initiator = RdmaInitiator(device)
    transport: DatagramTransport = UdpTransport(local, device.address[1], offload=options.offload)
    if options.capture is not None:
        transport = CapturingTransport(transport, options.capture, clock)
    with contextlib.closing(transport):
        session = Session(initiator, Pump(initiator, transport, clock), clock)
        config = HostConfig(nqn=nqn, host_nqn=options.host_nqn, queue_entries=options.queue_entries)
        session.connect(url.host, url.port, config)
        try:
            yield session
        except BaseException:
            # Whatever went wrong is the news; the target learns of our end from the silence, or from this.
            with contextlib.suppress(StackError):
                session.close()
            raise
        session.close()


WAIT_NS = 500_000_000
