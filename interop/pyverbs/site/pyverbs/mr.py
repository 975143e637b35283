"""Memory regions and windows."""

from interop.pyverbs.absent import absent
from stacks.rdma.verbs.mr import MR, DmaBufMR
from stacks.rdma.verbs.mw import MW, MWBind, MWBindInfo

__all__ = ["MR", "MW", "DmaBufMR", "MWBind", "MWBindInfo"]

DMMR = absent("DMMR")
