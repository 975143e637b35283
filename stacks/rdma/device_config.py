"""How a device behaves, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from stacks.rdma.cm import CmConfig
from stacks.rdma.congestion.config import CongestionConfig
from stacks.rdma.faults import FaultPlan
from stacks.rdma.limits import DeviceLimits
from stacks.rdma.memory import MemoryConfig
from stacks.rdma.reliable.recovery import GO_BACK_N, check_recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """How a device behaves.

    initial_window_bytes: what a queue pair starts with in flight; a default receive buffer on loopback holds it.
    max_window_packets: what it may grow to. shortcuts: whole-burst shortcuts in front of the full state machine.
    segment_limit: most packets of one send, which the transport gives Identifications 0, 1, 2, ...; what a UDP
        transport says of itself, 1 without offload. cm: how patient the connection manager is.
    memory: windows, memory of its own, page faults.
    faults: what goes wrong with its packets, on purpose; see `Device.attach`.
    limits: what there is room for; see `Device.query`.
    congestion: of queue pairs that are not created with another choice.
    recovery: likewise, what RC queue pairs send again after a loss: "go-back-n" or "selective", see
        `reliable.selective_queue_pair`. LocalError for anything else.
    """

    initial_window_bytes: int = 160_000
    max_window_packets: int = 512
    shortcuts: bool = True
    segment_limit: int = 64
    cm: CmConfig = field(default_factory=CmConfig)
    limits: DeviceLimits = field(default_factory=DeviceLimits)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    faults: FaultPlan | None = None
    congestion: CongestionConfig = field(default_factory=CongestionConfig)
    recovery: str = GO_BACK_N

    def __post_init__(self) -> None:
        check_recovery(self.recovery)
