"""What the bindings' ends have in common without an event loop: a core to initiate from, and a pump to turn by hand."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Protocol

from stacks.nvme.host import HostConfig, HostController, Policy, Region
from stacks.rdma import Device
from stacks.runtime import LocalError
from transports.clock import Clock, RealClock
from transports.errors import TransportError
from transports.pump import Enlisting, turn_until, wait_for
from transports.routes import source_address


class Initiator(Protocol):
    """A binding's core on the initiator's side."""

    transport: str
    """As URLs name it."""
    hosts: list[HostController]
    policies: dict[Policy, None]
    """What is called in time beside the associations: paths, and what is above them."""

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

    def close(self) -> None:
        """Release what the end holds; connections that were not ended are left to themselves."""
        raise NotImplementedError


class Ends:
    """The ends of a program, one for each transport and address of ours, which are turned together.

    open_end: makes the end for a transport (`tcp`, `rdma`) and a target's address. local: which of our addresses to
    use; empty for one that suits.
    pump: of the only end, or of all; clock: of all.
    """

    def __init__(self, open_end: Callable[[str, str], End], *, local: str = "") -> None:
        self._open_end = open_end
        self._local = local
        self._ends: dict[tuple[str, str], End] = {}
        self.clock: Clock = RealClock()
        self.pump: Pumping = Pumps(())

    @property
    def all(self) -> list[End]:
        """Every end, in the order of opening."""
        return list(self._ends.values())

    @property
    def device(self) -> Device | None:
        """The first RDMA device, if there is one."""
        return next((end.device for end in self._ends.values() if end.device is not None), None)

    @property
    def is_quiet(self) -> bool:
        """Whether every connection that was ended has ended on both sides."""
        return all(end.initiator.is_quiet for end in self._ends.values())

    def initiator_for(self, transport: str, host: str) -> Initiator:
        """What connects to a target at `host`, over `transport`. Raises what opening an end raises."""
        key = end_key(transport, host, self._local)
        if key not in self._ends:
            self._ends[key] = self._open_end(transport, host)
            pumps = [end.pump for end in self._ends.values()]
            self.pump = pumps[0] if len(pumps) == 1 else Pumps(pumps)
        return self._ends[key].initiator

    def register(self, buffer: object) -> Region:
        """Register a writable buffer with every end, so that I/O into and out of it is not copied."""
        return register_with([end.initiator for end in self._ends.values()], buffer)

    def run_until(self, condition: Callable[[], bool], *, timeout_ns: int) -> bool:
        """Turn the pump until `condition` holds, or for `timeout_ns`; whether it holds."""
        return turn_until(
            condition,
            turn=lambda: self.pump.pump(),  # noqa: PLW0108 (it is another one when an end is opened meanwhile)
            wait=lambda remaining_ns: self.pump.wait(remaining_ns),  # noqa: PLW0108
            clock=self.clock,
            timeout_ns=timeout_ns,
        )

    def close(self) -> None:
        """Close every end."""
        for end in self._ends.values():
            end.close()


class Pumps:
    """Several pumps as one."""

    def __init__(self, pumps: Sequence[Pumping]) -> None:
        self._pumps = pumps

    @property
    def has_more(self) -> bool:
        """Whether a pass of any is due already."""
        return any(pump.has_more for pump in self._pumps)

    def pump(self) -> bool:
        """Make a pass with each; whether anything was done."""
        did = False
        for pump in self._pumps:
            did = pump.pump() or did
        return did

    def wait(
        self, timeout_ns: int | None = None, *, beside: Iterable[Enlisting] = (), wake_fd: int | None = None
    ) -> None:
        """Block the thread until a pass of any is due."""
        wait_for([*self._pumps, *beside], timeout_ns, wake_fd=wake_fd)

    def enlist(self, poller: select.poll, timeout_ns: int | None) -> int | None:
        """Have `poller` wait for all; the time left until a pass of any is due."""
        for pump in self._pumps:
            timeout_ns = pump.enlist(poller, timeout_ns)
        return timeout_ns


def register_with(initiators: Sequence[Initiator], buffer: object) -> Region:
    """A region that every one of `initiators` can use; LocalError without any."""
    regions = [initiator.register(buffer) for initiator in initiators]
    if not regions:
        raise LocalError("there is nothing to register memory with yet")
    first = next((region for region in regions if region.owner is not None), regions[0])
    first.others = tuple(region for region in regions if region is not first and region.owner is not None)
    return first


def end_key(transport: str, host: str, local: str) -> tuple[str, str]:
    """What tells ends apart: the transport, and but for TCP, where an end has one address, the one used to `host`."""
    if transport == "tcp":
        return transport, ""
    if local:
        return transport, local
    if ip_address(host).is_loopback and ":" not in host:
        return transport, "loopback"
    try:
        return transport, source_address(host)
    except TransportError:
        return transport, host
