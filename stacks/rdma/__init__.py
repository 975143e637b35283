"""Verbs over RoCEv2: connections and datagrams between devices that live on ordinary UDP sockets.

    program -> Qp.post_send -> Requester -> Egress -> transmits ... network ... bursts -> Ingress -> Responder -> Cq

A `Device` is a core (transports.datagram.DatagramCore): it is fed bursts and time, and asked for transmits; a driver
(transports.driver) joins it to a socket, `aio` to trio, `sync` to programs without an event loop. Connections are made
by the manager in `cm`, over QP 1, or by moving queue pairs through their states by hand.

Here now: protection domains, memory regions over any buffer, completion queues; RC queue pairs with SEND (immediate,
invalidate, inline), RDMA WRITE (immediate), RDMA READ, atomics, FLUSH and ATOMIC WRITE (`reliable`), and the same over
XRC (`xrc`); UC, and UD with address handles and multicast groups (`unreliable`); shared receive queues; memory windows,
fast registration, on-demand paging and device memory (`memory`). Left out: RD and raw packets, path migration.

Documents: IBTA Architecture Specification volume 1, annexes A14, A16, A17 and A19; Linux rxe where the text is loose.
"""

from stacks.rdma.address_handle import AddressHandle
from stacks.rdma.async_events import AsyncEvent
from stacks.rdma.attributes import AddressVector, AlternatePath, QpAttributes
from stacks.rdma.completion import CompChannel, Cq, ExtendedWc, Wc
from stacks.rdma.congestion import CongestionConfig
from stacks.rdma.counters import RdmaCounters
from stacks.rdma.device import ROCE_PORT, Device
from stacks.rdma.device_config import DeviceConfig
from stacks.rdma.enums import (
    Access,
    AsyncEventType,
    FlushPlacement,
    FlushSelectivity,
    Nak,
    PathMigrationState,
    QpState,
    QpType,
    SendFlags,
    WcFlags,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from stacks.rdma.exhaustion import Exhausted
from stacks.rdma.extended_cq import CqFlags, ExtendedCq
from stacks.rdma.faults import FaultPlan, FaultRule, fault
from stacks.rdma.limits import DeviceLimits, PortAttributes, PortState
from stacks.rdma.memory import (
    DeviceMemory,
    FastMr,
    FastMrState,
    MemoryConfig,
    Mr,
    MrAdvice,
    Mw,
    MwBind,
    MwType,
    Pd,
)
from stacks.rdma.qp import Qp, QpCapacity
from stacks.rdma.qp_query import QpInitAttributes
from stacks.rdma.qp_states import QP_TABLE, QpEvent
from stacks.rdma.srq import Srq, SrqAttributes, Xrcd
from stacks.rdma.transitions import QpAttribute
from stacks.rdma.work import RecvWr, SendWr, Sge

__all__ = [
    "QP_TABLE",
    "ROCE_PORT",
    "Access",
    "AddressHandle",
    "AddressVector",
    "AlternatePath",
    "AsyncEvent",
    "AsyncEventType",
    "CompChannel",
    "CongestionConfig",
    "Cq",
    "CqFlags",
    "Device",
    "DeviceConfig",
    "DeviceLimits",
    "DeviceMemory",
    "Exhausted",
    "ExtendedCq",
    "ExtendedWc",
    "FastMr",
    "FastMrState",
    "FaultPlan",
    "FaultRule",
    "FlushPlacement",
    "FlushSelectivity",
    "MemoryConfig",
    "Mr",
    "MrAdvice",
    "Mw",
    "MwBind",
    "MwType",
    "Nak",
    "PathMigrationState",
    "Pd",
    "PortAttributes",
    "PortState",
    "Qp",
    "QpAttribute",
    "QpAttributes",
    "QpCapacity",
    "QpEvent",
    "QpInitAttributes",
    "QpState",
    "QpType",
    "RdmaCounters",
    "RecvWr",
    "SendFlags",
    "SendWr",
    "Sge",
    "Srq",
    "SrqAttributes",
    "Wc",
    "WcFlags",
    "WcOpcode",
    "WcStatus",
    "WrOpcode",
    "Xrcd",
    "fault",
]
