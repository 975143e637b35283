"""Numbers in words."""

from stacks.rdma.verbs.words import qp_state_to_str, qp_type_to_str

__all__ = ["qp_state_to_str", "qp_type_to_str"]
