"""The device: one RoCEv2 end at one IP address, as a core (see transports.datagram.DatagramCore).

    bursts -> Ingress -> Qp (Responder, Completer) or the connection manager on QP 1
    Qp (Responder, Requester) -> poll_transmit -> transmits

Queue pairs with something to send take turns, one send each.
"""

from __future__ import annotations

import errno
import random
from collections import deque
from collections.abc import Container
from dataclasses import replace
from functools import partial
from ipaddress import IPv6Address
from weakref import WeakSet

from stacks.congestion import ControllerFactory
from stacks.dma import FlatDma
from stacks.dma.contract import Dma, PagingDma
from stacks.rdma.admission import Admission
from stacks.rdma.async_events import AsyncEvent, EventQueue
from stacks.rdma.completion import CompChannel, Cq
from stacks.rdma.completion_queues import CompletionQueues
from stacks.rdma.congestion.config import factory_of
from stacks.rdma.congestion.queue_pair import ControlledQp
from stacks.rdma.counters import RdmaCounters
from stacks.rdma.device_config import DeviceConfig
from stacks.rdma.egress import Egress
from stacks.rdma.enums import AsyncEventType, QpType
from stacks.rdma.exhaustion import Exhausted
from stacks.rdma.faults import FaultInjector, FaultPlan
from stacks.rdma.groups import Groups
from stacks.rdma.gsi import GeneralServices
from stacks.rdma.ingress import Ingress
from stacks.rdma.limits import DeviceLimits, Port, PortAttributes, check_limit
from stacks.rdma.memory import DeviceMemory, MemoryTable, Pd
from stacks.rdma.qp import Qp, QpCapacity
from stacks.rdma.qp_types import class_of
from stacks.rdma.reliable.window import Window
from stacks.rdma.sides import Timed
from stacks.rdma.srq import Srq, Xrcd
from stacks.rdma.xrc import XrcTargetQp, check_domain
from stacks.runtime import Timers
from transports.datagram import Address, Burst, Transmit
from wire.roce.flow_icrc import FlowIcrc

PACKET_BOOKKEEPING_BYTES = 512
"""About what a receive buffer is charged for a packet besides its payload."""
ROCE_PORT = 4791
"""UDP destination port of RoCEv2 (IBTA annex A17.3.1)."""


