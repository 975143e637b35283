"""Registered memory: protection domains, regions, their keys, and how work requests reach through them (IBTA 10.6)."""

from stacks.rdma.memory.regions import MemoryTable, Mr, Pd

__all__ = ["MemoryTable", "Mr", "Pd"]
