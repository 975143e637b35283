"""The connection manager: how two queue pairs find each other (IBTA chapter 12, Annex A11 for IP addressing).

    owner -- resolve_addr, connect, listen, join_multicast, ... --> RdmaId --> EventChannel --> owner
                                                                      |
    owner -- listen, connect, accept, reject, disconnect ---------> RdmaCm -- modify --> queue pairs
                                                                      |
    owner <------------------ events ------------------------ ConnectionManager <-- MADs of QP 1 --> peer

`ConnectionManager` is the protocol alone: messages, states, retransmission, and plain parameters; its `sidr` finds
datagram services. `RdmaCm` takes queue pairs through INIT, RTR and RTS, and to ERR when the connection ends. `RdmaId`
has the calls and events of librdmacm, for programs and people who know those; one connection at a time is what
`stacks.rdma.cm.ids` is for. All three can be used on one device, each for its own services.

Left out: the migration that alternate paths are for (its messages are there), reliable datagrams (rejected with
reason 9), redirection.
"""

from stacks.rdma.cm.alternate_paths import AlternatePaths, PathEvent, PathEventKind
from stacks.rdma.cm.channel import ConnParam, EventChannel, RdmaEvent, UdParam
from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.events import CmCounters, CmEvent, CmEventType
from stacks.rdma.cm.id_states import RDMA_ID_TABLE, RdmaIdState, RdmaIdStep
from stacks.rdma.cm.identifier import RdmaId
from stacks.rdma.cm.manager import ConnectionManager
from stacks.rdma.cm.multicast import MULTICAST_QPN
from stacks.rdma.cm.options import IdOption, OptionLevel
from stacks.rdma.cm.parameters import ConnectionParameters, QpSettings
from stacks.rdma.cm.queue_pair import RDMA_UDP_QKEY, CmQp
from stacks.rdma.cm.rdma_cm import RdmaCm
from stacks.rdma.cm.resolution import TIMED_OUT, Resolution, ResolutionEvent, ResolutionState
from stacks.rdma.cm.routes import AnyRoute, Routes
from stacks.rdma.cm.sidr import SidrServices
from stacks.rdma.cm.states import ConnectionState

__all__ = [
    "MULTICAST_QPN",
    "RDMA_ID_TABLE",
    "RDMA_UDP_QKEY",
    "TIMED_OUT",
    "AlternatePaths",
    "AnyRoute",
    "CmConfig",
    "CmCounters",
    "CmEvent",
    "CmEventType",
    "CmQp",
    "ConnParam",
    "Connection",
    "ConnectionManager",
    "ConnectionParameters",
    "ConnectionState",
    "EventChannel",
    "IdOption",
    "OptionLevel",
    "PathEvent",
    "PathEventKind",
    "QpSettings",
    "RdmaCm",
    "RdmaEvent",
    "RdmaId",
    "RdmaIdState",
    "RdmaIdStep",
    "Resolution",
    "ResolutionEvent",
    "ResolutionState",
    "Routes",
    "SidrServices",
    "UdParam",
]
