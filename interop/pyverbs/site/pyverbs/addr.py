"""Addresses."""

from stacks.rdma.verbs.addr import GID, GRH, AHAttr, GlobalRoute
from stacks.rdma.verbs.ah import AH

__all__ = ["AH", "GID", "GRH", "AHAttr", "GlobalRoute"]
