"""The connection manager: how two queue pairs find each other (IBTA chapter 12, Annex A11 for IP addressing).

    owner -- listen, connect, accept, reject, disconnect --> RdmaCm -- modify --> queue pairs
                                                               |
    owner <------------------ events ------------------ ConnectionManager <-- MADs of QP 1 --> peer

`ConnectionManager` is the protocol alone: messages, states, retransmission, and plain parameters. `RdmaCm` adds what
rdma_cm adds in Linux: it takes a queue pair through INIT, RTR and RTS, and to ERR when the connection ends.

Left out: datagram services (a SIDR_REQ is answered "unsupported"), alternate paths (LAP is dropped and counted),
and transports other than RC (rejected with reason 9).
"""

from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.events import CmCounters, CmEvent, CmEventType
from stacks.rdma.cm.manager import ConnectionManager
from stacks.rdma.cm.parameters import ConnectionParameters, QpSettings
from stacks.rdma.cm.queue_pair import RDMA_UDP_QKEY, CmQp
from stacks.rdma.cm.rdma_cm import RdmaCm
from stacks.rdma.cm.resolution import TIMED_OUT, Resolution, ResolutionEvent, ResolutionState
from stacks.rdma.cm.sidr import SidrServices
from stacks.rdma.cm.states import ConnectionState

__all__ = [
    "RDMA_UDP_QKEY",
    "TIMED_OUT",
    "CmConfig",
    "CmCounters",
    "CmEvent",
    "CmEventType",
    "CmQp",
    "Connection",
    "ConnectionManager",
    "ConnectionParameters",
    "ConnectionState",
    "QpSettings",
    "RdmaCm",
    "Resolution",
    "ResolutionEvent",
    "ResolutionState",
    "SidrServices",
]
