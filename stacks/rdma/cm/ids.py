"""Connections as their owners hold them: events are sorted by the connection that they are about.

    RdmaCm.poll_event -> CmIds.pump -> CmId: established? over, and why?
                                    -> CmListener: requests that wait for an answer

`RdmaCm` reports everything in one queue, for a core that handles it all in one place. This is for callers that wait
for one connection at a time (`stacks.rdma.sync` and `aio`): a `CmId` is what rdma_cm_id is in Linux.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.events import CmEvent, CmEventType
from stacks.rdma.cm.parameters import ConnectionParameters
from stacks.rdma.cm.queue_pair import CmQp
from stacks.rdma.cm.rdma_cm import RdmaCm
from stacks.rdma.cm.states import ConnectionState
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError
from wire.ibcm import RejectReason, service_id


class ConnectionFailed(StackError):  # noqa: N818 (what happened, not an error of the program)
    """A connection did not come about, or is over.

    reason: what the peer's REJ says (`wire.ibcm.RejectReason`), TIMEOUT when nobody answered, 0 when there is none.
    private_data: of the REJ, zero-padded to 148 bytes; empty without one.
    """

    def __init__(self, message: str, *, reason: int = 0, private_data: bytes = b"") -> None:
        super().__init__(message)
        self.reason = reason
        self.private_data = private_data


class CmId:
    """One connection; its owner only reads.

    remote_address: the peer, in numeric text form. port: the one that was asked for.
    private_data: what the peer's REQ or REP carried, zero-padded to 56 or 196 bytes; empty before.
    is_established: it came about; stays so. failure: why there is no connection (any more); None until then.
    """

    __slots__ = ("connection", "failure", "is_established", "port", "private_data", "remote_address")

    def __init__(self, connection: Connection, port: int, private_data: bytes = b"") -> None:
        self.connection = connection
        self.remote_address = connection.remote_address
        self.port = port
        self.private_data = private_data
        self.is_established = False
        self.failure: ConnectionFailed | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it came about or failed."""
        return self.is_established or self.failure is not None

    def check(self) -> None:
        """Raise `ConnectionFailed` when there is no connection (any more)."""
        if self.failure is not None:
            raise self.failure

    def __repr__(self) -> str:
        return f"<CmId {self.remote_address} port {self.port} {self.connection.state.name}>"


