"""Links as pure event-driven models: rates, queue disciplines, delays and everything that goes wrong on the way.

    packet.forward() -> sink, sink, ... -> receiver        a LinkPacket knows its route
    Port(timeline, queue, rate, delay_ns=...)              a queue in front of a link, and its wire
    Delay(timeline, delay_ns)                              a wire alone

Everything happens on a `Timeline`: in virtual time for the laboratory, in real time in `transports.relay`. An element
has one method, `put(packet)`, and hands the packet on by `packet.forward()`; a path is a list of `put`s. Randomness is
a `random.Random` of which only `.random()` is drawn.
"""

from transports.link.delay import Delay
from transports.link.droptail import DropTail
from transports.link.packet import ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT, LinkPacket, Sink
from transports.link.port import Port
from transports.link.queue import Queue
from transports.link.rates import ConstantRate, Rate

__all__ = [
    "ECN_CE",
    "ECN_ECT0",
    "ECN_ECT1",
    "ECN_NOT_ECT",
    "ConstantRate",
    "Delay",
    "DropTail",
    "LinkPacket",
    "Port",
    "Queue",
    "Rate",
    "Sink",
]
