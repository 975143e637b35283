"""The target side of NVMe over Fabrics, free of transports.

    Target -> Subsystem -> Namespace -> Store          what is served
    Target -> Port -> Queue -> Command                 how it is reached: a binding drives a port
    Subsystem -> Controller -> Attachments             what a connected host sees, at the port that it came through
    Target -> DiscoveryService                         what each host is told that there is

Subsystems, namespaces, ports, hosts and ANA states are managed with the methods of `Target`, `Subsystem` and
`DiscoveryService` while hosts do I/O; `views` shows what there is.

A command goes through `queue` to the handler of its opcode (`fabrics`, `admin`, `io_commands`), which asks the binding
for data, an executor for the store, and completes. Follows NVM Express Base 2.0, NVM Command Set 1.0 and NVMe over
Fabrics 1.1. Left out so far: fused commands, Copy, Verify, namespace management, authentication.
"""

from stacks.nvme.target.command import Command
from stacks.nvme.target.controller import Controller
from stacks.nvme.target.controller_kind import ADMINISTRATIVE, ControllerKind
from stacks.nvme.target.controller_state import ControllerState
from stacks.nvme.target.discovery_record import PortAddress
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.nqn import check_nqn
from stacks.nvme.target.port import Port
from stacks.nvme.target.queue import Queue
from stacks.nvme.target.queue_state import QueueState
from stacks.nvme.target.subsystem import Subsystem
from stacks.nvme.target.target import Target

__all__ = [
    "ADMINISTRATIVE",
    "Command",
    "Controller",
    "ControllerKind",
    "ControllerState",
    "Namespace",
    "Port",
    "PortAddress",
    "Queue",
    "QueueState",
    "Subsystem",
    "Target",
    "check_nqn",
]
