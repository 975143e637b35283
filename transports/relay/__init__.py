"""The link models as a process between real ends: sockets, or TUN and TAP devices in network namespaces.

    end.take -> RelayPacket -> the elements of a Direction on the Timeline -> end.leave -> end.flush

A `Relay` runs a `Timeline` in real time. What a model does happens at the time that the model gives it, however late
the process is, and `Punctuality` counts by how much each packet's departure was late: a run that was too late says so.

    relay         the pump, and its loop under trio
    direction     one way through the link: its options, its elements, its counters, its changes while it runs
    outbox        packets that have left the model and wait for the system call
    udp           between UDP sockets: one upstream socket a client, as a NAT has
    frame         between TUN or TAP devices, or any other two frame transports
    ledger        every packet that left, for percentiles
    lateness      what validity is judged by

Left out: anything that looks into payloads; only the two ECN bits of a packet are ever changed.
"""

from transports.relay.direction import Direction, DirectionConfig
from transports.relay.frame import FrameRelay
from transports.relay.lateness import DEFAULT_BUDGET_NS, Lateness, Punctuality
from transports.relay.packet import RelayPacket
from transports.relay.relay import Relay
from transports.relay.udp import UdpRelay, UdpRelayConfig

__all__ = [
    "DEFAULT_BUDGET_NS",
    "Direction",
    "DirectionConfig",
    "FrameRelay",
    "Lateness",
    "Punctuality",
    "Relay",
    "RelayPacket",
    "UdpRelay",
    "UdpRelayConfig",
]
