"""The window of a queue pair with a congestion controller, which hears of every acknowledgement and loss from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion import Ack, Delivery, Loss, RttEstimator
from stacks.rdma.congestion.ledger import SentBurst, SentLedger
from stacks.rdma.reliable.window import Window

if TYPE_CHECKING:
    from stacks.rdma.congestion.queue_pair import ControlledQp


class ControlledWindow(Window):
    """The smaller of the window that protects the receiver's buffer, and the controller's, if it has one.

    qp: whose controller is told. buffer: the former window. packet_bytes: of a full packet, with all its headers.
    rtt: the connection's. Every send asks for an acknowledgement: an algorithm that shrinks its window must not wait
    for one that was never asked for, and each is a sample.
    """

    __slots__ = (
        "_buffer", "_delivery", "_ledger", "_lost_ns", "_marks", "_packet_bytes", "_qp", "_recovery_start_ns", "rtt",
    )  # fmt: skip

    acks_per_window = 1 << 20

    def __init__(self, qp: ControlledQp, buffer: Window, packet_bytes: int, delivery: Delivery) -> None:
        super().__init__(buffer.packets, buffer.packets)
        self.rtt = RttEstimator()
        self._qp = qp
        self._buffer = buffer
        self._packet_bytes = packet_bytes
        self._delivery = delivery
        self._ledger = SentLedger(delivery)
        self._marks = 0
        self._lost_ns = -1
        self._recovery_start_ns: int | None = None
        self.follow()

    def follow(self) -> None:
        """Take over what the controller wants now, in packets."""
        limit = self._buffer.packets
        wanted_bytes = self._qp.controller.window_bytes
        if wanted_bytes is not None:
            room = max(0, wanted_bytes - self._delivery.inflight_bytes) // self._packet_bytes
            limit = max(1, min(limit, self._qp.requester.in_flight + room))
        self.packets = limit

    def sent(self, first_psn: int, end_psn: int, size_bytes: int, now: int) -> None:
        """A send of these PSNs leaves."""
        for burst in self._ledger.sent(first_psn, end_psn, size_bytes, now):
            self._qp.controller.handle_lost_packet(burst, now)

    def held_back(self) -> None:
        """Nothing more may leave now, though there is more: note it if that is the controller's doing."""
        if self._qp.requester.in_flight >= self.packets and self.packets < self._buffer.packets:
            self._delivery.cwnd_limited()

    def ran_out(self) -> None:
        """There is no more to send: note it if the controller would have let it go."""
        wanted_bytes = self._qp.controller.window_bytes
        if wanted_bytes is None or self._delivery.inflight_bytes < wanted_bytes:
            self._delivery.application_limited()

    def marked(self) -> None:
        """A CNP came: one packet of ours was marked, or several where the peer thins its CNPs out."""
        self._marks += 1

    def acknowledged(self, count: int) -> None:
        """`count` packets arrived."""
        self._buffer.acknowledged(count)
        qp = self._qp
        requester, now = qp.requester, qp.now
        if requester.next_psn >= requester.post_psn:
            self.ran_out()
        self._sample(self._ledger.acked(requester.una, now), count, now)

    def arrived(self, psn: int) -> None:
        """One packet arrived ahead of its turn."""
        now = self._qp.now
        burst = self._ledger.arrived(psn, now)
        if burst is not None:
            self._sample(burst, 1, now)

    def lost(self) -> None:
        """Packets were lost; called once a recovery."""
        self._buffer.lost()
        qp = self._qp
        self._lost_ns = self._recovery_start_ns = qp.now
        lost_bytes = max(self._delivery.inflight_bytes, self._packet_bytes)
        qp.controller.handle_loss(Loss(lost_bytes, is_timeout=qp.is_timeout), qp.now)

    def rewound(self) -> None:
        """Everything in flight will be sent again: since it was lost, or since the receiver was not ready for it."""
        controller, now = self._qp.controller, self._qp.now
        for burst in self._ledger.rewound(is_loss=now == self._lost_ns):
            controller.handle_lost_packet(burst, now)

    def _sample(self, newest: SentBurst | None, count: int, now: int) -> None:
        """Tell the controller of `count` packets, of which `newest` was sent last."""
        rtt_ns = None
        if newest is not None and not newest.is_repeat:
            rtt_ns = now - newest.sent_ns
            self.rtt.update(rtt_ns)
            self._delivery.min_rtt_ns = self.rtt.min_ns
            self._delivery.srtt_ns = self.rtt.smoothed_ns
            self._delivery.rto_ns = self._qp.completer.ack_timeout_ns
        marks, self._marks = self._marks, 0
        ack: Ack = self._delivery.sample(rtt_ns=rtt_ns, ce_packets=marks)
        ack.acked_packets = count
        controller = self._qp.controller
        start_ns = self._recovery_start_ns
        if start_ns is not None and ack.newest_sent_ns > start_ns:
            self._recovery_start_ns = None
            controller.handle_recovered(now)
        controller.handle_ack(ack, now)
