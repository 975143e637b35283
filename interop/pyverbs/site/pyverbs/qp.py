"""Queue pairs."""

from stacks.rdma.verbs.qp import ECE, QP
from stacks.rdma.verbs.qp_attributes import QPAttr, QPCap, QPInitAttr, QPInitAttrEx
from stacks.rdma.verbs.qpex import QPEx
from stacks.rdma.verbs.wr import DataBuffer

__all__ = ["ECE", "QP", "DataBuffer", "QPAttr", "QPCap", "QPEx", "QPInitAttr", "QPInitAttrEx"]
