"""A target's port on an RDMA device: a core that owns the device and answers whoever connects.

    driver -> RdmaTarget -> Device -> completions -> RdmaTargetQueue -> core Queue -> store requests
                                   <- work requests <----------------- completions <-

Many hosts and queues share one completion queue and one pool of staging buffers, registered once.
"""

from __future__ import annotations

from collections.abc import Collection

from stacks.nvme.bindings.rdma.parameters import (
    NVME_RDMA_PORT,
    QP_READS_MAX,
    reject_reason,
    service_id,
)
from stacks.nvme.bindings.rdma.target_command import READ, RECV, RdmaCommand
from stacks.nvme.bindings.rdma.target_configuration import RdmaTargetConfig, RdmaTargetCounters
from stacks.nvme.bindings.rdma.target_queue import RdmaTargetQueue
from stacks.nvme.buffers import BufferPool, anonymous_memory, pool_bytes
from stacks.nvme.target import Command, PortAddress, Target
from stacks.nvme.target.controller_kind import IO_QUEUES_MAX, QUEUE_ENTRIES_MAX
from stacks.nvme.target.queue import Queue
from stacks.rdma import Access, Device, WcStatus
from stacks.rdma.cm import CmEvent, CmEventType, Connection, ConnectionParameters
from transports.datagram import Burst, Transmit
from wire.nvme.kinds import RdmaRejectStatus, TransportType
from wire.nvme.rdma_codec import RdmaConnectAccept, RdmaConnectReject, RdmaConnectRequest


