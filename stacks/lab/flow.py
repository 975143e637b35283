"""A model flow on a timeline: the glue between a sender, its path, its receiver and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.model import AckPacket, DataPacket, Receiver, Sender
from transports.link import Sink
from transports.timeline import NEVER, Timeline


class ModelFlow:
    """One flow.

    forward, backward: what data and acknowledgements pass, in order, without the ends. number: by which queues know it.
    on_arrival: called with each data packet that arrives, at the receiver, before it is handled. on_complete: called
    once when `expected_bytes` of data have arrived, the flow's size.
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
        self._timeline = timeline
        self._forward = (*forward, self._deliver)
        self._backward = (*backward, self._acknowledge)
        self._timer = timeline.timer(self._time_out)
        self._ack_timer = timeline.timer(self._ack_late)

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""
        self.sender.write(length_bytes)
        self.pump()

    def pump(self) -> None:
        """Send what may be sent now, and see when to look again."""
        sender, route = self.sender, self._forward
        for packet in sender.poll_packets(self._timeline.now):
            packet.flow = self.number
            packet.route = route
            packet.forward()
        due_ns = sender.poll_deadline()
        if due_ns is None:
            self._timer.cancel()
        else:
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
        if ack is not None or self._ack_timer.due_ns == NEVER:
            self._send_ack(ack)

    def _ack_late(self) -> None:
        self._send_ack(self.receiver.handle_timeout(self._timeline.now))

    def _send_ack(self, ack: AckPacket | None) -> None:
        if ack is not None:
            ack.route = self._backward
            ack.flow = self.number
            ack.forward()
        due_ns = self.receiver.ack_due_ns
        if due_ns is None:
            self._ack_timer.cancel()
        else:
            self._ack_timer.arm(due_ns)

    def _acknowledge(self, ack: AckPacket) -> None:
        if not ack.is_corrupt:
            self.sender.handle_ack(ack, self._timeline.now)
            self.pump()


NO_END = 1 << 62
