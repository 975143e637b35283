"""What the bindings' ends have in common without an event loop: a core to initiate from, and a pump to turn by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from stacks.nvme.host import HostConfig, HostController, Region
from stacks.rdma import Device
from transports.clock import Clock
from transports.pump import Enlisting


class Initiator(Protocol):
    """A binding's core on the initiator's side."""

    hosts: list[HostController]

    @property
    def is_quiet(self) -> bool:
        """Whether every connection that was ended has ended on both sides."""

    def connect(self, address: str, config: HostConfig, now: int, *, port: int = ...) -> HostController:
        """Begin an association with the target at `address` and `port`; follow its `state`."""

    def forget(self, host: HostController) -> None:
        """Drop an association that is closed."""

    def register(self, buffer: object) -> Region:
        """Register a writable buffer, so that I/O into and out of it is not copied; it is held until `deregister`."""

    def deregister(self, region: Region) -> None:
        """Let go of a registered buffer."""


class Pumping(Enlisting, Protocol):
    """A pump, of datagrams or streams."""

    def pump(self) -> bool:
        """Make a pass; whether anything was done."""

    def wait(
        self, timeout_ns: int | None = None, *, beside: Iterable[Enlisting] = (), wake_fd: int | None = None
    ) -> None:
        """Block the thread until a pass is due."""


class End:
    """What to initiate from: `initiator` on `pump`, with time from `clock`.

    device: the RDMA device below, where there is one.
    """

    def __init__(self, initiator: Initiator, pump: Pumping, clock: Clock, *, device: Device | None = None) -> None:
        self.device = device
        self.initiator = initiator
        self.pump = pump
        self.clock = clock

    def run_until(self, condition: Callable[[], bool], *, timeout_ns: int) -> bool:
        """Turn the pump until `condition` holds, or for `timeout_ns`; whether it holds."""
        end = self.clock.now() + timeout_ns
        while not condition():
            if not self.pump.pump():
                remaining = end - self.clock.now()
                if remaining <= 0:
                    return False
                self.pump.wait(remaining)
        return True

    def close(self) -> None:
        """Release what the end holds; connections that were not ended are left to themselves."""
        raise NotImplementedError
