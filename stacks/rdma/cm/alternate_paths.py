"""Alternate paths: LAP and APR of an established connection (IBTA 12.6.12, 12.6.13, 12.9.9).

The active side proposes another address of the peer, the passive side's owner loads it or says why not. This is the
agreement alone: our queue pairs have one path, so nothing migrates, and unless `CmConfig.takes_alternate_paths` says
that an owner is there to answer, a LAP is refused as unsupported. Linux drops LAP and APR on RoCE without an answer.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from functools import partial

from stacks.rdma.cm.config import cm_time_ns
from stacks.rdma.cm.connection import AlternateLoad, Connection
from stacks.rdma.cm.exchange import Exchange
from stacks.rdma.cm.messages import build_apr, build_lap, build_mra_to_lap, peer_address
from stacks.rdma.cm.path_states import LOAD_TABLE, LoadState, LoadStep
from stacks.rdma.cm.states import ConnectionState
from stacks.runtime import DROP, LocalError, Timers, Verdict
from wire.ibcm import ApStatus, CmApr, CmLap, CmMessage, CmMra, build_mad, gid_text


class PathEventKind(enum.IntEnum):
    """What is told of an alternate path; ib_cm's events, for which rdma_cm has no names."""

    LOAD_REQUEST = 0
    """The peer proposes a path: answer with accept, refuse, or delay."""
    LOADED = 1
    """The peer has loaded the path that was proposed."""
    REFUSED = 2
    """It has not. status: `wire.ibcm.ApStatus`."""
    TIMED_OUT = 3
    """No answer after all retries."""


@dataclass(frozen=True, slots=True)
class PathEvent:
    """One event. alternate: our address in a LOAD_REQUEST, else the peer's. private_data: LAP 168, APR 148 bytes."""

    kind: PathEventKind
    connection: Connection
    alternate: str = ""
    status: int = 0
    private_data: bytes = b""


