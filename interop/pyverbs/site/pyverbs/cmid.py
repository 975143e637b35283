"""Connections."""

from stacks.rdma.verbs.cm_events import CMEvent, CMEventChannel
from stacks.rdma.verbs.cm_parameters import AddrInfo, ConnParam, JoinMCAttrEx, UDParam
from stacks.rdma.verbs.cmid import CMID

__all__ = ["CMID", "AddrInfo", "CMEvent", "CMEventChannel", "ConnParam", "JoinMCAttrEx", "UDParam"]
