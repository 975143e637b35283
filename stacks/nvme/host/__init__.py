"""The initiator side of NVMe over Fabrics, free of transports.

    HostController -> HostQueue -> HostCommand        an association, driven by a binding
    HostNamespace -> Transfer                         I/O of any length, split into commands

`bring_up` holds the sequences of commands that start, refresh and end an association. Left out so far: reconnecting,
multipath, abort and other error recovery short of ending the association.
"""

from stacks.nvme.host.command import HostCommand, Region
from stacks.nvme.host.configuration import HostConfig
from stacks.nvme.host.controller import HostController
from stacks.nvme.host.controller_state import HostState
from stacks.nvme.host.discovery import DiscoveredSubsystem, read_discovery_log
from stacks.nvme.host.errors import CommandFailed, ConnectionFailed
from stacks.nvme.host.namespace import HostNamespace
from stacks.nvme.host.queue import HostQueue, HostQueueState
from stacks.nvme.host.reservations import ReportTransfer
from stacks.nvme.host.transfer import Transfer

__all__ = [
    "CommandFailed",
    "ConnectionFailed",
    "DiscoveredSubsystem",
    "HostCommand",
    "HostConfig",
    "HostController",
    "HostNamespace",
    "HostQueue",
    "HostQueueState",
    "HostState",
    "Region",
    "ReportTransfer",
    "Transfer",
    "read_discovery_log",
]
