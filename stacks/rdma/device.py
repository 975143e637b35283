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
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakSet

from stacks.congestion import ControllerFactory
from stacks.dma import FlatDma
from stacks.dma.contract import Dma, PagingDma
from stacks.rdma.async_events import AsyncEvent, EventQueue
from stacks.rdma.cm import CmConfig
from stacks.rdma.completion import CompChannel, Cq
from stacks.rdma.congestion.config import CongestionConfig, factory_of
from stacks.rdma.congestion.queue_pair import ControlledQp
from stacks.rdma.counters import RdmaCounters
from stacks.rdma.egress import Egress
from stacks.rdma.enums import AsyncEventType, QpType
from stacks.rdma.extended_cq import ExtendedCq
from stacks.rdma.faults import FaultInjector, FaultPlan
from stacks.rdma.groups import Groups
from stacks.rdma.gsi import GeneralServices
from stacks.rdma.ingress import Ingress
from stacks.rdma.memory import DeviceMemory, MemoryConfig, MemoryTable, Pd
from stacks.rdma.qp import Qp, QpCapacity
from stacks.rdma.qp_types import CONTROLLED_QP_TYPES, QP_TYPES
from stacks.rdma.reliable.window import Window
from stacks.rdma.sides import Timed
from stacks.rdma.srq import Srq, Xrcd
from stacks.runtime import LocalError, Timers
from transports.datagram import Address, Burst, Transmit
from wire.roce.flow_icrc import FlowIcrc

