"""Registered memory: protection domains, regions, windows, their keys, and how work requests reach them (IBTA 10.6)."""

from stacks.rdma.memory.config import MemoryConfig
from stacks.rdma.memory.device_memory import DeviceMemory
from stacks.rdma.memory.fast_registration import FAST_MR_TABLE, FastMr, FastMrEvent, FastMrState
from stacks.rdma.memory.paging import MrAdvice
from stacks.rdma.memory.pd import Pd
from stacks.rdma.memory.region import Region
from stacks.rdma.memory.regions import MemoryTable, Mr
from stacks.rdma.memory.windows import Mw, MwBind, MwType

__all__ = [
    "FAST_MR_TABLE",
    "DeviceMemory",
    "FastMr",
    "FastMrEvent",
    "FastMrState",
    "MemoryConfig",
    "MemoryTable",
    "Mr",
    "MrAdvice",
    "Mw",
    "MwBind",
    "MwType",
    "Pd",
    "Region",
]
