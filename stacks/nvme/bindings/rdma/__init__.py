"""NVMe over RDMA: the target's and the initiator's core, joined to the verbs (`stacks.rdma`) by plain calls.

    RdmaTarget(device, target, ...)   RdmaInitiator(device, ...)   both are cores for a datagram driver

Follows the NVMe/RDMA transport specification 1.0: keyed SGLs and in-capsule data, RDMA READ for host data, RDMA WRITE
and SEND with Invalidate for controller data, SQ flow control, private data of the connection manager's messages.
"""

from stacks.nvme.bindings.rdma.initiator import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.bindings.rdma.parameters import NVME_RDMA_PORT
from stacks.nvme.bindings.rdma.target import RdmaTarget
from stacks.nvme.bindings.rdma.target_configuration import RdmaTargetConfig, RdmaTargetCounters

__all__ = [
    "NVME_RDMA_PORT",
    "RdmaInitiator",
    "RdmaInitiatorConfig",
    "RdmaTarget",
    "RdmaTargetConfig",
    "RdmaTargetCounters",
]
