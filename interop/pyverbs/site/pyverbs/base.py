"""What other modules share."""

import ctypes

from stacks.rdma.verbs.errors import PyverbsRDMAError
from stacks.rdma.verbs.objects import VerbsObject as PyverbsObject
from stacks.rdma.verbs.wr import inc_rkey

__all__ = ["PyverbsObject", "PyverbsRDMAErrno", "inc_rkey"]


def PyverbsRDMAErrno(msg: str) -> PyverbsRDMAError:  # noqa: N802  # a function by that name
    """The error of the last call to the C library."""
    return PyverbsRDMAError(msg, ctypes.get_errno())