class AlternatePaths:
    """The alternate paths of all connections of a manager. Nobody makes one; it is `ConnectionManager.paths`."""

    def __init__(self, exchange: Exchange, address: str) -> None:
        self._exchange = exchange
        self._address = address
        self._timers: Timers[Connection] = Timers()
        self._events: deque[PathEvent] = deque()

    # Commands of the owner

    def load(self, connection: Connection, alternate: str, *, private_data: bytes = b"") -> None:
        """Propose another address of the peer; LOADED, REFUSED or TIMED_OUT follows.

        alternate: IP address in numeric text form. private_data: at most 168 bytes. Raises LocalError on the passive
        side (IBTA 12.9.9), before ESTABLISHED, and while a proposal is open.
        """
        if connection.is_passive or connection.state is not ConnectionState.ESTABLISHED:
            raise LocalError("an alternate path is proposed by the active side of an established connection")
        alternate = peer_address(self._address, alternate)
        message = build_lap(connection, self._address, alternate, private_data, self._exchange.config)
        load = connection.load or AlternateLoad()
        self._move(load, LoadStep.LOAD)
        connection.load = load
        load.alternate, load.transaction_id, load.attempt = alternate, self._exchange.draw(32), 0
        self._send(connection, load, message)

    def accept(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """Answer a LOAD_REQUEST: the path is loaded. private_data: at most 148 bytes."""
        self._answer(connection, ApStatus.LOADED, private_data)

    def refuse(self, connection: Connection, status: int = ApStatus.REJECTED_GID, *, private_data: bytes = b"") -> None:
        """Answer a LOAD_REQUEST: it is not. status: `wire.ibcm.ApStatus`."""
        if not 0 < status <= 0xFF:
            raise LocalError(f"a refusal's status is 1 to 255, not {status}")
        self._answer(connection, status, private_data)

    def delay(self, connection: Connection) -> None:
        """Tell the peer that the answer takes a while (MRA)."""
        load = _proposed(connection)
        self._move(load, LoadStep.DELAY)
        self._send(connection, load, build_mra_to_lap(connection, self._exchange.config))

    def poll_event(self) -> PathEvent | None:
        """The next event, or None."""
        return self._events.popleft() if self._events else None

    # What a peer and the clock do

    def handle_lap(self, source: str, transaction_id: int, message: CmLap) -> None:
        """A LAP came in."""
        connection = self._exchange.find(source, message.remote_comm_id, message.local_comm_id)
        status = self._judge(connection, message)
        if connection is None or status is not None:
            answer = build_apr(message.remote_comm_id, message.local_comm_id, status or ApStatus.INVALID_COMM_ID, b"")
            self._exchange.answer(source, transaction_id, answer)
            return
        load = connection.load = connection.load or AlternateLoad()
        if load.last_sent and load.transaction_id == transaction_id and load.state is LoadState.IDLE:
            self._repeat(connection, load)
            return
        was_silent = load.state is LoadState.LAP_RCVD
        outcome = self._move(load, LoadStep.LAP)
        if outcome is LoadState.LAP_RCVD:
            load.alternate, load.transaction_id = gid_text(message.remote_gid), transaction_id
            self._tell(PathEventKind.LOAD_REQUEST, connection, private_data=message.private_data)
        elif outcome is LoadState.MRA_LAP_SENT and was_silent:
            self._send(connection, load, build_mra_to_lap(connection, self._exchange.config))
        elif outcome is LoadState.MRA_LAP_SENT:
            self._repeat(connection, load)

    def handle_apr(self, source: str, transaction_id: int, message: CmApr) -> None:
        """An APR came in."""
        connection = self._exchange.find(source, message.remote_comm_id, message.local_comm_id)
        load = connection.load if connection is not None else None
        if connection is None or load is None or load.transaction_id != transaction_id:
            self._exchange.counters.cm_unmatched += 1
        elif not isinstance(self._move(load, LoadStep.APR), Verdict):
            self._timers.cancel(connection)
            is_loaded = message.ap_status == ApStatus.LOADED
            connection.alternate_address = load.alternate if is_loaded else connection.alternate_address
            kind = PathEventKind.LOADED if is_loaded else PathEventKind.REFUSED
            self._tell(kind, connection, status=message.ap_status, private_data=message.private_data)

    def handle_mra(self, connection: Connection, message: CmMra, now: int) -> None:
        """An MRA about a LAP came in."""
        load = connection.load
        if load is None or isinstance(self._move(load, LoadStep.MRA), Verdict):
            return
        config = self._exchange.config
        pause_ns = min(cm_time_ns(message.service_timeout), config.longest_service_timeout_ns)
        load.attempt = 0
        self._timers.arm(connection, now + pause_ns + config.retry_ns(0))

    def handle_timeout(self, now: int) -> None:
        """Propose again, or give up, whatever is due at `now`."""
        for connection in self._timers.expired(now):
            load = connection.load
            if load is None or connection.state is not ConnectionState.ESTABLISHED:
                continue
            if load.attempt < self._exchange.config.max_retries:
                load.attempt += 1
                self._exchange.counters.cm_retries += 1
                self._queue(connection, load)
            else:
                self._move(load, LoadStep.RETRIES_EXHAUSTED)
                self._tell(PathEventKind.TIMED_OUT, connection)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due."""
        return self._timers.next_deadline()

    def _judge(self, connection: Connection | None, message: CmLap) -> ApStatus | None:
        """Why a LAP is refused at once; None when it is its owner's to decide."""
        if connection is None or not connection.is_passive or connection.state is not ConnectionState.ESTABLISHED:
            return ApStatus.INVALID_COMM_ID
        if not self._exchange.config.takes_alternate_paths:
            return ApStatus.UNSUPPORTED
        if connection.own is None or message.remote_qpn != connection.own.qpn:
            return ApStatus.QPN_MISMATCH
        if gid_text(message.remote_gid) == self._address:
            return ApStatus.IS_PRIMARY_PATH
        return None

    def _answer(self, connection: Connection, status: int, private_data: bytes) -> None:
        load = _proposed(connection)
        message = build_apr(connection.local_comm_id, connection.remote_comm_id, status, private_data)
        self._move(load, LoadStep.ANSWER)
        if status == ApStatus.LOADED:
            connection.alternate_address = load.alternate
        self._send(connection, load, message)

    def _move(self, load: AlternateLoad, step: LoadStep) -> LoadState | Verdict:
        outcome = LOAD_TABLE.apply(load.state, step)
        if outcome is DROP:
            self._exchange.counters.cm_unexpected += 1
        if not isinstance(outcome, Verdict):
            load.state = outcome
        return outcome

    def _tell(
        self, kind: PathEventKind, connection: Connection, *, status: int = 0, private_data: bytes = b""
    ) -> None:
        assert connection.load is not None, "nothing is told of what was never proposed"
        self._events.append(PathEvent(kind, connection, connection.load.alternate, status, private_data))

    def _send(self, connection: Connection, load: AlternateLoad, message: CmMessage) -> None:
        load.last_sent = build_mad(message, load.transaction_id)
        self._queue(connection, load)

    def _repeat(self, connection: Connection, load: AlternateLoad) -> None:
        self._exchange.counters.cm_duplicates += 1
        if self._exchange.has_room():
            self._queue(connection, load)

    def _queue(self, connection: Connection, load: AlternateLoad) -> None:
        self._exchange.outbox.append(
            (connection.remote_address, load.last_sent, partial(self._start_timer, connection, load))
        )

    def _start_timer(self, connection: Connection, load: AlternateLoad, now: int) -> None:
        if load.state in (LoadState.LAP_SENT, LoadState.MRA_LAP_RCVD):
            self._timers.arm(connection, now + self._exchange.config.retry_ns(load.attempt))


def _proposed(connection: Connection) -> AlternateLoad:
    if connection.load is None:
        raise LocalError("no alternate path was proposed")
    return connection.load
