"""How congestion is handled: by which controller, at which line rate, with how many CNPs."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.congestion import ControllerFactory, controller_factory
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class CongestionConfig:
    """Congestion control of a device's queue pairs.

    controller: `"none"`, a name that `stacks.congestion` knows (`"dcqcn"`), or a factory; a queue pair may be created
        with another one. line_rate_bps: where every flow starts, and what it never exceeds.
    burst_bytes: what may leave at once; small for a simulation, large where a timer is late. cnp_interval_ns: at most
        one CNP in this time for each queue pair (A17.9.3 leaves the time open; 50 us is common).

    LocalError for a controller that nobody knows, or quantities that make no sense.
    """

    controller: str | ControllerFactory = "none"
    line_rate_bps: int = 25_000_000_000
    burst_bytes: int = 65_000
    cnp_interval_ns: int = 50_000

    def __post_init__(self) -> None:
        factory_of(self.controller)
        if self.line_rate_bps < 1 or self.burst_bytes < 1 or self.cnp_interval_ns < 0:
            raise LocalError("line_rate_bps and burst_bytes must be above 0, cnp_interval_ns not negative")


def factory_of(controller: str | ControllerFactory) -> ControllerFactory | None:
    """What makes the controllers that were asked for; None for "none", LocalError for an unknown name."""
    if not isinstance(controller, str):
        return controller
    return None if controller == "none" else controller_factory(controller)
