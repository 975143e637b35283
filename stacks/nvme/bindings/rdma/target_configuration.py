"""What a program chooses about a target's port on an RDMA device, and what the port counts."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.nvme.buffers import DEFAULT_SHELVES
from stacks.runtime import Counters


@dataclass(frozen=True, slots=True)
class RdmaTargetConfig:
    """Sizes of a target's port.

    in_capsule_bytes: data that a capsule may carry, a multiple of 16; queues_max: connections at a time.
    pending_max, pending_per_host: how many of them, in all and from one address, may be without Connect.
    shelves: (bytes, count) of the staging buffers; the largest is the largest transfer.
    """

    in_capsule_bytes: int = 8192
    queues_max: int = 256
    pending_max: int = 128
    pending_per_host: int = 16
    shelves: tuple[tuple[int, int], ...] = DEFAULT_SHELVES


@dataclass(slots=True, eq=False)
class RdmaTargetCounters(Counters):
    """What a port counts; no standard names these."""

    connections_accepted: int = 0
    connections_rejected: int = 0
    connections_lost: int = 0
    connections_closed: int = 0
    capsules_received: int = 0
    responses_sent: int = 0
    async_events: int = 0
