"""What there is between two ends."""

from __future__ import annotations

from dataclasses import dataclass

from transports.link.fifo_port import FifoPort
from transports.link.packet import Sink
from transports.link.port import Port
from transports.link.trace import TracePort


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Two ways, there and back, without the ends, who put themselves behind: `(*path.forward, receiver)`.

    forward_ns, backward_ns: propagation alone. rate_bps: of the narrowest link there, 0 where none has a rate. ports:
    those that are passed on the way there, in order.
    """

    forward: tuple[Sink, ...]
    backward: tuple[Sink, ...]
    forward_ns: int
    backward_ns: int
    rate_bps: int
    ports: tuple[Port | FifoPort | TracePort, ...]

    @property
    def rtt_ns(self) -> int:
        """There and back, without sizes and queues."""
        return self.forward_ns + self.backward_ns
