"""Memory regions and windows."""

from stacks.rdma.verbs.dm import DMMR
from stacks.rdma.verbs.mr import MR, DmaBufMR
from stacks.rdma.verbs.mw import MW, MWBind, MWBindInfo

__all__ = ["DMMR", "MR", "MW", "DmaBufMR", "MWBind", "MWBindInfo"]
