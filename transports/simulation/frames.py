"""A frame link in virtual time."""

from __future__ import annotations

from transports.frame_ends import ETHERNET_FRAME_BYTES, FAR_END, NEAR_END, FrameEnd
from transports.impairments import Impairments
from transports.simulation.events import Simulation
from transports.simulation.network import Network


def simulated_frame_pair(
    simulation: Simulation,
    impairments: Impairments | None = None,
    *,
    frame_limit_bytes: int = ETHERNET_FRAME_BYTES,
) -> tuple[FrameEnd, FrameEnd]:
    """The two ends of a link; arguments as of `Network` and `FrameEnd`."""
    network = Network(simulation, impairments, merges=False)
    near, far = network.open(NEAR_END), network.open(FAR_END)
    return FrameEnd(near, FAR_END, frame_limit_bytes), FrameEnd(far, NEAR_END, frame_limit_bytes)