PACKET_BOOKKEEPING_BYTES = 512
"""About what a receive buffer is charged for a packet besides its payload."""
ROCE_PORT = 4791
"""UDP destination port of RoCEv2 (IBTA annex A17.3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """How a device behaves.

    initial_window_bytes: what a queue pair starts with in flight; a default receive buffer on loopback holds it.
    max_window_packets: what it may grow to. shortcuts: whole-burst shortcuts in front of the full state machine.
    segment_limit: most packets of one send, which the transport gives Identifications 0, 1, 2, ...; what a UDP
        transport says of itself, 1 without offload. cm: how patient the connection manager is.
    memory: windows, memory of its own, page faults.
    faults: what goes wrong with its packets, on purpose; see `Device.attach`.
    congestion: of queue pairs that are not created with another choice.
    """

    initial_window_bytes: int = 160_000
    max_window_packets: int = 512
    shortcuts: bool = True
    segment_limit: int = 64
    cm: CmConfig = field(default_factory=CmConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    faults: FaultPlan | None = None
    congestion: CongestionConfig = field(default_factory=CongestionConfig)


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
        self.cqs: WeakSet[Cq] = WeakSet()
        """Those that somebody holds: a program may simply drop one that nothing completes to."""
        self._rng = rng or random.SystemRandom()
        self.memory = MemoryTable(dma or FlatDma(), self._rng, self.config.memory)
        self._ready: deque[Qp] = deque()
        self._events = EventQueue(self.counters)
        self.gsi = GeneralServices(self, rng=self._rng)
        self.cm = self.gsi.cm
        self._mads = self.gsi.outbox
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
                segment_limit=self.config.segment_limit,
            )
        self.faults.replace(plan)
        return self.faults

    # Verbs

    def alloc_pd(self) -> Pd:
        """A new protection domain."""
        return Pd(self)

    def alloc_dm(self, length: int) -> DeviceMemory:
        """`length` bytes of the device's own memory; LocalError when as much is not left (ibv_alloc_dm)."""
        return DeviceMemory(self.memory, length)

    def create_cq(self, depth: int, *, channel: CompChannel | None = None, wc_flags: int | None = None) -> Cq:
        """A completion queue for `depth` entries; LocalError when depth is below 1 (IBTA 11.2.6.1).

        wc_flags: bits of `CqFlags`, for a queue whose entries carry those fields and no others; see `extended_cq`.
        """
        if wc_flags is None:
            cq = Cq(depth, channel=channel, owner=self)
        else:
            cq = ExtendedCq(depth, wc_flags, clock=lambda: self.now, channel=channel, owner=self)
        self.cqs.add(cq)
        return cq

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
        congestion: str | ControllerFactory | None = None,
    ) -> Qp:
        """A queue pair in RESET; see `Pd.create_qp`."""
        factory = factory_of(self.config.congestion.controller if congestion is None else congestion)
        if qp_type not in QP_TYPES:
            there = ", ".join(kind.name for kind in QP_TYPES)
            raise LocalError(f"there are no {qp_type.name} queue pairs: use {there}", errno=errno.EOPNOTSUPP)
        if factory is not None and congestion is not None and qp_type not in CONTROLLED_QP_TYPES:
            raise LocalError(f'{qp_type.name} queue pairs have no congestion control: leave it out, or say "none"')
        qp_class = QP_TYPES[qp_type] if factory is None else CONTROLLED_QP_TYPES.get(qp_type, QP_TYPES[qp_type])
        qp = qp_class(
            self,
            pd,
            self._new_number(self.qps),
            qp_type=qp_type,
            send_cq=send_cq,
            recv_cq=recv_cq,
            capacity=capacity or QpCapacity(),
            sq_sig_all=sq_sig_all,
            srq=srq,
        )
        if factory is not None and isinstance(qp, ControlledQp):
            qp.use_controller(factory)
        self.qps[qp.number] = qp
        return qp

    def create_srq(
        self, pd: Pd, *, max_wr: int, max_sge: int, limit: int = 0, xrcd: Xrcd | None = None, cq: Cq | None = None
    ) -> Srq:
        """A shared receive queue; see `Pd.create_srq`."""
        number = self._new_number(self.srqs)
        srq = Srq(self, pd, number, max_wr=max_wr, max_sge=max_sge, limit=limit, xrcd=xrcd, cq=cq)
        self.srqs[number] = srq
        return srq

    def open_xrcd(self) -> Xrcd:
        """A new XRC domain."""
        return Xrcd()

    def poll_async_event(self) -> AsyncEvent | None:
        """The next asynchronous event, or None."""
        return self._events.poll()

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
        if self.faults is not None and not is_intact:
            return self.faults.poll_transmit(now)
        self.now = now
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
        self._events.forget(qp)
        if qp.is_ready:
            qp.is_ready = False
            self._ready.remove(qp)

    def remove_srq(self, srq: Srq) -> None:
        """Forget a shared receive queue, and the events that concern it."""
        self.srqs.pop(srq.number, None)
        self._events.forget(srq)

    def remove_cq(self, cq: Cq) -> None:
        """Forget a completion queue, and the events that concern it; LocalError (EBUSY) while it is in use."""
        users = [f"QP {qp.number}" for qp in self.qps.values() if cq in (qp.send_cq, qp.recv_cq)]
        users += [f"SRQ {srq.number}" for srq in self.srqs.values() if cq is srq.cq]
        if users:
            raise LocalError(f"{', '.join(users)} completes to this queue: destroy it first", errno=errno.EBUSY)
        self.cqs.discard(cq)
        self.timers.cancel(cq)
        self._events.forget(cq)

    def check_cq_depth(self, depth: int) -> None:
        """LocalError when no completion queue may have that many entries."""

    def cq_overflowed(self, cq: Cq) -> None:
        """CQ_ERR, and every queue pair that completes to the queue goes to ERR (IBTA 11.6.3.1)."""
        self.raise_event(AsyncEventType.CQ_ERR, cq=cq)
        for qp in list(self.qps.values()):
            if cq in (qp.send_cq, qp.recv_cq):
                qp.enter_error()

    def delay_cq(self, cq: Cq, delay_ns: int) -> None:
        """Have a completion queue that holds an announcement back called again."""
        self.timers.arm(cq, self.now + delay_ns)

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
        self._events.add(AsyncEvent(kind, qp, cq, srq))

    def _resume(self) -> None:
        for qp in self.qps.values():
            qp.resume()

    def _new_number(self, taken: Container[int]) -> int:
        while True:
            number = 2 + int(self._rng.random() * 0xFFFFFD)
            if number not in taken and number != 0xFFFFFF:
                return number
