"""Identifiers of the connection manager, as librdmacm has them (rdma_cm_id).

    CMID(CMEventChannel())  asynchronous: each step's outcome is an event, `CMEvent(channel)` sleeps for the next
    CMID(AddrInfo(...))     synchronous: each call sleeps until it is done (rdma_create_ep)

An identifier gets its device with `bind_addr` or `resolve_addr`: that of the address it comes from. Whoever connects to
an address of this machine without saying from where gets a loopback address that is free.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from stacks.rdma.cm import RdmaId
from stacks.rdma.cm.events import CmEventType
from stacks.rdma.enums import QpState, QpType
from stacks.rdma.verbs.cm_events import CMEvent, CMEventChannel
from stacks.rdma.verbs.cm_parameters import AddrInfo, ConnParam, JoinMCAttrEx
from stacks.rdma.verbs.cm_work import CmWork
from stacks.rdma.verbs.cq import CQ
from stacks.rdma.verbs.device import Context
from stacks.rdma.verbs.errors import PyverbsRDMAError, PyverbsUserError, failing_with, unsupported
from stacks.rdma.verbs.pd import PD
from stacks.rdma.verbs.qp import ECE, QP
from stacks.rdma.verbs.qp_attributes import QPAttr, QPCap, QPInitAttr
from wire.ibcm import RdmaPortSpace


class CMID(CmWork):
    """An identifier.

    creator: a channel; addresses, for a synchronous one; or the event of a request, with `listen_id` who listens.
    qp_init_attr: of the queue pair that a synchronous one makes. pd: its domain, one of its own when None.
    """

    def __init__(
        self,
        creator: CMEventChannel | AddrInfo | CMEvent,
        qp_init_attr: QPInitAttr | None = None,
        pd: PD | None = None,
        port_space: int = RdmaPortSpace.TCP,
        listen_id: CMID | None = None,
        channel: CMEventChannel | None = None,
    ) -> None:
        self._is_synchronous = isinstance(creator, AddrInfo)
        self.event_channel = _channel(creator, channel)
        super().__init__(self.event_channel.host)
        self.event_channel.adopt(self)
        self.port_space = RdmaPortSpace(port_space)
        self._qp_init_attr = qp_init_attr
        self._core: RdmaId | None = None
        self._context: Context | None = None
        self._pd = pd
        self.qp: QP | None = None
        if isinstance(creator, AddrInfo):
            self._start(creator)
        elif isinstance(creator, CMEvent):
            self._take_request(creator.core.id, listen_id)

    # What it has

    @property
    def core(self) -> RdmaId:
        """The core's; only from `bind_addr` or `resolve_addr` on."""
        if self._core is None:
            raise PyverbsRDMAError("the identifier has no device yet: bind_addr or resolve_addr", errno.EINVAL)
        return self._core

    @property
    def context(self) -> Context:
        """The device that it came to."""
        if self._context is None:
            raise PyverbsRDMAError("the identifier has no device yet: bind_addr or resolve_addr", errno.EINVAL)
        return self._context

    @property
    def pd(self) -> PD:
        """The domain of its queue pair and regions."""
        if self._pd is None:
            self._pd = PD(self.context)
        return self._pd

    @property
    def dev_name(self) -> str:
        """The device's name."""
        return self.context.name

    @property
    def port_num(self) -> int:
        """1, the only port."""
        return 1

    @property
    def qpn(self) -> int:
        """The number of its queue pair; 0 without one."""
        return 0 if self.qp is None else self.qp.qp_num

    # Addresses

    def bind_addr(self, lai: AddrInfo) -> None:
        """Bind to a source address and port, whose device it gets."""
        with self._host.lock, failing_with("Failed to Bind ID"):
            # Who names a destination too is going to ask, and any address of this machine will do for that.
            asks = lai.dst and not lai.is_passive
            self._use(Context.towards(lai.dst, source=lai.src, host=self._host) if asks else self._at(lai.src))
            self.core.bind_addr("", lai.src_port)

    def resolve_addr(self, rai: AddrInfo, timeout_ms: int = 2000) -> None:  # noqa: ARG002  # it is known at once
        """Find a way to the destination, and the device to go from; ADDR_RESOLVED or ADDR_ERROR follows."""
        with self._host.lock, failing_with("Failed to Resolve Address"):
            if self._core is None:
                self._use(Context.towards(rai.dst, source=rai.src, host=self._host))
            self.core.resolve_addr(rai.dst, rai.dst_port)

    def resolve_route(self, timeout_ms: int = 2000) -> None:  # noqa: ARG002  # it is known at once
        """Find the path MTU; ROUTE_RESOLVED or ROUTE_ERROR follows."""
        with self._host.lock, failing_with("Failed to Resolve Route"):
            self.core.resolve_route()

    def set_option(self, level: int, optname: int, optval: int, optlen: int = 1) -> None:  # noqa: ARG002  # as in C
        """Set an option, RDMA_OPTION_ID_ of level RDMA_OPTION_ID."""
        with self._host.lock, failing_with("Failed to set option"):
            self.core.set_option(level, optname, optval)

    # Connections

    def listen(self, backlog: int = 0) -> None:
        """Take requests; each is a CONNECT_REQUEST, or what `get_request` returns."""
        with self._host.lock, failing_with("Listen Failed"):
            self.core.listen(backlog or DEFAULT_BACKLOG)

    def get_request(self) -> CMID:
        """Sleep until somebody asks for a connection; an identifier for it, with a queue pair (synchronous only)."""
        event = self._await(CmEventType.CONNECT_REQUEST, "Failed to get request")
        channel = CMEventChannel(self._host)
        request = CMID(channel, self._qp_init_attr, self._pd, self.port_space)
        request._is_synchronous = True
        self.event_channel.core.ack(event)
        with self._host.lock:
            event.id.migrate(channel.core)
        request._take_request(event.id, self)
        if self._qp_init_attr is not None:
            request.create_qp(self._qp_init_attr)
        return request

    def connect(self, param: ConnParam | None = None) -> None:
        """Ask for the connection; ESTABLISHED, REJECTED, UNREACHABLE or CONNECT_ERROR follows."""
        with self._host.lock, failing_with("Failed to Connect"):
            self.core.connect((param or ConnParam()).core)
            self._host.pump()
        self._settle(CmEventType.ESTABLISHED, "Failed to Connect")

    def accept(self, param: ConnParam | None = None) -> None:
        """Accept a request; ESTABLISHED follows for connections, nothing for datagrams."""
        with self._host.lock, failing_with("Failed to Accept Connection"):
            self.core.accept((param or ConnParam()).core)
            if self.qp is not None and self.qp.qp_state == QpState.RTR:
                # As Linux has it (cma_accept_ib): not with the RTU but before the REP, so that sends may be posted.
                self.qp.core.modify(replace(self.core.init_qp_attr(QpState.RTS), state=QpState.RTS))
            self._host.pump()
        if self.core.qp_type is not QpType.UD:
            self._settle(CmEventType.ESTABLISHED, "Failed to Accept Connection")

    def reject(self, private_data: bytes = b"") -> None:
        """Refuse a request."""
        with self._host.lock, failing_with("Failed to reject connection"):
            self.core.reject(private_data)
            self._host.pump()

    def establish(self) -> None:
        """Answer a CONNECT_RESPONSE, with the queue pair in RTS."""
        with self._host.lock, failing_with("Failed to Complete an active connection request"):
            self.core.establish()
            self._host.pump()

    def disconnect(self) -> None:
        """End the connection: its queue pair goes to ERR; DISCONNECTED follows."""
        with self._host.lock, failing_with("Failed to Disconnect"):
            self.core.disconnect()
            self._host.pump()

    def join_multicast(self, addr: AddrInfo | None = None, mc_attr: JoinMCAttrEx | None = None) -> None:
        """Join the group that is `addr`'s source; MULTICAST_JOIN or MULTICAST_ERROR follows."""
        with self._host.lock, failing_with("Failed to Join Multicast"):
            self.core.join_multicast(_group(addr, mc_attr))

    def leave_multicast(self, addr: AddrInfo | None = None) -> None:
        """Leave a group."""
        with self._host.lock, failing_with("Failed to Leave Multicast"):
            self.core.leave_multicast(_group(addr, None))

    # Queue pairs

    def create_qp(self, qp_init: QPInitAttr) -> None:
        """Make a queue pair that the identifier moves; CQs that are not named are its own."""
        cap = qp_init.cap
        attr = QPInitAttr(
            qp_init.qp_type,
            qp_init.qp_context,
            qp_init.send_cq or CQ(self.context, max(1, cap.max_send_wr)),
            qp_init.recv_cq or CQ(self.context, max(1, cap.max_recv_wr)),
            qp_init.srq,
            QPCap(cap.max_send_wr, cap.max_recv_wr, cap.max_send_sge, cap.max_recv_sge, cap.max_inline_data),
            qp_init.sq_sig_all,
        )
        self.qp = QP(self.pd, attr)
        with self._host.lock, failing_with("Failed to create QP"):
            self.core.attach_qp(self.qp.core)

    def init_qp_attr(self, qp_state: int) -> tuple[QPAttr, int]:
        """What to write into a queue pair that the program moves itself, and its mask."""
        with self._host.lock, failing_with("Failed to get QP attributes"):
            attributes = self.core.init_qp_attr(QpState(qp_state))
        attr = QPAttr.of_core(attributes, QPCap())
        attr.qp_state = qp_state
        return attr, int(attributes.mask)

    def query_qp(self, attr_mask: int) -> tuple[QPAttr, QPInitAttr]:
        """As `QP.query` of its queue pair."""
        return self._own_qp.query(attr_mask)

    def set_local_ece(self, ece: ECE) -> None:
        """EOPNOTSUPP for any option: this device has none."""
        if ece.vendor_id:
            raise unsupported("Failed to set local ECE")

    def get_remote_ece(self) -> ECE:
        """No options."""
        return ECE()

    # Inside

    @property
    def _own_qp(self) -> QP:
        if self.qp is None:
            raise PyverbsUserError("the identifier has no queue pair")
        return self.qp

    def _start(self, addresses: AddrInfo) -> None:
        self.port_space = addresses.port_space
        if addresses.is_passive:
            self.bind_addr(addresses)
            return
        self.resolve_addr(addresses)
        self._settle(CmEventType.ADDR_RESOLVED, "Failed to Resolve Address")
        self.resolve_route()
        self._settle(CmEventType.ROUTE_RESOLVED, "Failed to Resolve Route")
        if self._qp_init_attr is not None:
            self.create_qp(self._qp_init_attr)

    def _at(self, address: str) -> Context:
        return Context(name=address, host=self._host)

    def _use(self, context: Context) -> None:
        self._context = context
        self._core = RdmaId(self.event_channel.core, context.device.cm, port_space=self.port_space)

    def _take_request(self, request: RdmaId, listener: CMID | None) -> None:
        if listener is None:
            raise PyverbsUserError("a request needs listen_id, the identifier that listens")
        self._core, self._context = request, listener.context
        self.port_space = request.port_space
        self._pd = self._pd or listener.pd

    def _settle(self, wanted: CmEventType, what: str) -> None:
        if self._is_synchronous:
            self.event_channel.core.ack(self._await(wanted, what))

    def _release(self) -> None:
        # The identifier first: it takes its queue pair out of groups and connections.
        if self._core is not None:
            self._core.unacknowledged = 0
            self._core.destroy()
        if self.qp is not None:
            self.qp.close()
        self._host.pump()


def _channel(creator: CMEventChannel | AddrInfo | CMEvent, channel: CMEventChannel | None) -> CMEventChannel:
    if isinstance(creator, CMEvent):
        return creator.channel
    if isinstance(creator, CMEventChannel):
        return creator
    return channel or CMEventChannel()


def _group(addr: AddrInfo | None, mc_attr: JoinMCAttrEx | None) -> str:
    named = mc_attr.addr if mc_attr is not None else addr
    if named is None:
        raise PyverbsUserError("no group was named")
    return named.src


DEFAULT_BACKLOG = 128
