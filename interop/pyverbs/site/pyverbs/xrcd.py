"""XRC domains."""

from stacks.rdma.verbs.xrcd import XRCD, XRCDInitAttr

__all__ = ["XRCD", "XRCDInitAttr"]
