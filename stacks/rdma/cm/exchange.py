"""What owners' commands and peers' messages have in common: to move a connection, to send, to wait, and to report."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Connection, ConnectionTable
from stacks.rdma.cm.events import CmCounters, CmEvent, CmEventType
from stacks.rdma.cm.messages import build_dreq, build_rej
from stacks.rdma.cm.parameters import MTU_CODES
from stacks.rdma.cm.states import AWAITING_ANSWER, UNANSWERED, ConnectionEvent, ConnectionState
from stacks.runtime import DROP, Timers, Verdict
from wire.ibcm import CmMessage, CmRej, CmReq, RejectReason, build_mad, parse_mad


class Exchange:
    """All connections of a manager, their timers, and what waits to be sent or reported.

    A message queued here starts its connection's timer when it is polled, so that commands need no time.
    """

    def __init__(self, *, rng: random.Random, ca_guid: int, config: CmConfig) -> None:
        self.config = config
        self.counters = CmCounters()
        self.table = ConnectionTable()
        self.events: deque[CmEvent] = deque()
        self._rng = rng
        self._timers: Timers[int] = Timers()
        self.outbox: deque[tuple[str, bytes, Callable[[int], None] | None]] = deque()
        self.ca_guid = ca_guid

    def draw(self, bits: int) -> int:
        """A random integer of at most 32 bits."""
        return int(self._rng.random() * (1 << bits))

    def new_connection(self, remote_address: str, service_id: int, *, is_passive: bool) -> Connection:
        """A connection in IDLE under a fresh communication ID; it is not in the table yet."""
        return Connection(
            local_comm_id=self._new_comm_id(),
            remote_address=remote_address,
            service_id=service_id,
            is_passive=is_passive,
        )

    def find(self, source: str, local_comm_id: int, remote_comm_id: int) -> Connection | None:
        """The connection that a message means: the peer must be who it was, and must call it what it did."""
        connection = self.table.by_local_id(local_comm_id)
        if connection is None or connection.remote_address != source:
            return None
        if connection.remote_comm_id and remote_comm_id not in (0, connection.remote_comm_id):
            return None
        return connection

    # Moving

    def move(self, connection: Connection, event: ConnectionEvent, now: int | None = None) -> ConnectionState | Verdict:
        """Apply an event; raises LocalError for a command that the state does not allow.

        now: when TIMEWAIT begins, if that is where it leads; None when a message is sent there, which will tell.
        """
        before = connection.state
        outcome = connection.table.apply(before, event)
        if outcome is DROP:
            self.counters.cm_unexpected += 1
        if isinstance(outcome, Verdict) or outcome is before:
            return outcome
        connection.state = outcome
        connection.attempt = 0
        self._timers.cancel(connection.local_comm_id)
        if connection.backlog is not None and outcome not in UNANSWERED:
            connection.backlog.discard(connection)
        if outcome is ConnectionState.TIMEWAIT and now is not None:
            self._start_timer(connection, now)
        if outcome is ConnectionState.CLOSED:
            self.table.remove(connection)
        return outcome

    def supersede(self, connection: Connection) -> None:
        """End a connection whose peer uses the QP for another."""
        before = connection.state
        match self.move(connection, ConnectionEvent.SUPERSEDED):
            case ConnectionState.DREQ_SENT:
                self.send(connection, build_dreq(connection))
            case ConnectionState.CLOSED:
                self.report(CmEventType.REJECTED, connection, status=RejectReason.STALE_CONNECTION)
            case ConnectionState.TIMEWAIT if before is not ConnectionState.TIMEWAIT:
                self.send(connection, build_rej(connection, RejectReason.STALE_CONNECTION))
                self.report(CmEventType.DISCONNECTED, connection, status=RejectReason.STALE_CONNECTION)

    def ask_for_less(self, connection: Connection) -> None:
        """Ask again with half the path MTU, under another communication ID, for the peer's REJ closed the old one.

        The REJ names no size that would do (IBTA 12.6.7.2), so this goes down step by step. Linux asks once, with what
        its own interface takes.
        """
        assert connection.own is not None, "a REQ was rejected"
        _, request = parse_mad(connection.last_sent)
        assert isinstance(request, CmReq), "only a REQ is rejected before a REP came"
        self._timers.cancel(connection.local_comm_id)
        self.table.remove(connection)
        connection.local_comm_id = connection.transaction_id = self._new_comm_id()
        connection.attempt = 0
        connection.own = replace(connection.own, path_mtu=connection.own.path_mtu // 2)
        self.table.add(connection)
        request.local_comm_id = connection.local_comm_id
        request.path_mtu = MTU_CODES[connection.own.path_mtu]
        self.counters.cm_mtu_lowered += 1
        self.send(connection, request)

    def report(self, kind: CmEventType, connection: Connection, *, status: int = 0, private_data: bytes = b"") -> None:
        """Queue an event for the owner."""
        self.events.append(CmEvent(kind, connection, status, private_data))

    # Sending

    def send(self, connection: Connection, message: CmMessage) -> None:
        """Queue a message of a connection, and keep it for sending again."""
        if isinstance(message, CmRej):
            self.counters.cm_rejects_sent += 1
        connection.last_sent = build_mad(message, connection.transaction_id)
        self._queue(connection)

    def repeat(self, connection: Connection) -> None:
        """Answer a duplicate with what its original was answered with."""
        self.counters.cm_duplicates += 1
        if self.has_room():
            self._queue(connection)

    def answer(self, destination: str, transaction_id: int, message: CmMessage) -> None:
        """Queue a message that belongs to no connection, or does not change it."""
        if not self.has_room():
            return
        if isinstance(message, CmRej):
            self.counters.cm_rejects_sent += 1
        self.outbox.append((destination, build_mad(message, transaction_id), None))

    def poll_mad(self, now: int) -> tuple[str, bytes] | None:
        """The next message to send; the wait for its answer begins."""
        if not self.outbox:
            return None
        destination, mad, on_sent = self.outbox.popleft()
        if on_sent is not None:
            on_sent(now)
        self.counters.cm_sent += 1
        return destination, mad

    def _queue(self, connection: Connection) -> None:
        self.outbox.append((connection.remote_address, connection.last_sent, partial(self._start_timer, connection)))

    def has_room(self) -> bool:
        """Whether a peer may make us say more: not without limit, while the network takes nothing."""
        if len(self.outbox) < _MOST_QUEUED:
            return True
        self.counters.cm_overflow += 1
        return False

    def _new_comm_id(self) -> int:
        comm_id = 0
        while not comm_id or comm_id in self.table:
            comm_id = self.draw(32)
        return comm_id

    # Waiting

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due."""
        return self._timers.next_deadline()

    def wait_longer(self, connection: Connection, pause_ns: int, now: int) -> None:
        """The peer asked for time: begin the retries anew after a pause."""
        connection.attempt = 0
        self._timers.arm(connection.local_comm_id, now + pause_ns + self.config.retry_ns(0))

    def handle_timeout(self, now: int) -> None:
        """Send again, give up, or leave TIMEWAIT, whatever is due at `now`."""
        for local_comm_id in self._timers.expired(now):
            connection = self.table.by_local_id(local_comm_id)
            assert connection is not None, "a timer outlived its connection"
            if connection.state is ConnectionState.TIMEWAIT:
                self.move(connection, ConnectionEvent.TIMEWAIT_OVER)
                self.report(CmEventType.TIMEWAIT_EXIT, connection)
            elif connection.attempt < self.config.max_retries:
                connection.attempt += 1
                self.counters.cm_retries += 1
                self._queue(connection)
            else:
                self._give_up(connection, now)

    def _give_up(self, connection: Connection, now: int) -> None:
        is_release = connection.state is ConnectionState.DREQ_SENT
        farewell = build_rej(connection, RejectReason.TIMEOUT, ari=self.ca_guid.to_bytes(8, "big"))
        self.move(connection, ConnectionEvent.RETRIES_EXHAUSTED, now)
        if not is_release:
            self.send(connection, farewell)
        kind = CmEventType.DISCONNECTED if is_release else CmEventType.UNREACHABLE
        self.report(kind, connection, status=RejectReason.TIMEOUT)

    def _start_timer(self, connection: Connection, now: int) -> None:
        if self._timers.is_armed(connection.local_comm_id):
            return
        if connection.state in AWAITING_ANSWER:
            self._timers.arm(connection.local_comm_id, now + self.config.retry_ns(connection.attempt))
        elif connection.state is ConnectionState.TIMEWAIT:
            self._timers.arm(connection.local_comm_id, now + self.config.time_wait_ns)


_MOST_QUEUED = 1024