class CmListener:
    """A port that is listened on. requests: those that wait for an answer, oldest first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: deque[CmId] = deque()


class CmIds:
    """All connections of a device whose connection manager nobody else polls. A service of a pump (`transports.pump`).

    on_change: called after a pass in which any of them changed.
    """

    def __init__(self, cm: RdmaCm, on_change: Callable[[], None] | None = None) -> None:
        self._cm = cm
        self._on_change = on_change
        self._ids: dict[Connection, CmId] = {}
        self._listeners: dict[int, CmListener] = {}

    def __len__(self) -> int:
        """Connections that are not over."""
        return len(self._ids)

    def pump(self, now: int) -> bool:  # noqa: ARG002 (the connection manager has its own timers)
        """Take what the connection manager reports; True when there was anything."""
        event = self._cm.poll_event()
        if event is None:
            return False
        while event is not None:
            self._take(event)
            event = self._cm.poll_event()
        if self._on_change is not None:
            self._on_change()
        return True

    def connect(
        self,
        host: str,
        port: int,
        *,
        qp: CmQp,
        parameters: ConnectionParameters | None = None,
        private_data: bytes = b"",
    ) -> CmId:
        """Ask for a connection; arguments and errors as of `RdmaCm.connect`, port 0 to 65535."""
        connection = self._cm.connect(host, _service(port), qp=qp, parameters=parameters, private_data=private_data)
        cm_id = self._ids[connection] = CmId(connection, port)
        return cm_id

    def listen(self, port: int, *, backlog: int = 128) -> CmListener:
        """Collect requests for a port; LocalError when it is listened on already."""
        self._cm.listen(_service(port), backlog=backlog)
        listener = self._listeners[_service(port)] = CmListener(port)
        return listener

    def stop_listening(self, listener: CmListener) -> None:
        """Reject what waits and what comes; what was accepted stays. Idempotent."""
        if self._listeners.get(_service(listener.port)) is listener:
            del self._listeners[_service(listener.port)]
            self._cm.stop_listening(_service(listener.port))
            while listener.requests:
                self.disconnect(listener.requests.popleft())

    def accept(
        self, request: CmId, *, qp: CmQp, parameters: ConnectionParameters | None = None, private_data: bytes = b""
    ) -> None:
        """Accept a request; arguments and errors as of `RdmaCm.accept`, ConnectionFailed when it was withdrawn."""
        request.check()
        self._cm.accept(request.connection, qp=qp, parameters=parameters, private_data=private_data)

    def reject(self, request: CmId, *, private_data: bytes = b"") -> None:
        """Refuse a request; private_data: at most 148 bytes."""
        self._cm.reject(request.connection, private_data=private_data)
        self._end(request, f"refused {request.remote_address}")

    def disconnect(self, cm_id: CmId) -> None:
        """End a connection, whatever its state; its queue pair goes to ERR. Idempotent.

        An established one is over when the peer has answered; any other at once.
        """
        if cm_id.connection not in self._ids:
            return
        self._cm.disconnect(cm_id.connection)
        if cm_id.connection.state is not ConnectionState.DREQ_SENT:
            self._end(cm_id, f"the connection to {cm_id.remote_address} was given up")

    def disconnect_all(self) -> None:
        """Stop listening and end every connection."""
        for listener in list(self._listeners.values()):
            self.stop_listening(listener)
        for cm_id in list(self._ids.values()):
            self.disconnect(cm_id)

    def _take(self, event: CmEvent) -> None:
        connection = event.connection
        if event.kind is CmEventType.CONNECT_REQUEST:
            self._take_request(event)
            return
        cm_id = self._ids.get(connection)
        if cm_id is None:
            return  # the end of one that its owner has given up already
        if event.kind is CmEventType.ESTABLISHED:
            cm_id.is_established = True
            if not connection.is_passive:
                cm_id.private_data = event.private_data
        elif event.kind is not CmEventType.TIMEWAIT_EXIT:
            self._end(cm_id, _explain(event, cm_id), reason=event.status, private_data=event.private_data)

    def _take_request(self, event: CmEvent) -> None:
        connection = event.connection
        listener = self._listeners.get(connection.service_id)
        if listener is None:
            # The REQ was taken just before the listener left.
            self._cm.reject(connection, reason=RejectReason.INVALID_SERVICE_ID)
            return
        request = self._ids[connection] = CmId(connection, listener.port, event.private_data)
        listener.requests.append(request)

    def _end(self, cm_id: CmId, message: str, *, reason: int = 0, private_data: bytes = b"") -> None:
        cm_id.failure = ConnectionFailed(message, reason=reason, private_data=private_data)
        self._ids.pop(cm_id.connection, None)
        listener = self._listeners.get(cm_id.connection.service_id)
        if listener is not None and cm_id in listener.requests:
            listener.requests.remove(cm_id)


def _explain(event: CmEvent, cm_id: CmId) -> str:
    host = cm_id.remote_address
    if event.kind is CmEventType.UNREACHABLE:
        return f"no device answers at {host}"
    if event.kind is CmEventType.CONNECT_ERROR:
        return f"the queue pair does not take what {host} agreed to"
    if event.kind is CmEventType.REJECTED:
        if event.status == RejectReason.INVALID_SERVICE_ID:
            return f"nobody listens on port {cm_id.port} of the device at {host}"
        return f"the device at {host} refused port {cm_id.port}: {_reason(event.status)}"
    if event.status:
        return f"the connection to {host} is over: {_reason(event.status)}"
    return f"the connection to {host} was ended"


def _reason(status: int) -> str:
    try:
        name = RejectReason(status).name.lower().replace("_", " ")
    except ValueError:
        name = "unknown"
    return f"{name} (reject reason {status})"


def _service(port: int) -> int:
    if not 0 <= port <= 0xFFFF:
        raise LocalError(f"a port is 0 to 65535, not {port}")
    return service_id(port)
