"""Shared receive queues."""

from stacks.rdma.verbs.srq import SRQ, OpsWr, SrqAttr, SrqInitAttr, SrqInitAttrEx

__all__ = ["SRQ", "OpsWr", "SrqAttr", "SrqInitAttr", "SrqInitAttrEx"]
