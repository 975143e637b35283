"""A frame link within one process under trio."""

from __future__ import annotations

from transports.clock import Clock
from transports.frame_ends import ETHERNET_FRAME_BYTES, FAR_END, NEAR_END, FrameEnd
from transports.impairments import Impairments
from transports.memory import MemoryNetwork


def memory_frame_pair(
    seed: int = 0,
    impairments: Impairments | None = None,
    *,
    clock: Clock | None = None,
    frame_limit_bytes: int = ETHERNET_FRAME_BYTES,
) -> tuple[FrameEnd, FrameEnd]:
    """The two ends of a link; arguments as of `MemoryNetwork` and `FrameEnd`."""
    network = MemoryNetwork(seed, impairments, clock=clock, merges=False)
    near, far = network.open(NEAR_END), network.open(FAR_END)
    return FrameEnd(near, FAR_END, frame_limit_bytes), FrameEnd(far, NEAR_END, frame_limit_bytes)
