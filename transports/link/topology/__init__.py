"""Networks of links: builders that answer, for two ends, with the ways there and back, for `LinkPacket.route`.

    line = Line(timeline, hops)                      dumbbell, chain, parking lot: nodes in a row
    fabric = LeafSpine(timeline, LeafSpineConfig())  hosts, leaves and spines: switches that share buffers
    path = line.path(0, 1)                           path.forward, path.backward, path.rtt_ns, path.rate_bps
"""

from transports.link.topology.ecmp import choose
from transports.link.topology.leaf_spine import LeafSpine, LeafSpineConfig
from transports.link.topology.line import Access, Hop, Line, chain, dumbbell, parking_lot
from transports.link.topology.path import Path

__all__ = [
    "Access",
    "Hop",
    "LeafSpine",
    "LeafSpineConfig",
    "Line",
    "Path",
    "chain",
    "choose",
    "dumbbell",
    "parking_lot",
]
