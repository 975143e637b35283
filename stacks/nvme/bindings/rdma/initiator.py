"""An initiator on an RDMA device: a core that owns the device, and any number of associations over it.

program -> HostNamespace -> HostQueue -> RdmaHostQueue -> Device -> driver

Each association has staging memory of its own (`staging`), whose keys no other target is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.nvme.bindings.rdma.initiator_queue import RECV, RdmaHostQueue
from stacks.nvme.bindings.rdma.parameters import (
    NVME_RDMA_PORT,
    QP_READS_MAX,
    ending_text,
    rejection_text,
    service_id,
)
from stacks.nvme.bindings.rdma.staging import Staging
from stacks.nvme.host import HostConfig, HostController, HostQueue, Policy, Region
from stacks.nvme.host.path import handle_due
from stacks.rdma import Access, Device, Mr, WcStatus
from stacks.rdma.cm import CmEvent, CmEventType, Connection, ConnectionParameters, ConnectionState
from stacks.runtime import LocalError
from transports.datagram import Burst, Transmit
from wire.nvme.rdma_codec import RdmaConnectRequest


@dataclass(frozen=True, slots=True)
class RdmaInitiatorConfig:
    """How an initiator moves data.

    path_mtu: bytes of a packet's payload, at most, and never more than the device takes.
    shelves: (bytes, count) of the staging buffers, for data in memory that is not registered; the largest is the
    largest transfer.
    invalidates: register memory for each transfer, and have the target invalidate the key with its answer.
    """

    path_mtu: int = 4096
    shelves: tuple[tuple[int, int], ...] = ((8 << 10, 256), (128 << 10, 32), (1 << 20, 8))
    invalidates: bool = False


class RdmaInitiator:
    """A `DatagramCore` that owns `device` and connects to targets."""

    def __init__(self, device: Device, *, config: RdmaInitiatorConfig | None = None) -> None:
        self.device = device
        self.config = config or RdmaInitiatorConfig()
        self.transport = "rdma"
        self.hosts: list[HostController] = []
        self.policies: dict[Policy, None] = {}
        self.async_events = 0
        self._pd = device.alloc_pd()
        self._cq = device.create_cq(CQ_DEPTH)
        self._places: dict[HostController, tuple[str, int]] = {}
        self._staging: dict[HostController, Staging] = {}
        self._hosts_of: dict[HostQueue, HostController] = {}
        self._links: dict[HostQueue, RdmaHostQueue] = {}
        self._by_qp: dict[int, RdmaHostQueue] = {}
        self._by_connection: dict[Connection, RdmaHostQueue] = {}
        self._ending: set[Connection] = set()
        self._regions: dict[Region, Mr] = {}

    @property
    def is_quiet(self) -> bool:
        """Whether every connection that was ended has ended on both sides."""
        return not self._ending

    def connect(self, address: str, config: HostConfig, now: int, *, port: int = NVME_RDMA_PORT) -> HostController:
        """Begin an association with the target at `address` (numeric) and `port`; follow its `state`."""
        staging = Staging(self._pd, self.config.shelves)
        host = HostController(config, max_transfer_bytes=self.config.shelves[-1][0])
        self.hosts.append(host)
        self._places[host] = (address, port)
        self._staging[host] = staging
        host.start(now)
        self._post()
        return host

    def forget(self, host: HostController) -> None:
        """Drop an association that is closed; LocalError while it is not."""
        if not host.is_closed:
            raise LocalError("the association is not closed yet")
        self._post()
        self.hosts.remove(host)
        del self._places[host]
        del self._staging[host]
        for queue in host.queues:
            self._hosts_of.pop(queue, None)

    def register(self, buffer: object) -> Region:
        """Register a writable buffer, so that I/O into and out of it is not copied; it is held until `deregister`.

        Until then every connected target that knows its key, which each I/O on it tells, can read and write all of
        it. Where that is too much, `invalidates` gives each transfer a key of its own.
        """
        region_mr = self._pd.reg_mr(buffer, Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE)
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        region = Region(view, region_mr.address, region_mr.rkey, owner=self._pd)
        self._regions[region] = region_mr
        return region

    def deregister(self, region: Region) -> None:
        """Let go of a registered buffer; no I/O on it may be under way."""
        self._regions.pop(region).dereg()
        region.view.release()

    # The core's verbs

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Packets for the device, and what follows from them."""
        self.device.handle_burst(burst, now)
        self._process(now)

    def handle_timeout(self, now: int) -> None:
        """Timers of the device, of every association, and of the policies above."""
        self.device.handle_timeout(now)
        handle_due(self.hosts, now)
        handle_due(self.policies, now)
        self._process(now)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send; commands that were submitted meanwhile go out with it."""
        for host in self.hosts:
            host.tick(now)
        self._post()
        return self.device.poll_transmit(now)

    def poll_deadline(self) -> int | None:
        """The earliest of all."""
        earliest = self.device.poll_deadline()
        for host in self.hosts:
            deadline = host.poll_deadline()
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        for policy in self.policies:
            deadline = policy.poll_deadline()
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    def sent(self, transmit: Transmit) -> None:
        """The transport is done with a send."""
        self.device.sent(transmit)

    # What follows

    def _process(self, now: int) -> None:
        while (event := self.device.cm.poll_event()) is not None:
            self._handle_event(event, now)
        while self.device.poll_async_event() is not None:
            # What they tell of a queue pair, its completions tell as well.
            self.async_events += 1
        # Most bursts are the middle of someone's data, and nothing follows from them.
        if len(self._cq):
            for host in self.hosts:
                host.tick(now)
            self._take_completions(now)
        self._post()

    def _take_completions(self, now: int) -> None:
        while entries := self._cq.poll(BATCH):
            for entry in entries:
                link = self._by_qp.get(entry.qp_num)
                if link is None:
                    continue
                if entry.status is not SUCCESS:
                    self._lost(link, ending_text(self._where(link.queue), entry.status), now)
                elif entry.wr_id & 3 == RECV:
                    link.handle_answer(entry.wr_id >> 2, entry)
                    if link.is_lost:
                        self._lost(link, f"the target at {self._where(link.queue)} sent what is no completion", now)
                else:
                    link.handle_sent(entry.wr_id >> 2)

    def _post(self) -> None:
        for host in self.hosts:
            if host.has_connections_to_change:
                self._open_and_close()
                break
        for link in self._links.values():
            if link.queue.outgoing or link.waiting:
                link.post_outgoing()

    def _open_and_close(self) -> None:
        # Ended connections first: their staging buffers are free already, and must be out of their targets' reach.
        for host in list(self.hosts):
            for queue in host.poll_closings():
                self._close(queue)
            for queue in host.poll_openings():
                try:
                    self._open(host, queue)
                except LocalError as error:
                    # Nothing is left to connect with, as when queue pairs run out; perhaps there is at another time.
                    host.handle_lost(queue, str(error), host.now)

    def _open(self, host: HostController, queue: HostQueue) -> None:
        link = RdmaHostQueue(
            queue,
            self._pd,
            self._cq,
            staging=self._staging[host],
            in_capsule_bytes=min(host.in_capsule_bytes, IN_CAPSULE_MAX),
            invalidates=self.config.invalidates,
        )
        address, port = self._places[host]
        request = RdmaConnectRequest(
            qid=queue.qid, hrqsize=queue.entries, hsqsize=queue.entries - 1, cntlid=host.cntlid if queue.qid else 0
        )
        parameters = ConnectionParameters(
            qpn=link.qp.number,
            path_mtu=min(self.config.path_mtu, self.device.config.cm.max_path_mtu or self.config.path_mtu),
            responder_resources=QP_READS_MAX,
            initiator_depth=QP_READS_MAX,
        )
        try:
            link.connection = self.device.cm.connect(
                address, service_id(port), qp=link.qp, parameters=parameters, private_data=request.encode()
            )
        except LocalError:
            link.stop()
            raise
        link.start()
        self._hosts_of[queue] = host
        self._links[queue] = link
        self._by_qp[link.qp.number] = link
        self._by_connection[link.connection] = link

    def _close(self, queue: HostQueue) -> None:
        link = self._links.get(queue)
        if link is not None:
            assert link.connection is not None
            if link.connection.state is ConnectionState.ESTABLISHED:
                self._ending.add(link.connection)
            self.device.cm.disconnect(link.connection)
            self._forget(link)

    def _handle_event(self, event: CmEvent, now: int) -> None:
        if event.kind in _ENDINGS:
            self._ending.discard(event.connection)
        link = self._by_connection.get(event.connection)
        if link is None:
            return
        where = self._where(link.queue)
        if event.kind is CmEventType.ESTABLISHED:
            self._hosts_of[link.queue].handle_opened(link.queue, now)
        elif event.kind is CmEventType.REJECTED:
            self._lost(link, rejection_text(where, event.status, event.private_data), now)
        elif event.kind is CmEventType.UNREACHABLE:
            self._lost(link, f"no answer from {where}; is a target running there?", now)
        elif event.kind is CmEventType.CONNECT_ERROR:
            self._lost(link, f"{where} answered with parameters that cannot be used", now)
        elif event.kind is CmEventType.DISCONNECTED:
            self._lost(link, f"the target at {where} closed the connection", now)

    def _lost(self, link: RdmaHostQueue, reason: str, now: int) -> None:
        host = self._hosts_of[link.queue]
        assert link.connection is not None
        self.device.cm.disconnect(link.connection)
        self._forget(link)
        host.handle_lost(link.queue, reason, now)

    def _forget(self, link: RdmaHostQueue) -> None:
        del self._links[link.queue]
        del self._by_qp[link.qp.number]
        assert link.connection is not None
        del self._by_connection[link.connection]
        link.stop()
        host = self._hosts_of[link.queue]
        if not any(queue in self._links for queue in host.queues):
            self._staging[host].close()

    def _where(self, queue: HostQueue) -> str:
        address, port = self._places[self._hosts_of[queue]]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


_ENDINGS = frozenset((CmEventType.DISCONNECTED, CmEventType.REJECTED, CmEventType.UNREACHABLE))

SUCCESS = WcStatus.SUCCESS
BATCH = 1024
CQ_DEPTH = 1 << 24
IN_CAPSULE_MAX = 16 << 10
"""Data in a capsule beyond this costs more memory than the saved round trip is worth."""
