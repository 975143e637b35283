"""Work requests."""

from stacks.rdma.verbs.wr import SGE, RecvWR, SendWR

__all__ = ["SGE", "RecvWR", "SendWR"]
