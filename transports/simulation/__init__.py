"""Virtual time: cores, networks and faults from one heap of events, bit-identical for a seed, without any event loop.

    Simulation(seed)            the heap of (time_ns, sequence), the clock, the random generator
      Network(simulation, ...)  paths between addresses: impairments, a hook for fault plans, a trace
        network.attach(core, address, services=...) -> Host
      Switch(network, SwitchConfig(...), hosts)   instead: queues at ports, ECN marks, PFC

A host pumps its core when packets arrive, when a deadline is due, and when it is woken; output goes through the
network's paths to other hosts. Everything that may differ between runs comes from the simulation's generator.

Left out: queue disciplines and richer links (`transports.link`), and trio: its twin for asynchronous tests is
`transports.memory`.
"""

from transports.impairments import ImpairedPath, Impairments
from transports.packets import Packet
from transports.simulation.events import Simulation, SimulationError
from transports.simulation.link import Link
from transports.simulation.marking import EcnRamp
from transports.simulation.network import Host, Network, Path, SimulatedTransport
from transports.simulation.switch import Port, Switch, SwitchConfig

__all__ = [
    "EcnRamp",
    "Host",
    "ImpairedPath",
    "Impairments",
    "Link",
    "Network",
    "Packet",
    "Path",
    "Port",
    "SimulatedTransport",
    "Simulation",
    "SimulationError",
    "Switch",
    "SwitchConfig",
]
