"""Streams in virtual time."""

from __future__ import annotations

from collections.abc import Callable

from transports.errors import TransportError
from transports.pipes import Pipe, StreamEnd
from transports.simulation.events import Simulation


class SimulatedStream(StreamEnd):
    """One end of a connection in virtual time: a `StreamTransport` on which nobody can wait."""

    def __init__(self, outgoing: Pipe, incoming: Pipe, simulation: Simulation, delay_ns: int) -> None:
        super().__init__(outgoing, incoming)
        self.on_change: Callable[[], None] | None = None
        """Called when there may be something to read or room to send: usually a host's `wake`."""
        self._peer = self
        self._simulation = simulation
        self._delay_ns = delay_ns

    def join(self, peer: SimulatedStream) -> None:
        """Say which end is the other one."""
        self._peer = peer

    async def wait_readable(self) -> None:
        """TransportError: virtual time does not wait."""
        raise TransportError("virtual time does not wait: use transports.memory_stream under trio")

    async def wait_writable(self) -> None:
        """TransportError: virtual time does not wait."""
        raise TransportError("virtual time does not wait: use transports.memory_stream under trio")

    def _travel(self, arrive: Callable[[], None]) -> None:
        def arrive_and_tell() -> None:
            arrive()
            self._peer.notify()

        # Equal delays keep the order: the heap's sequence numbers decide between equal times.
        self._simulation.schedule(self._simulation.now + self._delay_ns, arrive_and_tell)

    def _made_room(self) -> None:
        self._peer.notify()

    def notify(self) -> None:
        """Something changed: tell whoever asked to be told."""
        if self.on_change is not None:
            self.on_change()


def simulated_stream_pair(
    simulation: Simulation, *, delay_ns: int = 10_000, capacity_bytes: int = 1 << 16, cuts: bool = True
) -> tuple[SimulatedStream, SimulatedStream]:
    """Two connected ends. cuts: whether reading cuts at seeded places; capacity_bytes: on the way and unread."""
    rng = simulation.rng if cuts else None
    there, back = Pipe(capacity_bytes, rng), Pipe(capacity_bytes, rng)
    near = SimulatedStream(there, back, simulation, delay_ns)
    far = SimulatedStream(back, there, simulation, delay_ns)
    near.join(far)
    far.join(near)
    return near, far
