"""The connection manager with queue pairs: what rdma_cm is to ib_cm in Linux.

The owner passes queue pairs instead of parameters, and never modifies them itself. A queue pair in RESET is taken to
INIT; it must be in INIT if receives are to be posted before the connection is asked for. As IBTA 12.9.7 has it,
the passive side is in RTR when its REP leaves and in RTS with the RTU or the first packet, whichever comes first;
the active side is in RTS when its RTU leaves. Without a queue pair it is a `ConnectionManager`, no less.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from stacks.rdma.attributes import QpAttributes
from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.events import CmEvent, CmEventType
from stacks.rdma.cm.manager import ConnectionManager
from stacks.rdma.cm.parameters import ConnectionParameters
from stacks.rdma.cm.queue_pair import CmQp, rtr_attributes, rts_attributes, to_init
from stacks.rdma.cm.states import ConnectionState
from stacks.rdma.enums import QpState
from stacks.runtime import LocalError
from wire.ibcm import RejectReason


class RdmaCm(ConnectionManager):
    """The connection manager of one device, for owners of queue pairs.

    address: the device's IP address in numeric text form. rng: see `ConnectionManager`.
    """

    def __init__(self, address: str, *, rng: random.Random, config: CmConfig | None = None) -> None:
        super().__init__(address, rng=rng, config=config)
        self.admit_id: Callable[[], None] = lambda: None
        """Called before a program gets an identifier; may raise LocalError."""
        self._qps: dict[Connection, CmQp] = {}
        self._replies: dict[Connection, bytes] = {}
        self._told: deque[CmEvent] = deque()

    def qp(self, connection: Connection) -> CmQp | None:
        """The queue pair of a connection; None before accept and after its end."""
        return self._qps.get(connection)

    def connect(
        self,
        destination: str,
        service_id: int,
        *,
        parameters: ConnectionParameters | None = None,
        private_data: bytes = b"",
        source_port: int | None = None,
        qp: CmQp | None = None,
    ) -> Connection:
        """Connect a queue pair in RESET or INIT; ESTABLISHED, REJECTED, UNREACHABLE or CONNECT_ERROR follows.

        parameters: the defaults, with the largest path MTU, when None. Otherwise as `ConnectionManager.connect`.
        """
        if qp is not None:
            to_init(qp)
        connection = super().connect(
            destination,
            service_id,
            parameters=parameters or self._default_parameters(qp),
            private_data=private_data,
            source_port=source_port,
        )
        if qp is not None:
            self._qps[connection] = qp
        return connection

    def accept(
        self,
        connection: Connection,
        *,
        parameters: ConnectionParameters | None = None,
        private_data: bytes = b"",
        qp: CmQp | None = None,
    ) -> None:
        """Accept a CONNECT_REQUEST with a queue pair in RESET or INIT; ESTABLISHED follows.

        parameters: the defaults, with the largest path MTU, when None. Raises LocalError as
        `ConnectionManager.accept` does, or when the queue pair does not take what was agreed.
        """
        if qp is not None:
            to_init(qp)
        super().accept(connection, parameters=parameters or self._default_parameters(qp), private_data=private_data)
        if qp is None or connection.state is not ConnectionState.REP_SENT:
            return
        self._qps[connection] = qp
        # In time: the REP does not leave before poll_mad.
        try:
            self._to_rtr(qp, connection)
        except LocalError:
            self.disconnect(connection)
            raise
        number = qp.number
        qp.on_established = lambda _: self.handle_communication_established(number)

    def disconnect(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """End a connection, whatever its state: its queue pair goes to ERR and flushes at once; idempotent.

        See `ConnectionManager.disconnect` for what is reported.
        """
        super().disconnect(connection, private_data=private_data)
        self._release(connection)

    def poll_event(self) -> CmEvent | None:
        """The next event, or None. By then the queue pair is where the event says."""
        return self._told.popleft() if self._told else None

    # Events move queue pairs, whether or not the owner looks

    def _settle(self) -> None:
        while (event := super().poll_event()) is not None:
            connection = event.connection
            if connection in self._qps:
                told = self._move_qp(event)
                if told is None:
                    continue
                event = told
            if connection.on_event is not None:
                connection.on_event(event)
            else:
                self._told.append(event)

    def _move_qp(self, event: CmEvent) -> CmEvent | None:
        connection = event.connection
        if event.kind is CmEventType.CONNECT_RESPONSE:
            return self._finish_active(event)
        if event.kind is CmEventType.ESTABLISHED and connection.is_passive:
            self._finish_passive(connection)
        elif event.kind is CmEventType.ESTABLISHED:
            return replace(event, private_data=self._replies.pop(connection))
        elif event.kind in _ENDINGS:
            self._release(connection)
        return event

    def _finish_passive(self, connection: Connection) -> None:
        qp = self._qps[connection]
        qp.on_established = None
        # One that failed meanwhile stays in ERR, and its owner sees that in its completions.
        if qp.state is QpState.RTR:
            qp.modify(rts_attributes(qp.qp_type, connection.settings))

    def _finish_active(self, event: CmEvent) -> CmEvent | None:
        """The peer's REP is in: ready the queue pair and send RTU; its private data comes with ESTABLISHED."""
        connection = event.connection
        qp = self._qps[connection]
        try:
            self._to_rtr(qp, connection)
            qp.modify(rts_attributes(qp.qp_type, connection.settings))
        except LocalError:
            self.reject(connection)
            self._release(connection)
            return CmEvent(CmEventType.CONNECT_ERROR, connection, RejectReason.CONSUMER)
        self._replies[connection] = event.private_data
        self.establish(connection)
        return None

    def _default_parameters(self, qp: CmQp | None) -> ConnectionParameters:
        if qp is None:
            raise LocalError("without a queue pair, its parameters have to be given")
        return ConnectionParameters(qpn=qp.number, qp_type=qp.qp_type, path_mtu=self.config.max_path_mtu)

    def _to_rtr(self, qp: CmQp, connection: Connection) -> None:
        qp.modify(rtr_attributes(qp.qp_type, connection.settings, min_rnr_timer=self.config.min_rnr_timer))

    def _release(self, connection: Connection) -> None:
        qp = self._qps.pop(connection, None)
        if qp is not None and qp.state is not QpState.RESET:
            qp.on_established = None
            qp.modify(QpAttributes(state=QpState.ERR))


_ENDINGS = frozenset({CmEventType.REJECTED, CmEventType.UNREACHABLE, CmEventType.DISCONNECTED})