class RdmaTarget:
    """A `DatagramCore` that serves `target` on `device`, at `port`.

    The device belongs to it from now on. Store requests leave through `target`, whose executor is a service of the
    same driver. portid, serves: see `Target.add_port`.
    """

    def __init__(
        self,
        device: Device,
        target: Target,
        *,
        port: int = NVME_RDMA_PORT,
        portid: int = 0,
        serves: Collection[str] | None = None,
        config: RdmaTargetConfig | None = None,
    ) -> None:
        self.device = device
        self.target = target
        self.config = config or RdmaTargetConfig()
        self.counters = RdmaTargetCounters()
        self._pd = device.alloc_pd()
        self._cq = device.create_cq(CQ_DEPTH)
        memory = anonymous_memory(pool_bytes(self.config.shelves))
        self._mr = self._pd.reg_mr(memory, Access.LOCAL_WRITE)
        pool = BufferPool(memoryview(memory), self._mr.address, shelves=self.config.shelves)
        self.port = target.add_port(
            pool,
            portid=portid,
            address=PortAddress(TransportType.RDMA, device.address[0], port),
            serves=serves,
            in_capsule_bytes=self.config.in_capsule_bytes,
            sgl_support=SGL_SUPPORT,
        )
        self._by_connection: dict[Connection, RdmaTargetQueue] = {}
        self._by_qp: dict[int, RdmaTargetQueue] = {}
        self._by_queue: dict[Queue, RdmaTargetQueue] = {}
        self._is_draining = False
        self._service_id = service_id(port)
        device.cm.listen(self._service_id)

    @property
    def queue_count(self) -> int:
        """How many queues are connected."""
        return len(self._by_connection)

    def drain(self) -> None:
        """Take no more connections and commands, and end each connection once everything under way is answered.

        What a store has not finished after two seconds is given up.
        """
        if not self._is_draining:
            self._is_draining = True
            self.device.cm.stop_listening(self._service_id)
            for queue in list(self._by_queue):
                # With an admin queue its controller ends, so that comes after the I/O queues.
                if queue.controller is None or queue.qid or not queue.controller.io_queues:
                    queue.ask_to_close()

    @property
    def is_drained(self) -> bool:
        """Whether `drain` has ended every connection."""
        return self._is_draining and not self._by_connection

    # The core's verbs

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Packets for the device, and what follows from them."""
        self.device.handle_burst(burst, now)
        self._process(now)

    def handle_timeout(self, now: int) -> None:
        """Timers of the device and of the target."""
        self.device.handle_timeout(now)
        self.target.handle_timeout(now)
        self._process(now)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send; answers that a store made possible go out with it."""
        port = self.port
        if port.completions or port.fetches or port.closing:
            self._post()
        return self.device.poll_transmit(now)

    def poll_deadline(self) -> int | None:
        """The earlier of the device's and the target's; at once while completions are left over."""
        if len(self._cq):
            return 0
        deadline, other = self.device.poll_deadline(), self.target.poll_deadline()
        if deadline is None or other is None:
            return other if deadline is None else deadline
        return min(deadline, other)

    def sent(self, transmit: Transmit) -> None:
        """The transport is done with a send."""
        self.device.sent(transmit)

    # What follows

    def _process(self, now: int) -> None:
        self.target.tick(now)
        while (event := self.device.cm.poll_event()) is not None:
            self._handle_event(event)
        while self.device.poll_async_event() is not None:
            # What they tell of a queue pair, its completions tell as well.
            self.counters.async_events += 1
        for entry in self._cq.poll(BATCH):
            queue = self._by_qp.get(entry.qp_num)
            if queue is None or queue.is_failed:
                continue
            kind, index = entry.wr_id & 3, entry.wr_id >> 2
            if entry.status is not SUCCESS:
                queue.is_failed = True
            elif kind == RECV:
                self.counters.capsules_received += 1
                queue.handle_capsule(index, entry.byte_len)
            elif kind == READ:
                queue.handle_read(index)
            else:
                queue.handle_sent(index)
            if queue.is_failed or (queue.is_closing and queue.can_end):
                self._end(queue, is_lost=queue.is_failed)
        self._post()

    def _post(self) -> None:
        port, by_queue = self.port, self._by_queue
        for command in port.poll_fetches():
            assert isinstance(command, RdmaCommand)
            assert command.queue is not None
            queue = by_queue.get(command.queue)
            if queue is None:
                port.release(command)
            else:
                queue.fetch(command)
        if port.completions:
            self._post_answers(port.poll_completions())
        for core_queue in port.poll_closing():
            queue = by_queue.get(core_queue)
            if queue is not None:
                self._closing(queue)

    def _post_answers(self, answers: list[Command]) -> None:
        # Small data goes before all completion entries: packets of one size in a row leave in one segmented send, and
        # what RC delivers in order is in place before anyone is told of it. Large data fills sends of its own, and its
        # entry follows at once, so that the host works on one answer while the next is under way.
        port, by_queue = self.port, self._by_queue
        ready: list[tuple[RdmaTargetQueue, RdmaCommand]] = []
        for command in answers:
            assert isinstance(command, RdmaCommand)
            assert command.queue is not None
            queue = by_queue.get(command.queue)
            if queue is None:
                port.release(command)
                continue
            if command.send_bytes:
                queue.send_data(command)
            ready.append((queue, command))
            if command.send_bytes > LARGE_BYTES:
                self._post_entries(ready)
                ready.clear()
        self._post_entries(ready)

    def _post_entries(self, ready: list[tuple[RdmaTargetQueue, RdmaCommand]]) -> None:
        last = len(ready) - 1
        for index, (queue, command) in enumerate(ready):
            queue.answer(command, signaled=index == last or ready[index + 1][0] is not queue)
        self.counters.responses_sent += len(ready)

    def _closing(self, queue: RdmaTargetQueue) -> None:
        # A disconnect flushes what was posted, so what is under way is answered first, as long as there is time.
        if queue.can_end or queue.queue.is_overdue:
            self._end(queue)
        else:
            queue.is_closing = True

    def _handle_event(self, event: CmEvent) -> None:
        if event.kind is CmEventType.CONNECT_REQUEST:
            self._handle_request(event)
            return
        queue = self._by_connection.get(event.connection)
        if queue is None:
            return
        if event.kind is CmEventType.ESTABLISHED:
            queue.established()
        elif event.kind in _ENDINGS:
            self._forget(queue)
            self.counters.connections_closed += 1

    def _handle_request(self, event: CmEvent) -> None:
        status = reject_reason(event.private_data, entries_max=QUEUE_ENTRIES_MAX + 1, queues_max=IO_QUEUES_MAX)
        if status is None and not self._has_room_for(event.connection):
            status = RdmaRejectStatus.NO_RESOURCES
        peer = event.connection.peer
        if status is None and (peer is None or not peer.responder_resources):
            # Nothing that is not in a capsule could be written then. A host's ORD of 0 is usual: it never reads.
            status = RdmaRejectStatus.INVALID_IRD
        if status is not None:
            self.counters.connections_rejected += 1
            self.device.cm.reject(event.connection, private_data=RdmaConnectReject(status=status).encode())
            return
        request = RdmaConnectRequest.decode(event.private_data)
        queue = RdmaTargetQueue(
            self.port,
            self._pd,
            self._cq,
            connection=event.connection,
            qid=request.qid,
            entries=request.hsqsize + 1,
            in_capsule_bytes=self.config.in_capsule_bytes,
            pool_lkey=self._mr.lkey,
        )
        self.device.cm.accept(
            event.connection,
            qp=queue.qp,
            parameters=ConnectionParameters(
                qpn=queue.qp.number, responder_resources=QP_READS_MAX, initiator_depth=QP_READS_MAX
            ),
            private_data=RdmaConnectAccept(crqsize=queue.entries).encode(),
        )
        queue.start()
        self._by_connection[event.connection] = queue
        self._by_qp[queue.qp.number] = queue
        self._by_queue[queue.queue] = queue
        self.counters.connections_accepted += 1

    def _has_room_for(self, connection: Connection) -> bool:
        if self._is_draining or len(self._by_connection) >= self.config.queues_max:
            return False
        pending = [each.connection.remote_address for each in self._by_connection.values() if not each.is_connected]
        return (
            len(pending) < self.config.pending_max
            and pending.count(connection.remote_address) < self.config.pending_per_host
        )

    def _end(self, queue: RdmaTargetQueue, *, is_lost: bool = False) -> None:
        self.device.cm.disconnect(queue.connection)
        self._forget(queue)
        if is_lost:
            self.counters.connections_lost += 1
        else:
            self.counters.connections_closed += 1

    def _forget(self, queue: RdmaTargetQueue) -> None:
        if self._by_connection.pop(queue.connection, None) is not None:
            del self._by_qp[queue.qp.number]
            del self._by_queue[queue.queue]
            controller = queue.queue.controller
            queue.stop()
            if self._is_draining and controller is not None and not controller.io_queues:
                assert controller.admin_queue is not None
                controller.admin_queue.ask_to_close()


_ENDINGS = frozenset((CmEventType.DISCONNECTED, CmEventType.REJECTED, CmEventType.UNREACHABLE))

SUCCESS = WcStatus.SUCCESS
BATCH = 8
"""Completions handled between two looks at what can be sent: the first answers are on their way, and the host at work
on them, while the rest of a full queue is still being looked at."""

CQ_DEPTH = 1 << 24
"""More than all queues can complete at once: entries are only kept while they are there."""

SGL_SUPPORT = 1 | 1 << 2 | 1 << 20
"""SGLS of Identify: SGLs, keyed descriptors, offsets inside a capsule."""
LARGE_BYTES = 16384
"""Data beyond this is worth sends of its own."""
