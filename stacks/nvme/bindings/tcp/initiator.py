"""An initiator over TCP: an endpoint with any number of associations, each queue a connection of its own.

program -> HostNamespace -> HostQueue -> TcpHostConnection -> driver
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.nvme.bindings.tcp.initiator_connection import TcpHostConnection
from stacks.nvme.bindings.tcp.parameters import NVME_TCP_PORT, OPEN_TIMEOUT_NS
from stacks.nvme.host import HostConfig, HostController, HostQueue, Policy, Region
from stacks.nvme.host.path import handle_due
from stacks.runtime import LocalError
from transports.datagram import Address
from transports.stream import StreamCore
from wire.nvme.kinds import TcpDigest


@dataclass(frozen=True, slots=True)
class TcpInitiatorConfig:
    """How an initiator moves data.

    digests: `TcpDigest`s to ask for, 0 for none. max_transfer_bytes: the most that one command moves.
    in_capsule_max: data inside a capsule beyond this is asked for by the controller, even where it would take more.
    has_sq_flow_control: False spares the controller SQHD, and lets it answer a read with its data alone.
    shortcuts: take data in runs where it comes so; without, each PDU goes through every step of its own.

    LocalError for a value out of its range.
    """

    digests: int = 0
    max_transfer_bytes: int = 1 << 20
    in_capsule_max: int = 16 << 10
    has_sq_flow_control: bool = False
    shortcuts: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.digests <= (TcpDigest.HEADER | TcpDigest.DATA):
            raise LocalError(f"digests are {self.digests}, which are no TcpDigests")
        if self.max_transfer_bytes < 4096:
            raise LocalError(f"max_transfer_bytes is {self.max_transfer_bytes}, less than a block of 4096")


class TcpInitiator:
    """A `StreamEndpoint` that connects to targets."""

    def __init__(self, *, config: TcpInitiatorConfig | None = None) -> None:
        self.config = config or TcpInitiatorConfig()
        self.transport = "tcp"
        self.hosts: list[HostController] = []
        self.policies: dict[Policy, None] = {}
        self.data_digest_errors = 0
        self._places: dict[HostController, Address] = {}
        self._hosts_of: dict[HostQueue, HostController] = {}
        self._links: dict[HostQueue, TcpHostConnection] = {}
        self._connects: list[tuple[StreamCore, Address]] = []
        self._active: dict[TcpHostConnection, None] = {}
        self._ending: dict[TcpHostConnection, None] = {}
        self._opening: dict[TcpHostConnection, None] = {}
        """Not agreed on how to talk yet."""

    @property
    def is_quiet(self) -> bool:
        """Whether every connection that was ended is closed."""
        return not self._active and not self._ending

    def connect(self, address: str, config: HostConfig, now: int, *, port: int = NVME_TCP_PORT) -> HostController:
        """Begin an association with the target at `address` (numeric) and `port`; follow its `state`."""
        host = HostController(
            config,
            max_transfer_bytes=self.config.max_transfer_bytes,
            has_sq_flow_control=self.config.has_sq_flow_control,
        )
        self.hosts.append(host)
        self._places[host] = (address, port)
        host.start(now)
        return host

    def forget(self, host: HostController) -> None:
        """Drop an association that is closed; LocalError while it is not."""
        if not host.is_closed:
            raise LocalError("the association is not closed yet")
        self._open_and_close()
        self.hosts.remove(host)
        del self._places[host]
        for queue in host.queues:
            self._hosts_of.pop(queue, None)

    def register(self, buffer: object) -> Region:
        """A buffer as a region, for I/O as over RDMA; TCP needs no registration."""
        return Region(memoryview(buffer).cast("B"), 0, 0)  # type: ignore[arg-type]

    def deregister(self, region: Region) -> None:
        """The inverse of `register`."""
        region.view.release()

    # The endpoint's verbs

    def tick(self, now: int) -> None:
        """Note the time, for every association."""
        for host in self.hosts:
            host.tick(now)

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        """Connections to make."""
        self._open_and_close()
        connects, self._connects = self._connects, []
        return connects

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:  # noqa: ARG002
        """Nobody connects to an initiator."""
        return None

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        """Send commands that were submitted; the connections with something to send, or to end."""
        self.tick(now)
        active = self._active
        for link in self._opening:
            if link.deadline_ns is None:
                link.deadline_ns = now + OPEN_TIMEOUT_NS
        for queue, link in self._links.items():
            if queue.outgoing:
                link.post_outgoing()
                active[link] = None
        if not active:
            return ()
        ready = list(active)
        active.clear()
        return ready

    def handle_timeout(self, now: int) -> None:
        """Timers of every association, of the policies above, and of connections that are being ended."""
        handle_due(self.hosts, now)
        handle_due(self.policies, now)
        for link in list(self._ending):
            if link.deadline_ns is not None and link.deadline_ns <= now:
                self._over(link)
        for link in list(self._opening):
            if link.deadline_ns is not None and link.deadline_ns <= now:
                self.ended(link, "", now)

    def poll_deadline(self) -> int | None:
        """The earliest of all."""
        earliest: int | None = None
        deadlines = [host.poll_deadline() for host in self.hosts]
        if self._ending or self._opening:
            deadlines += [link.deadline_ns for link in (*self._ending, *self._opening)]
        if self.policies:
            deadlines += [policy.poll_deadline() for policy in self.policies]
        for deadline in deadlines:
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    # What connections tell

    def touched(self, link: TcpHostConnection) -> None:
        """It has something to send."""
        self._active[link] = None

    def opened(self, link: TcpHostConnection, now: int) -> None:
        """Both ends agreed on how to talk."""
        self._opening.pop(link, None)
        link.deadline_ns = None
        self._hosts_of[link.queue].handle_opened(link.queue, now)

    def ended(self, link: TcpHostConnection, failure: str, now: int) -> None:
        """It is gone; failure: why, if it did not end in order."""
        self._over(link)
        if self._links.get(link.queue) is link:
            where = self._where(link.queue)
            was_open = link.queue.is_open
            self._lost(link, _ending_text(where, failure, was_open=was_open), now)

    def terminated(self, link: TcpHostConnection, reason: str, now: int) -> None:
        """It sent a TermReq, and waits for the controller to close."""
        self._active[link] = self._ending[link] = None
        self._opening.pop(link, None)
        self._lost(link, f"the target at {self._where(link.queue)} sent what is wrong: {reason}", now)

    # What follows

    def _open_and_close(self) -> None:
        for host in self.hosts:
            if not host.has_connections_to_change:
                continue
            for queue in host.poll_closings():
                link = self._links.pop(queue, None)
                if link is not None and link not in self._ending:
                    self._over(link)
            for queue in host.poll_openings():
                self._open(host, queue)

    def _open(self, host: HostController, queue: HostQueue) -> None:
        link = TcpHostConnection(
            self,
            queue,
            in_capsule_bytes=min(host.in_capsule_bytes, self.config.in_capsule_max),
            digests=self.config.digests,
        )
        self._hosts_of[queue] = host
        self._links[queue] = link
        self._opening[link] = None
        self._connects.append((link, self._places[host]))
        self._active[link] = None

    def _lost(self, link: TcpHostConnection, reason: str, now: int) -> None:
        if self._links.get(link.queue) is link:
            del self._links[link.queue]
            self._hosts_of[link.queue].handle_lost(link.queue, reason, now)

    def _over(self, link: TcpHostConnection) -> None:
        link.stop()
        self._ending.pop(link, None)
        self._opening.pop(link, None)
        self._active[link] = None

    def _where(self, queue: HostQueue) -> str:
        address, port = self._places[self._hosts_of[queue]]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _ending_text(where: str, failure: str, *, was_open: bool) -> str:
    if failure.startswith("it "):
        return f"the target at {where}: {failure}"
    if not was_open:
        reason = f" ({failure.lower()})" if failure else ""
        return f"no answer from {where}{reason}; is a target running there?"
    return f"the connection to the target at {where} broke ({failure.lower()})" if failure else (
        f"the target at {where} closed the connection"
    )
