"""The congestion of one path: controller, delivery rates, round-trip times, pacing, ECN (RFC 9002 5, 7; RFC 9000 9.4).

    sent(packet) ... handle_ack_of(acked, lost, ...) -> Controller -> window_bytes, rate_bps -> may_send, next_send_ns
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from stacks.congestion import Controller, Delivery, Flow, Loss, RttEstimator
from stacks.congestion.persistent import PersistentCongestion, persistent_duration_ns
from stacks.quic.configuration import Configuration
from stacks.quic.recovery.ecn import EcnState, EcnValidation
from stacks.quic.recovery.sent_packet import SentPacket

INITIAL_RTT_NS = 333_000_000
BIT_NS_PER_BYTE_S = 8_000_000_000


class PathCongestion:
    """One path. datagram_bytes: the largest at present. ecn: the codepoint that packets carry now.

    next_send_ns: when the pacer lets the next burst leave. is_recovering: whether a loss was found and no packet sent
    after it has been acknowledged. large_losses: times that packets larger than every path carries were found lost,
    since one of them arrived (RFC 8899 4.3).
    """

    __slots__ = (
        "_pacing_rest", "_persistent", "_quantum_left", "_recovery_start_ns", "_unresolved", "controller",
        "datagram_bytes", "delivery", "ecn", "is_recovering", "large_losses", "rtt", "validation",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, rng: random.Random, *, now: int) -> None:
        datagram_bytes = configuration.initial_datagram_bytes
        self.datagram_bytes = datagram_bytes
        initial = min(10 * datagram_bytes, max(14_720, 2 * datagram_bytes))
        self.delivery = Delivery(initial)
        self.rtt = RttEstimator()
        flow = Flow(
            line_rate_bps=LINE_RATE_BPS, packet_bytes=datagram_bytes, rng=rng, delivery=self.delivery, start_ns=now
        )
        self.controller: Controller = configuration.controller(flow)
        self.validation = EcnValidation(is_enabled=configuration.has_ecn)
        self.is_recovering = False
        self.large_losses = 0
        self.ecn = 0
        self._recovery_start_ns = -1
        self._persistent = PersistentCongestion()
        self._quantum_left = 0
        self._pacing_rest = 0
        self._unresolved = 0
        self._mark()

    @property
    def next_send_ns(self) -> int:
        """When the pacer lets the next burst leave; in the past where it holds nothing back."""
        return self.delivery.next_send_ns if self.controller.rate_bps is not None else 0

    def may_send(self, now: int) -> bool:
        """Whether the window and the pacer let a full packet leave now."""
        controller, delivery = self.controller, self.delivery
        window_bytes, inflight_bytes = controller.window_bytes, delivery.inflight_bytes
        if window_bytes is not None and inflight_bytes and inflight_bytes + self.datagram_bytes > window_bytes:
            delivery.cwnd_limited()
            return False
        if controller.rate_bps is not None and self._quantum_left <= 0:
            if now < delivery.next_send_ns:
                return False
            self._quantum_left = controller.send_quantum_bytes
        return True

    def is_paced_out(self, now: int) -> bool:
        """Whether it is the pacer, and not the window, that holds the next packet back."""
        controller, delivery = self.controller, self.delivery
        if controller.rate_bps is None or self._quantum_left > 0 or now >= delivery.next_send_ns:
            return False
        window_bytes = controller.window_bytes
        return window_bytes is None or delivery.inflight_bytes + self.datagram_bytes <= window_bytes

    def end_burst(self) -> None:
        """A quantum is a burst of one instant: what is left of it does not pass the pacer later."""
        self._quantum_left = 0

    def application_limited(self) -> None:
        """All there is has been sent."""
        window_bytes = self.controller.window_bytes
        if window_bytes is None or self.delivery.inflight_bytes < window_bytes:
            self.delivery.application_limited()

    def sent(self, packet: SentPacket, now: int) -> None:
        """A packet in flight leaves."""
        controller, delivery = self.controller, self.delivery
        size_bytes = packet.size_bytes
        controller.handle_sent(size_bytes, now)
        delivery.sent(packet, now)
        if packet.ecn:
            self.validation.packet_sent()
            if not self.validation.is_marking:
                self.ecn = 0
        rate_bps = controller.rate_bps
        if rate_bps is not None:
            self._quantum_left -= size_bytes
            owed, start_ns = size_bytes * BIT_NS_PER_BYTE_S, now
            if delivery.next_send_ns >= now:
                owed += self._pacing_rest
                start_ns = delivery.next_send_ns
            gap_ns, self._pacing_rest = divmod(owed, rate_bps)
            delivery.next_send_ns = start_ns + gap_ns

    def room_packets(self, size_bytes: int) -> int:
        """How many packets of `size_bytes` `may_send` would let leave one after the other, when it has let one."""
        controller, inflight_bytes = self.controller, self.delivery.inflight_bytes
        if not inflight_bytes or self.validation.state == EcnState.TESTING:
            return 0
        count = MANY
        window_bytes = controller.window_bytes
        if window_bytes is not None:
            count = max(0, (window_bytes - self.datagram_bytes - inflight_bytes) // size_bytes + 1)
        if controller.rate_bps is not None:
            count = min(count, max(0, -(-self._quantum_left // size_bytes)))
        return count

    def sent_run(self, count: int, size_bytes: int, now: int) -> None:
        """`count` packets of `size_bytes` leave, as `room_packets` allowed."""
        controller, delivery, total_bytes = self.controller, self.delivery, count * size_bytes
        controller.handle_sent(total_bytes, now)
        delivery.inflight_bytes += total_bytes
        if self.ecn:
            self.validation.sent += count
        rate_bps = controller.rate_bps
        if rate_bps is not None:
            self._quantum_left -= total_bytes
            owed, start_ns = total_bytes * BIT_NS_PER_BYTE_S, now
            if delivery.next_send_ns >= now:
                owed += self._pacing_rest
                start_ns = delivery.next_send_ns
            gap_ns, self._pacing_rest = divmod(owed, rate_bps)
            delivery.next_send_ns = start_ns + gap_ns

    def time(self, rtt_ns: int, ack_delay_ns: int, now: int) -> None:
        """A round-trip sample of this path (RFC 9002 5)."""
        rtt, delivery = self.rtt, self.delivery
        if not rtt.has_sample:
            self._persistent.sampled_ns = now
        rtt.update(rtt_ns, ack_delay_ns=ack_delay_ns)
        delivery.min_rtt_ns = rtt.min_ns
        delivery.srtt_ns = rtt.smoothed_ns

    def acknowledged(
        self,
        acked: Sequence[SentPacket],
        lost: Sequence[SentPacket],
        late: Sequence[SentPacket],
        *,
        rtt_ns: int | None,
        ack_delay_ns: int,
        ce_packets: int,
        now: int,
    ) -> None:
        """All that one acknowledgement changed on this path; `delivery` has the packets already."""
        controller = self.controller
        newest = acked[-1] if acked else None
        if self.large_losses and newest is not None and newest.size_bytes > MIN_DATAGRAM_BYTES:
            self.large_losses = 0
        if self.is_recovering and newest is not None and newest.sent_ns > self._recovery_start_ns:
            self.is_recovering = False
            controller.handle_recovered(now)
        if ce_packets and controller.ecn != ECT1 and newest is not None and newest.sent_ns > self._recovery_start_ns:
            self._begin(Loss(0, is_timeout=False, is_mark=True), now)
        if lost:
            self.lost(lost, now)
        if late:
            self._arrived_late(late, now)
        sample = self.delivery.sample(rtt_ns=rtt_ns, ce_packets=ce_packets, ack_delay_ns=ack_delay_ns)
        controller.handle_ack(sample, now)
        self._mark()

    def lost(self, lost: Sequence[SentPacket], now: int) -> None:
        """Packets were found lost (RFC 9002 7.3, 7.6); `delivery` has them already."""
        if lost[-1].size_bytes > MIN_DATAGRAM_BYTES:
            self.large_losses += 1
        eliciting = [packet for packet in lost if packet.is_ack_eliciting]
        is_persistent = self._persistent.lost(eliciting, persistent_duration_ns(self.rtt))
        if is_persistent or lost[-1].sent_ns > self._recovery_start_ns:
            lost_bytes = 0
            for packet in lost:
                lost_bytes += packet.size_bytes
            self._begin(Loss(lost_bytes, is_timeout=False, is_persistent=is_persistent), now)
        for packet in lost:
            self._unresolved += 1
            self.controller.handle_lost_packet(packet, now)
            if packet.ecn:
                self.validation.packet_lost()

    def handle_mtu(self, datagram_bytes: int, now: int) -> None:
        """Full datagrams have another size (RFC 8899)."""
        self.datagram_bytes = datagram_bytes
        self.controller.handle_mtu(datagram_bytes, now)

    def _begin(self, loss: Loss, now: int) -> None:
        self._recovery_start_ns = now
        if not self.is_recovering:
            self._unresolved = 0
        self.is_recovering = True
        self.controller.handle_loss(loss, now)

    def _arrived_late(self, late: Sequence[SentPacket], now: int) -> None:
        self._persistent.arrived_late()
        was_open = self._unresolved > 0
        self._unresolved -= len(late)
        if was_open and self._unresolved <= 0:
            self._unresolved = 0
            self.is_recovering = False
            self._recovery_start_ns = -1
            self.controller.handle_spurious_loss(now)

    def _mark(self) -> None:
        """Which codepoint packets carry: the controller's, or ECT(0) (RFC 9000 13.4)."""
        if not self.validation.is_marking:
            self.ecn = 0
        else:
            self.ecn = self.controller.ecn or ECT0


ECT1, ECT0 = 1, 2
MIN_DATAGRAM_BYTES = 1200
MANY = 1 << 30
LINE_RATE_BPS = 1_000_000_000_000
"""What our own interface sends is not known: a bound that no path reaches."""