class Device:
    """One RDMA device.

    address: its IP address, in numeric text form; packets come and go on UDP port 4791.
    config: see DeviceConfig. dma: host memory, FlatDma by default. rng: keys, QP numbers and PSNs are drawn from it;
    without one they are unpredictable.
    """

    def __init__(
        self,
        address: str,
        *,
        config: DeviceConfig | None = None,
        dma: Dma | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.address: Address = (address, ROCE_PORT)
        self.config = config or DeviceConfig()
        if self.config.memory.relaxed_seed is not None:
            self.config = replace(self.config, shortcuts=False)
        self.counters = RdmaCounters()
        self.now = 0
        """Of the current call, or of the last one, in ns."""
        self.timers: Timers[Timed] = Timers()
        self.qps: dict[int, Qp] = {}
        self.srqs: dict[int, Srq] = {}
        self.groups = Groups(address)
        self.leaving: dict[Transmit, Qp] = {}
        """Sends that a queue pair wants to hear of when the transport is done with them."""
        self._completion_queues = CompletionQueues(self)
        self._admission = Admission(self)
        self.port = Port(address, max_mtu=self.config.cm.max_path_mtu)
        self.is_failed = False
        self._rng = rng or random.SystemRandom()
        self.memory = MemoryTable(dma or FlatDma(), self._rng, self.config.memory)
        self._ready: deque[Qp] = deque()
        self.events = EventQueue(self.counters)
        self.gsi = GeneralServices(self, rng=self._rng)
        self.cm = self.gsi.cm
        self.cm.admit_id = lambda: self.admit("cm_id")
        self._mads = self.gsi.outbox
        self._is_carrying = True
        """Whether packets come and go."""
        self._ingress = Ingress(
            self.address,
            self.qps,
            counters=self.counters,
            shortcuts=self.config.shortcuts,
            on_management=self.gsi.handle_packet,
            groups=self.groups,
        )
        self.faults: FaultInjector | None = None
        """What makes things go wrong, once `attach` was called."""
        if self.config.faults is not None:
            self.attach(self.config.faults)

    def attach(self, plan: FaultPlan) -> FaultInjector:
        """Have `plan`, and no earlier one, act on the packets that come and go from now on.

        The result tells what it did, and takes more rules.
        """
        if self.faults is None:
            self.faults = FaultInjector(
                self.address,
                self.qps,
                deliver=self._ingress.handle_burst,
                poll=partial(self.poll_transmit, is_intact=True),
                done=self.sent,
                segment_limit=self.config.segment_limit,
            )
        self.faults.replace(plan)
        return self.faults

    @property
    def cqs(self) -> WeakSet[Cq]:
        """Completion queues that somebody holds."""
        return self._completion_queues.held

    # Verbs

    def alloc_pd(self) -> Pd:
        """A new protection domain."""
        self.admit("alloc_pd")
        pd = Pd(self)
        self._admission.pds.add(pd)
        return pd

    def alloc_dm(self, length: int) -> DeviceMemory:
        """`length` bytes of the device's own memory; LocalError when as much is not left (ibv_alloc_dm)."""
        self.admit("alloc_dm")
        return DeviceMemory(self.memory, length)

    def create_cq(self, depth: int, *, channel: CompChannel | None = None, wc_flags: int | None = None) -> Cq:
        """A completion queue for `depth` entries; LocalError when depth is below 1 (IBTA 11.2.6.1).

        wc_flags: bits of `CqFlags`, for a queue whose entries carry those fields and no others; see `extended_cq`.
        """
        self.admit("create_cq")
        return self._completion_queues.create(depth, channel=channel, wc_flags=wc_flags)

    def create_qp(
        self,
        pd: Pd,
        *,
        send_cq: Cq,
        recv_cq: Cq,
        qp_type: QpType = QpType.RC,
        capacity: QpCapacity | None = None,
        sq_sig_all: bool = False,
        srq: Srq | None = None,
        xrcd: Xrcd | None = None,
        congestion: str | ControllerFactory | None = None,
        recovery: str | None = None,
    ) -> Qp:
        """A queue pair in RESET; see `Pd.create_qp`."""
        check_domain(qp_type, srq, xrcd)
        factory = factory_of(self.config.congestion.controller if congestion is None else congestion)
        qp_class = class_of(
            qp_type, is_controlled=factory is not None, is_chosen=congestion is not None,
            recovery=recovery, usual_recovery=self.config.recovery,
        )  # fmt: skip
        capacity = capacity or QpCapacity()
        self.config.limits.check_capacity(capacity)
        self.admit("create_qp")
        qp = qp_class(
            self,
            pd,
            self._new_number(self.qps),
            qp_type=qp_type,
            send_cq=send_cq,
            recv_cq=recv_cq,
            capacity=capacity,
            sq_sig_all=sq_sig_all,
            srq=srq,
        )
        if factory is not None and isinstance(qp, ControlledQp):
            qp.use_controller(factory)
        if xrcd is not None and isinstance(qp, XrcTargetQp):
            qp.join(xrcd)
        self.qps[qp.number] = qp
        self._admission.watch_posts()
        return qp

    def create_srq(
        self, pd: Pd, *, max_wr: int, max_sge: int, limit: int = 0, xrcd: Xrcd | None = None, cq: Cq | None = None
    ) -> Srq:
        """A shared receive queue; see `Pd.create_srq`."""
        self.admit("create_srq")
        number = self._new_number(self.srqs)
        srq = Srq(self, pd, number, max_wr=max_wr, max_sge=max_sge, limit=limit, xrcd=xrcd, cq=cq)
        self.srqs[number] = srq
        self._admission.watch_posts()
        return srq

    def open_xrcd(self) -> Xrcd:
        """A new XRC domain."""
        self.admit("open_xrcd")
        xrcd = Xrcd()
        self._admission.xrcds.add(xrcd)
        return xrcd

    def query(self) -> DeviceLimits:
        """What it has room for (IBTA 11.2.2.2)."""
        return self.config.limits

    def query_port(self) -> PortAttributes:
        """What its port is."""
        return self.port.query()

    def query_gid(self, index: int) -> IPv6Address:
        """An entry of the port's GID table: 0 is the device's address; zero where there is none, LocalError beyond."""
        return self.port.query_gid(index)

    def query_pkey(self, index: int) -> int:
        """An entry of the port's P_Key table, which has one; LocalError beyond."""
        return self.port.query_pkey(index)

    # What goes wrong on demand

    def set_port_state(self, *, active: bool) -> None:
        """Unplug the port, or plug it in again: PORT_ERR or PORT_ACTIVE, and no packet comes or goes in between.

        Queue pairs keep their states; their retries run out if it takes long (IBTA 11.6.3.3).
        """
        if active == self.port.is_active or self.is_failed:
            return
        self.port.is_active = self._is_carrying = active
        if not active:
            self.counters.link_downed += 1
        self.raise_event(AsyncEventType.PORT_ACTIVE if active else AsyncEventType.PORT_ERR)

    def set_gid(self, index: int, address: str | None) -> None:
        """Change the GID table: GID_CHANGE. LocalError for entry 0; queue pairs go on with the device's address."""
        if self.port.set_gid(index, address):
            self.raise_event(AsyncEventType.GID_CHANGE)

    def fail(self) -> None:
        """Break the device: DEVICE_FATAL, every queue pair goes to ERR, packets stop, nothing can be made any more.

        Completions that are there can be polled. Source: IBTA 11.6.3.3 (local catastrophic error). Idempotent.
        """
        if self.is_failed:
            return
        self.is_failed = True
        self._is_carrying = False
        self.raise_event(AsyncEventType.DEVICE_FATAL)
        for qp in list(self.qps.values()):
            qp.enter_error()

    def exhaust(self, call: str, *, nth: int = 1, errno: int = errno.ENOMEM) -> Exhausted:
        """Have the `nth` call from now of `exhaustion.CALLS` fail with `errno`, once; the result tells whether it has.

        Raises LocalError for a call that there is not.
        """
        return self._admission.exhaust(call, nth=nth, errno=errno)

    @property
    def exhausted(self) -> list[Exhausted]:
        """The rules of `exhaust`, and which of them have fired."""
        return self._admission.exhaustion.rules

    def poll_async_event(self) -> AsyncEvent | None:
        """The next asynchronous event, or None."""
        return self.events.poll()

    def handle_page_ready(self, token: int) -> None:
        """The page that a recoverable fault of the `Dma` named with `token` is there: queue pairs that wait go on.

        A `Dma` that takes such words is told first, and may raise LocalError for a token that is not open.
        """
        if isinstance(self.memory.dma, PagingDma):
            self.memory.dma.handle_page_ready(token)
        self._resume()

    def handle_page_lost(self, token: int) -> None:
        """As `handle_page_ready`, for a page that will never come: what waits for it ends with LOC_PROT_ERR."""
        if isinstance(self.memory.dma, PagingDma):
            self.memory.dma.handle_page_lost(token)
        self._resume()

    # The core's verbs

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Take a burst from the transport."""
        self.now = now
        if not self._is_carrying:
            return
        if self.faults is None:
            self._ingress.handle_burst(burst, now)
        else:
            self.faults.handle_burst(burst, now)

    def handle_timeout(self, now: int) -> None:
        """Act on every timer that is due."""
        self.now = now
        for timed in self.timers.expired(now):
            timed.handle_timeout(now)
        self.gsi.handle_timeout(now)
        if self.faults is not None:
            self.faults.handle_timeout(now)

    def poll_transmit(self, now: int, *, is_intact: bool = False) -> Transmit | None:
        """The next send, queue pairs in turn, management first. is_intact: as it was before any plan acted on it."""
        self.now = now
        if not self._is_carrying:
            return None
        if self.faults is not None and not is_intact:
            return self.faults.poll_transmit(now)
        if self._mads and (transmit := self.gsi.poll_transmit(now)) is not None:
            return transmit
        ready = self._ready
        while ready:
            qp = ready[0]
            transmit = qp.poll_transmit(now)
            if transmit is not None:
                ready.rotate(-1)
                return transmit
            qp.is_ready = False
            ready.popleft()
        return None

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is due next, in nanoseconds."""
        deadline, management = self.timers.next_deadline(), self.gsi.poll_deadline()
        if management is not None and (deadline is None or management < deadline):
            deadline = management
        if self.faults is not None and (held := self.faults.poll_deadline()) is not None:
            deadline = held if deadline is None else min(deadline, held)
        return deadline

    def sent(self, transmit: Transmit) -> None:
        """The transport is done with a send: those of unreliable transports are complete."""
        if self.leaving and (qp := self.leaving.pop(transmit, None)) is not None:
            qp.handle_sent(transmit)

    # What its parts call

    def mark_ready(self, qp: Qp) -> None:
        """Have `qp` asked for packets."""
        qp.is_ready = True
        self._ready.append(qp)

    def remove_qp(self, qp: Qp) -> None:
        """Forget a queue pair, and the events that concern it."""
        self.qps.pop(qp.number, None)
        self.events.forget(qp)
        if qp.is_ready:
            qp.is_ready = False
            self._ready.remove(qp)

    def remove_srq(self, srq: Srq) -> None:
        """Forget a shared receive queue, and the events that concern it."""
        self.srqs.pop(srq.number, None)
        self.events.forget(srq)

    def check_srq(self, max_wr: int, max_sge: int) -> None:
        """LocalError when no shared receive queue may be that large."""
        check_limit("max_wr", max_wr, self.config.limits.max_srq_wr, "max_srq_wr")
        check_limit("max_sge", max_sge, self.config.limits.max_srq_sge, "max_srq_sge")

    def admit(self, call: str) -> None:
        """Something is to be made; see `Admission.admit`."""
        self._admission.admit(call)

    def egress_to(self, host: str, dest_qp: int, path_mtu: int, *, transport: int) -> Egress:
        """What builds packets for a peer."""
        destination = (host, ROCE_PORT)
        flow = FlowIcrc(self.address, destination)
        limit = self.config.segment_limit
        return Egress(flow, dest_qp, destination, path_mtu, self.counters, transport=transport, segment_limit=limit)

    def fork_rng(self) -> random.Random:
        """A generator for a part of its own, seeded from the device's."""
        return random.Random(int(self._rng.random() * (1 << 53)))

    def new_window(self, path_mtu: int) -> Window:
        """A fresh window for a connection with this path MTU."""
        initial = self.config.initial_window_bytes // (path_mtu + PACKET_BOOKKEEPING_BYTES)
        return Window(initial, self.config.max_window_packets)

    def raise_event(
        self, kind: AsyncEventType, qp: Qp | None = None, cq: Cq | None = None, srq: Srq | None = None
    ) -> None:
        """Queue an asynchronous event, as long as there is room."""
        self.events.add(AsyncEvent(kind, qp, cq, srq))

    def _resume(self) -> None:
        for qp in self.qps.values():
            qp.resume()

    def _new_number(self, taken: Container[int]) -> int:
        while True:
            number = 2 + int(self._rng.random() * 0xFFFFFD)
            if number not in taken and number != 0xFFFFFF:
                return number
