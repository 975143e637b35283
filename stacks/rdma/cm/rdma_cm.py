"""The connection manager with queue pairs: what rdma_cm is to ib_cm in Linux.

The owner passes queue pairs instead of parameters, and never modifies them itself. A queue pair in RESET is taken to
INIT; it must be in INIT if receives are to be posted before the connection is asked for. As IBTA 12.9.7 has it,
the passive side is in RTR when its REP leaves and in RTS with the RTU or the first packet, whichever comes first;
the active side is in RTS when its RTU leaves.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sized
from dataclasses import replace
from typing import Protocol, Self

from stacks.rdma.attributes import AddressVector, QpAttributes
from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.events import CmCounters, CmEvent, CmEventType
from stacks.rdma.cm.manager import ConnectionManager
from stacks.rdma.cm.parameters import ConnectionParameters
from stacks.rdma.cm.states import ConnectionState
from stacks.rdma.enums import Access, QpState
from stacks.runtime import LocalError
from wire.ibcm import RejectReason


class CmQp(Protocol):
    """What the connection manager needs of a queue pair."""

    number: int
    state: QpState
    on_established: Callable[[Self], None] | None

    def modify(self, attributes: QpAttributes) -> None:
        """Change attributes and state; raises LocalError."""


class RdmaCm:
    """The connection manager of one device, for owners of queue pairs.

    address: the device's IP address in numeric text form. rng: see `ConnectionManager`.
    """

    def __init__(self, address: str, *, rng: random.Random, config: CmConfig | None = None) -> None:
        self._config = config or CmConfig()
        self._manager = ConnectionManager(address, rng=rng, config=self._config)
        self._qps: dict[Connection, CmQp] = {}
        self._replies: dict[Connection, bytes] = {}
        self._events: deque[CmEvent] = deque()

    @property
    def counters(self) -> CmCounters:
        """See `CmCounters`."""
        return self._manager.counters

    def qp(self, connection: Connection) -> CmQp | None:
        """The queue pair of a connection; None before accept and after its end."""
        return self._qps.get(connection)

    # Commands of the owner

    def listen(self, service_id: int, *, backlog: int = 128) -> None:
        """Report requests for a service; see `ConnectionManager.listen`."""
        self._manager.listen(service_id, backlog=backlog)

    def stop_listening(self, service_id: int) -> None:
        """Reject further requests; see `ConnectionManager.stop_listening`."""
        self._manager.stop_listening(service_id)

    def connect(
        self,
        destination: str,
        service_id: int,
        *,
        qp: CmQp,
        parameters: ConnectionParameters | None = None,
        private_data: bytes = b"",
    ) -> Connection:
        """Connect a queue pair in RESET or INIT; ESTABLISHED, REJECTED, UNREACHABLE or CONNECT_ERROR follows.

        parameters: the defaults, with the largest path MTU, when None. Otherwise as `ConnectionManager.connect`.
        """
        to_init(qp)
        connection = self._manager.connect(
            destination,
            service_id,
            parameters=parameters or self._default_parameters(qp),
            private_data=private_data,
        )
        self._qps[connection] = qp
        return connection

    def accept(
        self,
        connection: Connection,
        *,
        qp: CmQp,
        parameters: ConnectionParameters | None = None,
        private_data: bytes = b"",
    ) -> None:
        """Accept a CONNECT_REQUEST with a queue pair in RESET or INIT; ESTABLISHED follows.

        parameters: the defaults, with the largest path MTU, when None. Raises LocalError as
        `ConnectionManager.accept` does, or when the queue pair does not take what was agreed.
        """
        to_init(qp)
        self._manager.accept(
            connection,
            parameters=parameters or self._default_parameters(qp),
            private_data=private_data,
        )
        if connection.state is not ConnectionState.REP_SENT:
            return
        self._qps[connection] = qp
        # In time: the REP does not leave before poll_mad.
        self._to_rtr(qp, connection)
        qp.on_established = lambda _: self.handle_communication_established(qp.number)

    def reject(
        self,
        connection: Connection,
        *,
        reason: int = RejectReason.CONSUMER,
        private_data: bytes = b"",
        ari: bytes = b"",
    ) -> None:
        """Reject a CONNECT_REQUEST; see `ConnectionManager.reject`."""
        self._manager.reject(connection, reason=reason, private_data=private_data, ari=ari)

    def delay(self, connection: Connection) -> None:
        """Tell the peer that the answer takes a while; see `ConnectionManager.delay`."""
        self._manager.delay(connection)

    def disconnect(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """End a connection, whatever its state: its queue pair goes to ERR and flushes at once; idempotent.

        See `ConnectionManager.disconnect` for what is reported.
        """
        self._manager.disconnect(connection, private_data=private_data)
        self._release(connection)

    # What the device calls

    def handle_mad(self, source: str, mad: memoryview, now: int) -> None:
        """See `ConnectionManager.handle_mad`."""
        self._manager.handle_mad(source, mad, now)
        self._take_events()

    def handle_communication_established(self, qpn: int) -> None:
        """See `ConnectionManager.handle_communication_established`; queue pairs in RTR call it themselves."""
        self._manager.handle_communication_established(qpn)
        self._take_events()

    def handle_timeout(self, now: int) -> None:
        """See `ConnectionManager.handle_timeout`."""
        self._manager.handle_timeout(now)
        self._take_events()

    @property
    def outbox(self) -> Sized:
        """See `ConnectionManager.outbox`."""
        return self._manager.outbox

    def poll_mad(self, now: int) -> tuple[str, bytes] | None:
        """See `ConnectionManager.poll_mad`."""
        return self._manager.poll_mad(now)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due; None for never."""
        return self._manager.poll_deadline()

    def poll_event(self) -> CmEvent | None:
        """The next event, or None. By then the queue pair is where the event says."""
        return self._events.popleft() if self._events else None

    # Events move queue pairs, whether or not the owner looks

    def _take_events(self) -> None:
        while (event := self._manager.poll_event()) is not None:
            if event.kind is CmEventType.CONNECT_RESPONSE:
                self._finish_active(event)
                continue
            if event.kind is CmEventType.ESTABLISHED and event.connection.is_passive:
                self._finish_passive(event.connection)
            elif event.kind is CmEventType.ESTABLISHED:
                event = replace(event, private_data=self._replies.pop(event.connection))
            elif event.kind in _ENDINGS:
                self._release(event.connection)
            self._events.append(event)

    def _finish_passive(self, connection: Connection) -> None:
        qp = self._qps[connection]
        qp.on_established = None
        # One that failed meanwhile stays in ERR, and its owner sees that in its completions.
        if qp.state is QpState.RTR:
            self._to_rts(qp, connection)

    def _finish_active(self, event: CmEvent) -> None:
        """The peer's REP is in: ready the queue pair and send RTU; its private data comes with ESTABLISHED."""
        connection = event.connection
        qp = self._qps[connection]
        try:
            self._to_rtr(qp, connection)
            self._to_rts(qp, connection)
        except LocalError:
            self._manager.reject(connection)
            self._release(connection)
            self._events.append(CmEvent(CmEventType.CONNECT_ERROR, connection, RejectReason.CONSUMER))
            return
        self._replies[connection] = event.private_data
        self._manager.establish(connection)

    def _default_parameters(self, qp: CmQp) -> ConnectionParameters:
        return ConnectionParameters(qpn=qp.number, path_mtu=self._config.max_path_mtu)

    def _to_rtr(self, qp: CmQp, connection: Connection) -> None:
        settings = connection.settings
        qp.modify(
            QpAttributes(
                state=QpState.RTR,
                av=AddressVector(destination=settings.destination),
                path_mtu=settings.path_mtu,
                dest_qpn=settings.dest_qpn,
                rq_psn=settings.rq_psn,
                max_dest_rd_atomic=settings.max_dest_rd_atomic,
                min_rnr_timer=self._config.min_rnr_timer,
            )
        )

    def _to_rts(self, qp: CmQp, connection: Connection) -> None:
        settings = connection.settings
        qp.modify(
            QpAttributes(
                state=QpState.RTS,
                timeout=settings.timeout,
                retry_cnt=settings.retry_cnt,
                rnr_retry=settings.rnr_retry,
                sq_psn=settings.sq_psn,
                max_qp_rd_atomic=settings.max_rd_atomic,
            )
        )

    def _release(self, connection: Connection) -> None:
        qp = self._qps.pop(connection, None)
        if qp is not None and qp.state is not QpState.RESET:
            qp.on_established = None
            qp.modify(QpAttributes(state=QpState.ERR))


def to_init(qp: CmQp) -> None:
    """Take a queue pair in RESET to INIT, open to whatever its regions allow; LocalError in another state but INIT."""
    if qp.state is QpState.RESET:
        qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=_INIT_ACCESS))
    elif qp.state is not QpState.INIT:
        raise LocalError(f"QP {qp.number} is in {qp.state.name}: only one in RESET or INIT can be connected")


# What a peer may do is up to the regions: the queue pair allows everything, as ib_cm_init_qp_attr has it.
_INIT_ACCESS = Access.LOCAL_WRITE | Access.REMOTE_ANY

_ENDINGS = frozenset({CmEventType.REJECTED, CmEventType.UNREACHABLE, CmEventType.DISCONNECTED})
