"""What both ends of NVMe/RDMA agree on: the service, the private data of the connection, and sizes.

Follows the NVMe/RDMA transport specification 1.0 (3.2); statuses as Linux nvmet-rdma gives them.
"""

from __future__ import annotations

from stacks.rdma import WcStatus
from wire.errors import WireError
from wire.ibcm import RejectReason
from wire.nvme.kinds import RdmaRejectStatus
from wire.nvme.rdma_codec import RdmaConnectReject, RdmaConnectRequest


def service_id(port: int) -> int:
    """The service ID of a port number: RDMA_PS_TCP, which NVMe/RDMA uses."""
    return RDMA_PS_TCP << 16 | port


def reject_reason(private_data: bytes, *, entries_max: int, queues_max: int) -> RdmaRejectStatus | None:
    """Why a request for a queue is refused, or None when it is fine."""
    try:
        request = RdmaConnectRequest.decode(private_data)
    except WireError:
        return RdmaRejectStatus.INVALID_PRIVATE_DATA_LENGTH
    if request.recfmt:
        return RdmaRejectStatus.INVALID_RECFMT
    if request.qid > queues_max:
        return RdmaRejectStatus.INVALID_QID
    if not 1 <= request.hsqsize < entries_max:
        return RdmaRejectStatus.INVALID_HSQSIZE
    if not request.hrqsize:
        return RdmaRejectStatus.INVALID_HRQSIZE
    return None


def rejection_text(where: str, reason: int, private_data: bytes) -> str:
    """One line for a person whose connection was refused. where: the target, as host:port."""
    if reason == RejectReason.INVALID_SERVICE_ID:
        return f"nobody listens on {where}; is the target running, and is that its port?"
    if reason == RejectReason.CONSUMER and len(private_data) >= RdmaConnectReject.SIZE:
        status = RdmaConnectReject.decode(private_data).status
        text = _REJECT_TEXTS.get(status, f"status {status}")
        return f"{where} refuses the queue: {text}"
    name = RejectReason(reason).name.lower().replace("_", " ") if reason in set(RejectReason) else "unknown"
    return f"{where} refuses the connection: {name} (reject reason {reason})"


def ending_text(where: str, status: WcStatus) -> str:
    """One line for a person whose connection ended with a work request that failed. where: as above."""
    text = _ENDING_TEXTS.get(status)
    return f"the target at {where} {text}" if text else f"the connection to the target at {where} broke ({status.name})"


RDMA_PS_TCP = 0x0106
NVME_RDMA_PORT = 4420
"""The registered port of NVMe/RDMA."""

CAPSULE_BYTES = 64
COMPLETION_BYTES = 16
QP_READS_MAX = 16
"""READs that a queue pair has outstanding, and that it serves, at a time."""

_REJECT_TEXTS = {status.value: status.name.lower().replace("_", " ") for status in RdmaRejectStatus}
_ENDING_TEXTS = {
    WcStatus.RETRY_EXC_ERR: "stopped answering",
    WcStatus.RNR_RETRY_EXC_ERR: "has no room for commands any more",
    WcStatus.WR_FLUSH_ERR: "closed the connection",
}
