"""A target's TCP port: an endpoint that answers whoever connects.

    driver -> TcpTarget -> TcpTargetConnection -> core Queue -> store requests
                                              <- answers <- completions <-

Many hosts and connections share one pool of staging buffers. Store requests leave through `target`, whose executor is
a service of the same driver.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stacks.nvme.bindings.tcp.errors import PduError
from stacks.nvme.bindings.tcp.parameters import NVME_TCP_PORT, TERMINATE_TIMEOUT_NS
from stacks.nvme.bindings.tcp.patience import Patience
from stacks.nvme.bindings.tcp.served import ServedCommand, ServedConnection
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig, TcpTargetCounters
from stacks.nvme.bindings.tcp.target_connection import TcpTargetConnection
from stacks.nvme.buffers import BufferPool, anonymous_memory, pool_bytes
from stacks.nvme.target import PortAddress, Target
from stacks.nvme.target.queue import Queue
from transports.datagram import Address
from transports.stream import StreamCore
from wire.nvme.kinds import TcpFatalStatus, TransportType


class TcpTarget:
    """A `StreamEndpoint` that serves `target`.

    host, port: where it listens, for the discovery log; portid, serves: see `Target.add_port`. transport: over what,
    where bindings on others have their connections carried as these are.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int = NVME_TCP_PORT,
        *,
        portid: int = 0,
        serves: Collection[str] | None = None,
        config: TcpTargetConfig | None = None,
        transport: TransportType = TransportType.TCP,
    ) -> None:
        self.target = target
        self.config = config or TcpTargetConfig()
        self.counters = TcpTargetCounters()
        pool = BufferPool(memoryview(anonymous_memory(pool_bytes(self.config.shelves))), shelves=self.config.shelves)
        self.port = target.add_port(
            pool,
            portid=portid,
            address=PortAddress(transport, host, port),
            serves=serves,
            in_capsule_bytes=self.config.in_capsule_bytes,
            sgl_support=SGL_SUPPORT,
        )
        self.now = 0
        """The time of the present pass."""
        self.last_termination = ""
        """Why the last connection was ended by us, for a person."""
        self._patience = Patience(patience_ns=self.config.patience_ns, pressed_ns=self.config.pressed_ns)
        self.hands_over = False
        """Whether connections are handed over once their Connect is answered (`poll_departures`)."""
        self._connections: dict[ServedConnection, None] = {}
        self._by_queue: dict[Queue, ServedConnection] = {}
        self._active: dict[StreamCore, None] = {}
        self._closing: dict[ServedConnection, None] = {}
        """To be ended once what is under way is answered."""
        self._ending: dict[ServedConnection, None] = {}
        """Told to the host, which has yet to close."""
        self._departing: dict[TcpTargetConnection, None] = {}
        self._is_draining = False

    @property
    def queue_count(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def drain(self) -> None:
        """Take no more connections and commands, and end each connection once everything under way is answered.

        What a store has not finished after two seconds is given up.
        """
        if not self._is_draining:
            self._is_draining = True
            for queue in list(self._by_queue):
                # With an admin queue its controller ends, so that comes after the I/O queues.
                if queue.controller is None or queue.qid or not queue.controller.io_queues:
                    queue.ask_to_close()

    @property
    def is_drained(self) -> bool:
        """Whether `drain` has ended every connection."""
        return self._is_draining and not self._connections and not self._ending

    # The endpoint's verbs

    def tick(self, now: int) -> None:
        """Note the time, for the target and for what hosts owe."""
        self.now = now
        self.target.tick(now)

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        """None: a target does not connect."""
        return ()

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:
        """A host connected; None when there are too many without Connect, or in all."""
        self.tick(now)
        if self._is_draining or not self._has_room_for(remote):
            self.counters.connections_rejected += 1
            return None
        queue = self.port.open_queue(local_host=local[0], remote=remote[0])
        connection = TcpTargetConnection(self, remote, queue)
        self.add(connection)
        self.counters.connections_accepted += 1
        return connection

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        """Give the answers to their connections; the connections that have something to say, or end."""
        self.tick(now)
        port, active = self.port, self._active
        if port.fetches:
            self._fetch()
        if port.completions:
            self._answer()
        if port.closing or self._closing:
            self._close(now)
        if not active:
            return ()
        ready = list(active)
        active.clear()
        return ready

    def handle_timeout(self, now: int) -> None:
        """Timers of the target, of hosts that owe something, and of connections that are being ended."""
        self.now = now
        self.target.handle_timeout(now)
        for connection in list(self._ending):
            if connection.deadline_ns is not None and connection.deadline_ns <= now:
                connection.give_up()
                self.ended(connection, "")
        for connection in self._patience.overdue(now, self._is_pressed):
            self.counters.connections_stalled += 1
            self.last_termination = "a host did not take its answers, or did not go on with what it sent"
            connection.give_up()
            self.ended(connection, self.last_termination)

    def poll_deadline(self) -> int | None:
        """The earliest of all; at once for what came up at the end of a pass, as when sent memory came back."""
        if self._active or self.port.fetches or self.port.completions or self.target.store_requests:
            return self.now
        deadline, look_ns = self.target.poll_deadline(), self._patience.next_look_ns
        if look_ns is None and not self._ending and not self._closing and not self._departing:
            return deadline
        deadlines = [deadline, look_ns, *(connection.deadline_ns for connection in self._ending)]
        if self._departing or any(connection.can_end for connection in self._closing):
            # Its last answer went out at the end of a pass.
            deadlines.append(self.now)
        return min((due for due in deadlines if due is not None), default=None)

    # What connections tell

    def touched(self, core: StreamCore) -> None:
        """It has something to send."""
        self._active[core] = None

    def owed(self, connection: ServedConnection) -> None:
        """Its host has to take what is there, or to send data."""
        self._patience.watch(connection, self.now)

    def terminated(self, connection: TcpTargetConnection, error: PduError) -> None:
        """It sent a TermReq, and waits for the host to close."""
        self.counters.terminations_sent += 1
        self.counters.header_digest_errors += error.code == TcpFatalStatus.HEADER_DIGEST_ERROR
        self.last_termination = str(error)
        self._active[connection] = None
        self.stopped(connection)

    def stopped(self, connection: ServedConnection) -> None:
        """It takes no more commands, and its end is to come."""
        if connection in self._connections:
            self._forget(connection)
            self._ending[connection] = None

    def ended(self, connection: ServedConnection, failure: str) -> None:
        """It is over; failure: why, if it was lost. Told again, it is over already."""
        if connection not in self._connections and connection not in self._ending:
            return
        if failure:
            self.counters.connections_lost += 1
        else:
            self.counters.connections_closed += 1
        self._active[connection.core] = None
        self._forget(connection)
        self._ending.pop(connection, None)
        connection.drop()

    # Connections that are handed over, or were

    def add(self, connection: ServedConnection) -> None:
        """It is one of this port's."""
        self._connections[connection] = None
        self._by_queue[connection.queue] = connection

    def settled(self, connection: TcpTargetConnection) -> None:
        """Its Connect is answered, and the host has the answer; it is not read on."""
        if connection in self._connections:
            self._departing[connection] = None

    def poll_departures(self) -> Sequence[TcpTargetConnection]:
        """Connections to hand over to another process, since the last call."""
        departing = [each for each in self._departing if each in self._connections]
        self._departing.clear()
        for connection in departing:
            if connection.queue.is_stopped:
                # Its controller or its end came between, and that is for the owner to see through.
                connection.stay()
        return [each for each in departing if not each.queue.is_stopped]

    def replace(self, connection: TcpTargetConnection, successor: ServedConnection) -> None:
        """A connection was handed over: `successor` stands for it from now on."""
        for table in (self._connections, self._closing, self._active):
            table.pop(connection, None)
        self._patience.forget(connection)
        self.add(successor)

    # What follows

    def _fetch(self) -> None:
        for command in self.port.poll_fetches():
            assert isinstance(command, ServedCommand)
            connection = command.connection
            if connection.is_gone:
                self.port.release(command)
            else:
                connection.fetch(command)
                self._active[connection.core] = None
                self.owed(connection)

    def _answer(self) -> None:
        active, answers = self._active, self.port.poll_completions()
        connection: ServedConnection | None = None
        late = 0
        for command in answers:
            assert isinstance(command, ServedCommand)
            if command.connection is not connection:
                connection = command.connection
                active[connection.core] = None
            if connection.is_gone:
                self.port.release(command)
                late += 1
            else:
                connection.answer(command)
        self.counters.responses_sent += len(answers) - late

    def _close(self, now: int) -> None:
        for queue in self.port.poll_closing():
            connection = self._by_queue.get(queue)
            if connection is not None:
                self._closing[connection] = None
        for connection in list(self._closing):
            if connection.can_end or connection.queue.is_overdue:
                self._end_in_order(connection, now)

    def _end_in_order(self, connection: ServedConnection, now: int) -> None:
        self._forget(connection)
        connection.finish(now + TERMINATE_TIMEOUT_NS)
        self._ending[connection] = None
        self._active[connection.core] = None

    def _is_pressed(self, connection: ServedConnection) -> bool:
        return self.port.waiting.is_behind(connection.queue)

    def _forget(self, connection: ServedConnection) -> None:
        self._closing.pop(connection, None)
        self._patience.forget(connection)
        if connection not in self._connections:
            return
        del self._connections[connection]
        del self._by_queue[connection.queue]
        controller = connection.queue.controller
        connection.stop()
        if self._is_draining and controller is not None and not controller.io_queues:
            assert controller.admin_queue is not None
            controller.admin_queue.ask_to_close()

    def _has_room_for(self, remote: Address) -> bool:
        config, host = self.config, remote[0]
        if len(self._connections) >= config.connections_max:
            return False
        if sum(each.remote[0] == host for each in self._connections) >= config.connections_per_host:
            return False
        pending = [each.remote[0] for each in self._connections if not each.is_connected]
        return len(pending) < config.pending_max and pending.count(host) < config.pending_per_host


SGL_SUPPORT = 1 | 1 << 20 | 1 << 21
"""SGLS of Identify: SGLs, offsets inside a capsule, transport data blocks."""
