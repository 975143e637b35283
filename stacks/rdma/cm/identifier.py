"""One identifier: what rdma_cm_id is in librdmacm, with the same calls, events and order of calls.

    RdmaId.connect, listen, ... -> Connected (TCP, IB port spaces) -> RdmaCm ------> MADs
                                -> Datagrams (UDP, IPOIB)          -> SidrServices -> MADs
    EventChannel.poll_event <---- RdmaEvent ----------------------- what they report

The steps of an active side are bind_addr (or not), resolve_addr, resolve_route, connect; those of a passive one
bind_addr, listen, and accept or reject with the identifier of the CONNECT_REQUEST. Each step's outcome is an event of
the channel. Nothing here waits; resolving asks `Routes`, which answers at once, so that its event is there when the
call returns.

DEVIATION: an identifier belongs to a device from the start, which here is one IP address; in Linux bind_addr and
resolve_addr choose the device.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EBUSY, EHOSTUNREACH, ENETUNREACH, ENODEV, EOPNOTSUPP

from stacks.rdma.attributes import QpAttributes
from stacks.rdma.cm.channel import ConnParam, EventChannel, RdmaEvent, UdParam
from stacks.rdma.cm.connected import Connected
from stacks.rdma.cm.datagrams import Datagrams
from stacks.rdma.cm.events import CmEventType
from stacks.rdma.cm.id_states import RDMA_ID_TABLE, RdmaIdState, RdmaIdStep
from stacks.rdma.cm.messages import canonical_address, peer_address
from stacks.rdma.cm.multicast import MulticastGroups
from stacks.rdma.cm.options import IdOptions, OptionLevel
from stacks.rdma.cm.ports import PortBinding
from stacks.rdma.cm.queue_pair import CmQp
from stacks.rdma.cm.rdma_cm import RdmaCm
from stacks.rdma.cm.routes import AnyRoute, Routes
from stacks.rdma.enums import QpState, QpType
from stacks.runtime import LocalError, Verdict
from wire.ibcm import RdmaPortSpace, service_id


class RdmaId:
    """One identifier of a device.

    cm: the device's connection manager. port_space: see `RdmaPortSpace`. qp_type: what kind of queue pair it connects;
    UD for the UDP and IPOIB port spaces, RC for the others. context: whatever its owner wants to find again.
    routes: what is known of the network. is_request: whether a peer asked for it, which nothing refuses.

    qp: the queue pair, once `attach_qp` was called; None leaves moving it to the owner (`init_qp_attr`, `establish`).
    destination, destination_port: the peer, once it is known. unacknowledged: events that were polled and not acked.
    """

    def __init__(
        self,
        channel: EventChannel,
        cm: RdmaCm,
        *,
        port_space: RdmaPortSpace = RdmaPortSpace.TCP,
        qp_type: QpType | None = None,
        context: object = None,
        routes: Routes | None = None,
        is_request: bool = False,
    ) -> None:
        if not is_request:
            cm.admit_id()
        self.channel = channel
        self.cm = cm
        self.port_space = port_space
        self.qp_type = qp_type if qp_type is not None else _default_type(port_space)
        self.context = context
        self.routes = routes or AnyRoute()
        self.options = IdOptions()
        self.state = RdmaIdState.IDLE
        self.qp: CmQp | None = None
        self.destination = ""
        self.destination_port = 0
        self.path_mtu = cm.config.max_path_mtu
        self.unacknowledged = 0
        self._binding: PortBinding | None = None
        self._groups = MulticastGroups(self)
        self.service: Connected | Datagrams = (Datagrams if self.qp_type is QpType.UD else Connected)(self)

    # Addresses

    @property
    def source(self) -> str:
        """Our address, in numeric text form."""
        return self.cm.address

    @property
    def source_port(self) -> int:
        """The port that it is bound to; 0 before."""
        return self._binding.port if self._binding is not None else 0

    def bind_addr(self, address: str = "", port: int = 0) -> None:
        """Bind to a port of the device; 0 for any free one.

        address: the device's, a wildcard (0.0.0.0, ::), or empty for either.
        Raises LocalError for another device's address (EADDRNOTAVAIL) and for a port that is taken (EADDRINUSE).
        """
        self._check_source(address)
        self._apply(RdmaIdStep.BIND, before=lambda: self._bind(port))

    def resolve_addr(self, destination: str, port: int, *, source: str = "") -> None:
        """Find a way to an address, in numeric text form; ADDR_RESOLVED or ADDR_ERROR follows.

        source: as of `bind_addr`, for one that is not bound yet. Raises LocalError for what is no address.
        """
        address = canonical_address(destination)
        if not 0 <= port <= 0xFFFF:
            raise LocalError(f"a port is 0 to 65535, not {port}")
        if self.state is RdmaIdState.IDLE:
            self.bind_addr(source)
        self._apply(RdmaIdStep.RESOLVE_ADDR)
        self.destination, self.destination_port = address, port
        failure = 0
        if (":" in address) != (":" in self.source):
            failure = ENETUNREACH
        elif not self.routes.is_reachable(address):
            failure = EHOSTUNREACH
        self._apply(RdmaIdStep.ADDR_FAILED if failure else RdmaIdStep.ADDR_DONE)
        self.tell(CmEventType.ADDR_ERROR if failure else CmEventType.ADDR_RESOLVED, status=-failure)

    def resolve_route(self) -> None:
        """Find the path MTU to the destination; ROUTE_RESOLVED or ROUTE_ERROR follows."""
        self._apply(RdmaIdStep.RESOLVE_ROUTE)
        path_mtu = self.routes.path_mtu(self.destination)
        if path_mtu is None:
            self._apply(RdmaIdStep.ROUTE_FAILED)
            self.tell(CmEventType.ROUTE_ERROR, status=-ENETUNREACH)
            return
        self.path_mtu = min(path_mtu, self.cm.config.max_path_mtu)
        self._apply(RdmaIdStep.ROUTE_DONE)
        self.tell(CmEventType.ROUTE_RESOLVED)

    def set_option(self, level: int, option: int, value: int) -> None:
        """Set an option (`IdOption`) of level ID; raises LocalError for others, and for values out of range.

        REUSEADDR and AFONLY count for a bind that comes later, TOS and ACK_TIMEOUT for a connect or accept.
        """
        if level != OptionLevel.ID:
            raise LocalError(f"options of level {level} are not supported", errno=EOPNOTSUPP)
        self.options.set(option, value)

    # Queue pairs

    def attach_qp(self, qp: CmQp) -> None:
        """Give it a queue pair in RESET, which it moves from now on: to INIT here, UD to RTS (rdma_create_qp).

        Raises LocalError for another type or state, and when it has one.
        """
        if self.qp is not None:
            raise LocalError("the identifier has a queue pair already")
        if qp.qp_type is not self.qp_type:
            raise LocalError(f"the identifier is for {self.qp_type.name} queue pairs, not {qp.qp_type.name}")
        self.service.ready_qp(qp)
        self.qp = qp

    def init_qp_attr(self, state: QpState) -> QpAttributes:
        """What to write into a queue pair that the owner moves himself, for INIT, RTR or RTS (rdma_init_qp_attr).

        Raises LocalError for another state, and while that is not negotiated yet.
        """
        return self.service.qp_attributes(state)

    # Connections

    def listen(self, backlog: int = 128) -> None:
        """Take requests, `backlog` unanswered ones at most; each is a CONNECT_REQUEST with an identifier of its own."""
        if self.state is RdmaIdState.IDLE:
            self.bind_addr()
        self._apply(RdmaIdStep.LISTEN, before=lambda: self._listen(backlog))

    def connect(self, param: ConnParam | None = None) -> None:
        """Ask for a connection, or for the datagram service.

        ESTABLISHED, REJECTED, UNREACHABLE or CONNECT_ERROR follows; without a queue pair CONNECT_RESPONSE comes in
        place of ESTABLISHED, and waits for `establish`. Raises LocalError for what cannot be sent.
        """
        self._apply(RdmaIdStep.CONNECT, before=lambda: self.service.connect(param or ConnParam()))

    def accept(self, param: ConnParam | None = None) -> None:
        """Accept a CONNECT_REQUEST; ESTABLISHED follows for connections, nothing for datagrams."""
        self._apply(RdmaIdStep.ACCEPT, before=lambda: self.service.accept(param or ConnParam()))

    def reject(self, private_data: bytes = b"", *, reason: int | None = None) -> None:
        """Refuse a CONNECT_REQUEST, or a CONNECT_RESPONSE.

        private_data: at most 148 bytes, 136 for datagrams. reason: a reject reason, CONSUMER when None; a SIDR status
        for datagrams, REJECT when None.
        """
        self._apply(RdmaIdStep.REJECT, before=lambda: self.service.reject(private_data, reason))

    def establish(self) -> None:
        """Answer a CONNECT_RESPONSE, with the queue pair in RTS; no event follows, the connection is established."""
        self._apply(RdmaIdStep.ESTABLISH, before=self.service.establish)

    def notify_established(self) -> None:
        """A message came in on the queue pair that the owner moves himself: as good as an RTU (rdma_notify)."""
        self.service.notify_established()

    def disconnect(self) -> None:
        """End the connection: its queue pair goes to ERR; DISCONNECTED follows when the peer has answered. Idempotent.

        Of a request that was not answered it is the rejection.
        """
        self._apply(RdmaIdStep.DISCONNECT, before=self.service.disconnect)

    # Multicast

    def join_multicast(self, group: str, *, context: object = None) -> None:
        """Join a group, with a UD identifier whose address is bound or resolved.

        MULTICAST_JOIN follows, with the group's address, queue pair number and Q_Key, or MULTICAST_ERROR; context is
        found again in it. Raises LocalError for what is no multicast address of our family.
        """
        address = peer_address(self.source, group)
        self._apply(RdmaIdStep.JOIN_MULTICAST, before=lambda: self._groups.join(address, context))

    def leave_multicast(self, group: str) -> None:
        """Leave a group; LocalError when it was not joined (EADDRNOTAVAIL)."""
        self._groups.leave(canonical_address(group))

    # The end

    def destroy(self) -> None:
        """Give everything back: the connection is ended, the port free, requests that nobody saw refused. Idempotent.

        Raises LocalError (EBUSY) while events are not acknowledged; librdmacm waits for that.
        """
        if self.unacknowledged:
            raise LocalError(f"{self.unacknowledged} events of the identifier are not acknowledged", errno=EBUSY)
        if self.state is RdmaIdState.DESTROYED:
            return
        self._groups.leave_all()
        self.service.close()
        self._apply(RdmaIdStep.DESTROY)
        if self._binding is not None:
            self.cm.ports.release(self._binding)
            self._binding = None
        for request in self.channel.forget(self):
            request.destroy()

    def migrate(self, channel: EventChannel) -> None:
        """Report to another channel from now on; LocalError (EBUSY) while events are not acknowledged."""
        if self.unacknowledged:
            raise LocalError(f"{self.unacknowledged} events of the identifier are not acknowledged", errno=EBUSY)
        channel.take_over(self, self.channel)
        self.channel = channel

    def handle_device_removed(self) -> None:
        """The device went away: whatever it was doing is over, and DEVICE_REMOVAL follows."""
        self.service.close()
        if not isinstance(self._apply(RdmaIdStep.REMOVED), Verdict):
            self.tell(CmEventType.DEVICE_REMOVAL, status=-ENODEV)

    def handle_address_changed(self) -> None:
        """The address is another device's now: ADDR_CHANGE follows."""
        self.tell(CmEventType.ADDR_CHANGE)

    # What its parts call

    def tell(
        self,
        kind: CmEventType,
        *,
        status: int = 0,
        conn: ConnParam | None = None,
        ud: UdParam | None = None,
        context: object = None,
        listen_id: RdmaId | None = None,
    ) -> None:
        """Report an event."""
        self.channel.tell(
            RdmaEvent(kind=kind, id=self, listen_id=listen_id, status=status, conn=conn, ud=ud, context=context)
        )

    def new_request(self, source: str, source_port: int) -> RdmaId:
        """An identifier for a request that came in, from `source_port` of `source`."""
        request = RdmaId(
            self.channel,
            self.cm,
            port_space=self.port_space,
            qp_type=self.qp_type,
            context=self.context,
            routes=self.routes,
            is_request=True,
        )
        request.options.tos, request.options.ack_timeout = self.options.tos, self.options.ack_timeout
        request.destination, request.destination_port = source, source_port
        request._apply(RdmaIdStep.REQUESTED)
        return request

    def end(self) -> None:
        """The connection failed, or is over."""
        self._apply(RdmaIdStep.ENDED)

    def __repr__(self) -> str:
        peer = f" {self.destination} port {self.destination_port}" if self.destination else ""
        return f"<RdmaId {self.port_space.name} {self.state.name}{peer}>"

    def _apply(self, step: RdmaIdStep, *, before: Callable[[], None] | None = None) -> RdmaIdState | Verdict:
        """Make a step, and on the way what it consists of: when that raises, nothing was done."""
        outcome = RDMA_ID_TABLE.apply(self.state, step)
        if isinstance(outcome, Verdict):
            return outcome
        if before is not None:
            before()
        self.state = outcome
        return outcome

    def _bind(self, port: int) -> None:
        self._binding = self.cm.ports.bind(self.port_space, port, is_shared=self.options.reuses_address)

    def _listen(self, backlog: int) -> None:
        assert self._binding is not None, "only a bound identifier listens"
        self.cm.ports.listen(self._binding)
        self.service.listen(service_id(self.source_port, self.port_space), backlog)

    def _check_source(self, address: str) -> None:
        if not address or canonical_address(address) == self.source:
            return
        wildcard = ipaddress.ip_address(address)
        is_dual = wildcard.version == 6 and not self.options.is_family_only
        if not wildcard.is_unspecified or not (is_dual or wildcard.version == (6 if ":" in self.source else 4)):
            raise LocalError(f"{address} is not the address of the device at {self.source}", errno=EADDRNOTAVAIL)


def _default_type(port_space: RdmaPortSpace) -> QpType:
    return QpType.UD if port_space in (RdmaPortSpace.UDP, RdmaPortSpace.IPOIB) else QpType.RC
