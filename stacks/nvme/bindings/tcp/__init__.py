"""NVMe over TCP: the target's and the initiator's end, as cores for a stream driver.

    TcpTarget(target, host, port)   TcpInitiator()   both are `StreamEndpoint`s

Follows the NVMe/TCP transport specification 1.0: header and data digests, data alignment, in-capsule data, R2T, success
with the last data, SQ flow control on and off. Left out: TLS, and more than one R2T of a command at a time.
"""

from stacks.nvme.bindings.tcp.initiator import TcpInitiator, TcpInitiatorConfig
from stacks.nvme.bindings.tcp.parameters import DISCOVERY_PORT, NVME_TCP_PORT
from stacks.nvme.bindings.tcp.target import TcpTarget
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig, TcpTargetCounters

__all__ = [
    "DISCOVERY_PORT",
    "NVME_TCP_PORT",
    "TcpInitiator",
    "TcpInitiatorConfig",
    "TcpTarget",
    "TcpTargetConfig",
    "TcpTargetCounters",
]
