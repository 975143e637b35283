"""A datagram core on a timeline: its datagrams are packets of links, and packets that arrive are its datagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.lab.quic.ends import IP_UDP_BYTES
from transports.datagram import Address, Burst, DatagramCore, Transmit
from transports.link import LinkPacket, Sink
from transports.timeline import NEVER, Timeline


class DatagramPacket(LinkPacket):
    """A datagram on its way. payload: its bytes. sent_ns: when it left."""

    __slots__ = ("sent_ns",)

    def __init__(self, payload: bytes, route: Sequence[Sink], *, flow: int, ecn: int, sent_ns: int) -> None:
        super().__init__(len(payload) + IP_UDP_BYTES, route, flow=flow, ecn=ecn, payload=payload)
        self.sent_ns = sent_ns


class CoreHost:
    """One core, and whoever uses it.

    here, there: addresses. number: of the flow, by which queues know its packets. on_input: called after each packet
    that was handled; on_output: after each burst that was sent; both may give the core more to send.
    """

    def __init__(
        self,
        timeline: Timeline,
        core: DatagramCore,
        *,
        here: Address,
        there: Address,
        number: int,
        on_input: Callable[[DatagramPacket], object],
        on_output: Callable[[], object],
    ) -> None:
        self.route: Sequence[Sink] = ()
        self._timeline = timeline
        self._core = core
        self._here = here
        self._there = there
        self._number = number
        self._on_input = on_input
        self._on_output = on_output
        self._timer = timeline.timer(self._time_out)
        self._is_pumping = self._is_called_back = False

    def put(self, packet: DatagramPacket) -> None:
        """A packet arrives: the end of a route. What was damaged fails UDP's checksum."""
        if packet.is_corrupt:
            return
        payload, now = packet.payload, self._timeline.now
        burst = Burst(memoryview(payload), len(payload), self._there, self._here, packet.ecn, now)
        self._core.handle_burst(burst, now)
        self._on_input(packet)
        self.pump()

    def pump(self) -> None:
        """Send what may be sent now, and see when to look again."""
        if self._is_pumping:
            self._is_called_back = True  # a path without delay brought an answer already
            return
        core, now = self._core, self._timeline.now
        self._is_pumping = self._is_called_back = True
        while self._is_called_back:
            self._is_called_back = False
            while (transmit := core.poll_transmit(now)) is not None:
                self._send(transmit, now)
                core.sent(transmit)
                self._on_output()
        self._is_pumping = False
        due_ns = core.poll_deadline()
        due_ns = NEVER if due_ns is None else due_ns
        if due_ns != self._timer.due_ns:
            self._timer.arm(due_ns)

    def _time_out(self) -> None:
        self._core.handle_timeout(self._timeline.now)
        self.pump()

    def _send(self, transmit: Transmit, now: int) -> None:
        route, number, ecn = self.route, self._number, transmit.ecn
        views = transmit.views
        view = views[0] if len(views) == 1 else b"".join(views)
        step = transmit.segment_bytes or len(view)
        # All of a burst before the first goes on, as of a model's sender.
        packets = [
            DatagramPacket(bytes(view[start : start + step]), route, flow=number, ecn=ecn, sent_ns=now)
            for start in range(0, len(view), step)
        ]
        for packet in packets:
            packet.forward()
