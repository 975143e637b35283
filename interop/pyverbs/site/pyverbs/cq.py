"""Completion queues."""

from stacks.rdma.verbs.cq import CQ, WC, CompChannel, cqe_status_to_str
from stacks.rdma.verbs.cqex import CQEX, CqInitAttrEx, PollCqAttr

__all__ = ["CQ", "CQEX", "WC", "CompChannel", "CqInitAttrEx", "PollCqAttr", "cqe_status_to_str"]
