"""A model flow on a timeline: the glue between a sender, its path, its receiver and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.congestion.guarded import GuardedController
from stacks.lab.counts import FlowCounts
from stacks.model import AckPacket, CnpPacket, DataPacket, Receiver, Sender
from transports.link import Sink
from transports.timeline import NEVER, Timeline


class ModelFlow:
    """One flow.

    forward, backward: what data and acknowledgements pass, in order, without the ends. number: by which queues know it.
    on_arrival: called with each data packet that arrives, at the receiver, before it is handled. on_complete: called
    once when `expected_bytes` of data have arrived, the flow's size, of payload. The receiver's delay of
    acknowledgements and the sender's bytes of headers are told the other end here.
    """

    def __init__(
        self,
        timeline: Timeline,
        sender: Sender,
        receiver: Receiver,
        *,
        forward: Sequence[Sink],
        backward: Sequence[Sink],
        number: int = 0,
    ) -> None:
        self.sender = sender
        self.receiver = receiver
        self.number = number
        self.on_arrival: Callable[[DataPacket], object] | None = None
        self.on_complete: Callable[[], object] | None = None
        self.expected_bytes = NO_END
        # What a handshake would tell the two of each other.
        receiver.notify(sender.controller.cnp_interval_ns)
        receiver.overhead_bytes = sender.overhead_bytes
        sender.rtt.max_ack_delay_ns = receiver.config.ack_delay_ns
        self._timeline = timeline
        self._forward = (*forward, self._deliver)
        self._backward = (*backward, self._acknowledge)
        self._notify = (*backward, self._handle_notification)
        self._pacer = timeline.timer(self.pump)
        self._timer = timeline.timer(self._time_out)
        self._ack_timer = timeline.timer(self._ack_late)
        self._is_pumping = self._is_called_back = False

    @property
    def goodput_bytes(self) -> int:
        """Data that was new."""
        return self.receiver.goodput_bytes

    @property
    def state(self) -> str:
        """Of its controller."""
        return self.sender.controller.state

    def sample(self) -> Sequence[int]:
        """Window, pacing rate, RTT, in flight, goodput, lost packets; -1 for what is not there."""
        return model_sample(self.sender, self.receiver)

    def counts(self) -> FlowCounts:
        """What it came to, so far."""
        return model_counts(self.sender, self.receiver)

    def bound(self, inflight_max_bytes: int) -> None:
        """A controller of the user's own may have so much in flight at most."""
        controller = self.sender.controller
        if isinstance(controller, GuardedController):
            controller.inflight_max_bytes = min(controller.inflight_max_bytes, inflight_max_bytes)

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""
        self.sender.write(length_bytes)
        self.pump()

    def stop(self) -> None:
        """It has no more; what it has sent may still be sent again."""
        self.sender.unsent_bytes = 0

    def pump(self) -> None:
        """Send what may be sent now, and see when to look again."""
        if self._is_pumping:
            self._is_called_back = True  # a path without delay brought an acknowledgement already
            return
        sender, route = self.sender, self._forward
        self._is_pumping = self._is_called_back = True
        while self._is_called_back:
            self._is_called_back = False
            for packet in sender.poll_packets(self._timeline.now):
                packet.flow = self.number
                packet.route = route
                packet.forward()
        self._is_pumping = False
        # Two timers, since one deadline is often near and the other always far: see `Timer`.
        due_ns = sender.pacing_deadline()
        if due_ns != self._pacer.due_ns:
            self._pacer.arm(due_ns)
        due_ns = sender.timer_deadline()
        if due_ns != self._timer.due_ns:
            self._timer.arm(due_ns)

    def _time_out(self) -> None:
        self.sender.handle_timeout(self._timeline.now)
        self.pump()

    def _deliver(self, packet: DataPacket) -> None:
        if self.on_arrival is not None:
            self.on_arrival(packet)
        receiver = self.receiver
        ack = receiver.handle_packet(packet, self._timeline.now)
        if receiver.goodput_bytes >= self.expected_bytes:
            self.expected_bytes = NO_END
            if self.on_complete is not None:
                self.on_complete()
        if ack is not None:
            self._send_ack(ack)
        elif self._ack_timer.due_ns == NEVER:
            self._arm_ack_timer()
        point = receiver.notification_point
        if point is not None and point.is_due:
            self._send_notification(receiver.poll_notification())

    def _ack_late(self) -> None:
        ack = self.receiver.handle_timeout(self._timeline.now)
        if ack is None:
            self._arm_ack_timer()
        else:
            self._send_ack(ack)

    def _send_ack(self, ack: AckPacket) -> None:
        self._ack_timer.due_ns = NEVER
        ack.route = self._backward
        ack.flow = self.number
        ack.forward()

    def _arm_ack_timer(self) -> None:
        due_ns = self.receiver.ack_due_ns
        if due_ns is None:
            self._ack_timer.cancel()
        else:
            self._ack_timer.arm(due_ns)

    def _send_notification(self, cnp: CnpPacket | None) -> None:
        if cnp is not None:
            cnp.route = self._notify
            cnp.flow = self.number
            cnp.forward()

    def _handle_notification(self, cnp: CnpPacket) -> None:
        if not cnp.is_corrupt:
            self.sender.handle_notification(self._timeline.now)
            self.pump()

    def _acknowledge(self, ack: AckPacket) -> None:
        if not ack.is_corrupt:
            sender, now = self.sender, self._timeline.now
            sender.handle_ack(ack, now)
            if now < self._pacer.due_ns < NEVER:
                # The pacer holds everything back, and will go on doing so: only the other timer may have moved.
                due_ns = sender.timer_deadline()
                if due_ns != self._timer.due_ns:
                    self._timer.arm(due_ns)
            else:
                self.pump()


def model_counts(sender: Sender, receiver: Receiver) -> FlowCounts:
    """What a model flow came to."""
    return FlowCounts(
        sender.sent_packets,
        sender.lost_packets,
        sender.retransmitted_packets,
        sender.timeouts,
        sender.spurious_losses,
        receiver.ce_packets,
    )


def model_sample(sender: Sender, receiver: Receiver) -> Sequence[int]:
    """Window, pacing rate, RTT, in flight, goodput, lost packets; -1 for what is not there."""
    window_bytes, rate_bps = sender.controller.window_bytes, sender.controller.rate_bps
    return (
        -1 if window_bytes is None else window_bytes,
        -1 if rate_bps is None else rate_bps,
        sender.rtt.latest_ns or -1,
        sender.delivery.inflight_bytes,
        receiver.goodput_bytes,
        sender.lost_packets,
    )


NO_END = 1 << 62
