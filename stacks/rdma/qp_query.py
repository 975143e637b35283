"""What a queue pair tells about itself (IBTA 11.2.5.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stacks.rdma.attributes import QpAttributes
from stacks.rdma.enums import PathMigrationState, QpState, QpType

if TYPE_CHECKING:
    from stacks.rdma.completion import Cq
    from stacks.rdma.qp import Qp, QpCapacity
    from stacks.rdma.srq import Srq


@dataclass(frozen=True, slots=True, kw_only=True)
class QpInitAttributes:
    """What a queue pair was created with."""

    qp_type: QpType
    send_cq: Cq
    recv_cq: Cq
    srq: Srq | None
    capacity: QpCapacity
    sq_sig_all: bool


def query_attributes(qp: Qp, *, rq_psn: int | None, sq_psn: int | None) -> QpAttributes:
    """The attributes as they are now; what was never set is None.

    rq_psn, sq_psn: the next ones expected and sent, as Linux rxe tells them, and not where they began.
    """
    names = {name: value for name, value in qp.attributes.items() if name != "en_sqd_async_notify"}
    attributes = QpAttributes(**names)  # type: ignore[arg-type]  # as `Qp.modify` took them from one
    return replace(
        attributes,
        state=qp.state,
        cur_state=qp.state,
        rq_psn=None if attributes.rq_psn is None or rq_psn is None else rq_psn & 0xFFFFFF,
        sq_psn=None if attributes.sq_psn is None or sq_psn is None else sq_psn & 0xFFFFFF,
        path_mig_state=None if qp.state is QpState.RESET else PathMigrationState.MIGRATED,
        cap=qp.capacity,
        sq_draining=qp.sq_draining,
    )
