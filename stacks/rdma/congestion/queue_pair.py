"""A reliable queue pair with congestion control: it answers CE marks with CNPs, and CNPs with its rate.

Whatever it does not add goes the way of every other queue pair. Data of both directions passes the gate, requests and
the responses to READs; acknowledgements and CNPs do not wait.
"""

from __future__ import annotations

from stacks.congestion import Controller, ControllerFactory, Delivery, Flow
from stacks.congestion.notification_point import NotificationPoint
from stacks.rdma.congestion.gate import SendGate
from stacks.rdma.congestion.window import ControlledWindow
from stacks.rdma.egress import Egress
from stacks.rdma.opcodes import ACKNOWLEDGE
from stacks.rdma.reliable.queue_pair import ReliableQp
from transports.datagram import Transmit
from transports.impairments import IPV4_UDP_BYTES, IPV6_UDP_BYTES


class ControlledQp(ReliableQp):
    """A reliable connection whose data a controller paces; `use_controller` comes before everything else.

    controller: of the present connection, from RTR on. delivery: its totals, as the controller sees them.
    is_timeout: whether its timer is what it acts on.
    """

    controller: Controller
    delivery: Delivery

    def use_controller(self, factory: ControllerFactory) -> None:
        """Say what makes the controller of each connection."""
        self._factory = factory
        self._gate: SendGate | None = None
        self._window: ControlledWindow | None = None
        self._notification_point = NotificationPoint(self._device.config.congestion.cnp_interval_ns)
        self.is_timeout = False

    @property
    def now(self) -> int:
        """The time of what the device was last told or asked, in nanoseconds."""
        return self._device.now

    # Packets

    def handle_timeout(self, now: int) -> None:
        """As of every queue pair."""
        self.is_timeout = True
        super().handle_timeout(now)
        self.is_timeout = False

    def handle_mark(self, opcode: int, now: int) -> None:
        """A packet arrived with CE: tell its sender, unless that was done just now; it does not pace its ACKs."""
        if opcode != ACKNOWLEDGE and self._notification_point.marked(now):
            self.ring()

    def handle_notification(self, now: int) -> bool:
        """A CNP; True, since it is heeded."""
        if self._gate is not None:
            self.controller.handle_notification(now)
        if self._window is not None:
            self._window.marked()
        return True

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next send; a CNP goes first."""
        if self._notification_point.is_due and self._egress is not None:
            self._notification_point.is_due = False
            self.counters.np_cnp_sent += 1
            return self._egress.notify()
        return super().poll_transmit(now)

    def _poll_requests(self, now: int) -> Transmit | None:
        gate, window, requester = self._gate, self._window, self.requester
        if gate is None or window is None:
            return None
        requester.step_over()
        first_psn = requester.next_psn
        # Local operations take no PSN, and no part of the rate.
        if first_psn < requester.post_psn and not gate.is_open(now):
            return None
        self.delivery.next_send_ns = gate.next_send_ns
        window.follow()
        transmit = super()._poll_requests(now)
        if transmit is None:
            if first_psn < requester.post_psn:
                window.held_back()
            else:
                window.ran_out()
            return None
        gate.passed(transmit, now)
        end_psn = requester.next_psn
        # What a READ asks for counts as full packets; an extended header or two are not worth a packet of the window.
        full_bytes = (end_psn - first_psn) * gate.packet_bytes
        is_plain = end_psn - first_psn == gate.passed_packets
        window.sent(first_psn, end_psn, min(gate.passed_bytes, full_bytes) if is_plain else full_bytes, now)
        return transmit

    def _poll_responses(self, egress: Egress, now: int) -> Transmit | None:
        gate = self._gate
        if gate is None or not gate.is_open(now):
            return None
        transmit = super()._poll_responses(egress, now)
        return transmit and gate.passed(transmit, now)

    # State changes

    def _to_rtr(self) -> None:
        super()._to_rtr()
        config, egress = self._device.config.congestion, self._limited_egress()
        overhead_bytes = IPV6_UDP_BYTES if ":" in self.remote_host else IPV4_UDP_BYTES
        packet_bytes = egress.full_bytes + overhead_bytes
        self.delivery = Delivery(config.initial_window_packets * packet_bytes)
        flow = Flow(
            line_rate_bps=config.line_rate_bps, packet_bytes=packet_bytes, rng=self._device.fork_rng(),
            delivery=self.delivery, start_ns=self.now,
        )  # fmt: skip
        self.controller = self._factory(flow)
        self._gate = SendGate(
            self, self.controller, burst_bytes=max(config.burst_bytes, packet_bytes), packet_bytes=packet_bytes,
            overhead_bytes=overhead_bytes,
        )  # fmt: skip

    def _to_rts(self) -> None:
        super()._to_rts()
        requester, gate = self.requester, self._gate
        assert gate is not None
        self._window = ControlledWindow(self, requester.window, gate.packet_bytes, self.delivery)
        requester.window = self._window

    def _change_drained(self) -> None:
        super()._change_drained()
        self._limited_egress()

    def _limited_egress(self) -> Egress:
        """The egress, with sends no longer than a burst may be."""
        egress = self._egress
        assert egress is not None
        egress.limit_segments(max(1, self._device.config.congestion.burst_bytes // egress.full_bytes))
        return egress

    def _to_reset(self) -> None:
        super()._to_reset()
        if self._gate is not None:
            self._gate.close()
            self._gate = self._window = None
        self._notification_point = NotificationPoint(self._device.config.congestion.cnp_interval_ns)

    def enter_error(self) -> None:
        """As of every queue pair; nothing waits at the gate then."""
        super().enter_error()
        if self._gate is not None:
            self._gate.close()
