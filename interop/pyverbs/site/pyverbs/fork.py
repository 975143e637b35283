"""Forking: memory is shared with a child only where its program says so, so nothing needs to be done."""

from stacks.rdma.verbs.libibverbs_enums import IBV_FORK_UNNEEDED


def fork_init() -> None:
    """Get ready to fork."""


def is_fork_initialized() -> int:
    """Whether a program may fork, an IBV_FORK_ number."""
    return IBV_FORK_UNNEEDED
