"""The initiator side of NVMe over Fabrics, free of transports.

    HostController -> HostQueue -> HostCommand        an association, driven by a binding
    HostNamespace -> Transfer                         I/O of any length, split into commands
    Path, Multipath                                   policies above: reconnecting, several ways to a subsystem

`bring_up` holds the sequences of commands that start, refresh and end an association, `watchdog` what ends one that
does not answer.
"""

from stacks.nvme.host.admin import FeatureValue
from stacks.nvme.host.command import HostCommand, Region
from stacks.nvme.host.configuration import HostConfig
from stacks.nvme.host.connect_all import ConnectAll
from stacks.nvme.host.controller import HostController
from stacks.nvme.host.controller_state import HostState
from stacks.nvme.host.discovery import DiscoveredSubsystem, read_discovery_log
from stacks.nvme.host.discovery_watch import DiscoveryWatch
from stacks.nvme.host.errors import CommandFailed, ConnectionFailed
from stacks.nvme.host.head import PathPolicy
from stacks.nvme.host.multipath import Multipath
from stacks.nvme.host.namespace import HostNamespace
from stacks.nvme.host.path import Path, Policy
from stacks.nvme.host.queue import HostQueue, HostQueueState
from stacks.nvme.host.reconnect import NO_RECONNECT, ReconnectPolicy
from stacks.nvme.host.reservations import ReportTransfer
from stacks.nvme.host.transfer import Transfer

__all__ = [
    "NO_RECONNECT",
    "CommandFailed",
    "ConnectAll",
    "ConnectionFailed",
    "DiscoveredSubsystem",
    "DiscoveryWatch",
    "FeatureValue",
    "HostCommand",
    "HostConfig",
    "HostController",
    "HostNamespace",
    "HostQueue",
    "HostQueueState",
    "HostState",
    "Multipath",
    "Path",
    "PathPolicy",
    "Policy",
    "ReconnectPolicy",
    "Region",
    "ReportTransfer",
    "Transfer",
    "read_discovery_log",
]
