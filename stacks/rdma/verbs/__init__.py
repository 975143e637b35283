"""Verbs as a C program knows them, in Python and without an event loop: the vocabulary of pyverbs.

    Context -> PD -> MR, QP, SRQ      made by constructors, closed with their parents
            -> CQ, CompChannel, XRCD
    QP.post_send, post_recv -> CQ.poll

Names, arguments and errors are those of rdma-core's pyverbs, so that its programs need only another import, and what
one knows of libibverbs applies. The objects wrap those of `stacks.rdma`, which remain in reach as `core` and `device`.
Devices are named bm0, bm1, ... and stand for IP addresses; `host` says which, and who moves the packets.

Programs of this house with an event loop use `stacks.rdma.aio`; those that want no C in their Python,
`stacks.rdma.sync`. Left out: raw packets, flow steering, work queues with receive hashes, tag matching, and whatever
belongs to a vendor; asking for them raises EOPNOTSUPP.
"""

from stacks.rdma.verbs.addr import GID, GRH, AHAttr, GlobalRoute
from stacks.rdma.verbs.ah import AH
from stacks.rdma.verbs.async_events import AsyncEvent
from stacks.rdma.verbs.cm_events import CMEvent, CMEventChannel
from stacks.rdma.verbs.cm_parameters import AddrInfo, ConnParam, JoinMCAttrEx, UDParam
from stacks.rdma.verbs.cmid import CMID
from stacks.rdma.verbs.cq import CQ, WC, CompChannel, cqe_status_to_str
from stacks.rdma.verbs.cqex import CQEX, CqInitAttrEx, PollCqAttr
from stacks.rdma.verbs.device import Context, Device, get_device_list
from stacks.rdma.verbs.device_attributes import DeviceAttr, DeviceAttrEx, GIDEntry, PortAttr
from stacks.rdma.verbs.dm import DM, DMMR, AllocDmAttr
from stacks.rdma.verbs.errors import PyverbsError, PyverbsRDMAError, PyverbsUserError
from stacks.rdma.verbs.host import Host, default_host
from stacks.rdma.verbs.mr import MR, DmaBufMR
from stacks.rdma.verbs.mw import MW, MWBind, MWBindInfo
from stacks.rdma.verbs.pd import PD, ParentDomain, ParentDomainContext, ParentDomainInitAttr
from stacks.rdma.verbs.qp import ECE, QP
from stacks.rdma.verbs.qp_attributes import QPAttr, QPCap, QPInitAttr, QPInitAttrEx
from stacks.rdma.verbs.qpex import QPEx
from stacks.rdma.verbs.srq import SRQ, SrqAttr, SrqInitAttr, SrqInitAttrEx
from stacks.rdma.verbs.wr import SGE, DataBuffer, RecvWR, SendWR, inc_rkey
from stacks.rdma.verbs.xrcd import XRCD, XRCDInitAttr

__all__ = [
    "AH",
    "CMID",
    "CQ",
    "CQEX",
    "DM",
    "DMMR",
    "ECE",
    "GID",
    "GRH",
    "MR",
    "MW",
    "PD",
    "QP",
    "SGE",
    "SRQ",
    "WC",
    "XRCD",
    "AHAttr",
    "AddrInfo",
    "AllocDmAttr",
    "AsyncEvent",
    "CMEvent",
    "CMEventChannel",
    "CompChannel",
    "ConnParam",
    "Context",
    "CqInitAttrEx",
    "DataBuffer",
    "Device",
    "DeviceAttr",
    "DeviceAttrEx",
    "DmaBufMR",
    "GIDEntry",
    "GlobalRoute",
    "Host",
    "JoinMCAttrEx",
    "MWBind",
    "MWBindInfo",
    "ParentDomain",
    "ParentDomainContext",
    "ParentDomainInitAttr",
    "PollCqAttr",
    "PortAttr",
    "PyverbsError",
    "PyverbsRDMAError",
    "PyverbsUserError",
    "QPAttr",
    "QPCap",
    "QPEx",
    "QPInitAttr",
    "QPInitAttrEx",
    "RecvWR",
    "SendWR",
    "SrqAttr",
    "SrqInitAttr",
    "SrqInitAttrEx",
    "UDParam",
    "XRCDInitAttr",
    "cqe_status_to_str",
    "default_host",
    "get_device_list",
    "inc_rkey",
]
