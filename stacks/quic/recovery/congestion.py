"""The congestion of one path: controller, delivery rates, round-trip times, pacing, ECN (RFC 9002 5, 7; RFC 9000 9.4).

    sent(packet) ... acknowledged(acked, lost, late) -> Controller -> window_bytes, rate_bps -> may_send, next_send_ns
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from stacks.congestion import Controller, Delivery, Flow, Loss, RttEstimator, WindowedController
from stacks.congestion.careful_resume import CarefulResume
from stacks.congestion.path_memory import SavedPath
from stacks.congestion.persistent import PERSISTENT_TIMEOUTS
from stacks.congestion.reordering import ReorderingThresholds
from stacks.quic.configuration import Configuration
from stacks.quic.recovery.ecn import ECT0, ECT1, EcnState, EcnValidation
from stacks.quic.recovery.persistent import PersistentCongestion
from stacks.quic.recovery.sent_packet import SentPacket

NextNumbers = Callable[[], tuple[int, int, int]]
BIT_NS_PER_BYTE_S = 8_000_000_000


class PathCongestion:
    """One path. datagram_bytes: the largest at present. ecn: the codepoint that packets carry now.

    thresholds: of reordering. is_recovering: whether a loss was found and no packet sent after it has been
    acknowledged. ack_delay_ns: the longest that the peer promises to wait with acknowledgements. large_losses: times
    that packets larger than every path carries were found lost, since one of them arrived (RFC 8899 4.3).
    remote: host by which the path is found in the configuration's memory, "" not to look.
    """

    __slots__ = (
        "_event_ns", "_is_held", "_marked_ns", "_memory", "_pacing_rest", "_persistent", "_quantum_left", "_remote",
        "_starts", "_unresolved", "ack_delay_ns", "controller", "datagram_bytes", "delivery", "ecn", "is_recovering",
        "large_losses", "rtt", "thresholds", "validation",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, rng: random.Random, *, now: int, remote: str = "") -> None:
        datagram_bytes = configuration.initial_datagram_bytes
        self.datagram_bytes = datagram_bytes
        initial_bytes = min(10 * datagram_bytes, max(14_720, 2 * datagram_bytes))
        self.delivery = Delivery(initial_bytes)
        self.rtt = RttEstimator()
        self.thresholds = ReorderingThresholds(self.rtt)
        flow = Flow(
            line_rate_bps=LINE_RATE_BPS, packet_bytes=datagram_bytes, rng=rng, delivery=self.delivery, start_ns=now
        )
        self.controller: Controller = configuration.controller(flow)
        self._memory, self._remote = configuration.path_memory, remote
        if self._memory is not None and remote and isinstance(self.controller, WindowedController):
            self.controller = CarefulResume(flow, self.controller, self._memory.take(remote, now))
        self.validation = EcnValidation(is_enabled=configuration.has_ecn)
        self.ack_delay_ns = DEFAULT_ACK_DELAY_NS
        self.is_recovering = False
        self.large_losses = 0
        self.ecn = 0
        # RFC 9002 7.3.2: losses among packets before these numbers, one a space, are of the same congestion event. (By
        # numbers, not by times: in virtual time much happens in one nanosecond.)
        self._starts = (0, 0, 0)
        self._event_ns = 0
        self._unresolved = 0  # packets lost since the event began that have not turned up
        self._persistent = PersistentCongestion()
        self._quantum_left = 0
        # What rounding to a nanosecond left of the last gap, in bits times nanoseconds per second.
        self._pacing_rest = 0
        self._marked_ns = -1
        self._is_held = False  # whether the pacer holds back what waits
        self._mark()

    @property
    def next_send_ns(self) -> int:
        """When the pacer lets the next burst leave; in the past where it holds nothing back."""
        return self.delivery.next_send_ns if self.controller.rate_bps is not None else 0

    def pto_ns(self) -> int:
        """The probe timeout (6.2.1), without the peer's delay and not doubled."""
        return self.rtt.retransmission_ns() if self.rtt.has_sample else INITIAL_PTO_NS

    def loss_delay_ns(self) -> int:
        """How long a packet is waited for when a later one was acknowledged (6.1.2)."""
        return self.thresholds.delay_ns() if self.rtt.has_sample else INITIAL_LOSS_DELAY_NS

    # Out

    def may_send(self, now: int) -> bool:
        """Whether the window and the pacer let a full packet leave now."""
        controller, delivery = self.controller, self.delivery
        window_bytes, inflight_bytes = controller.window_bytes, delivery.inflight_bytes
        # A window below one packet lets one out at a time: the flow must not stand still for ever.
        if window_bytes is not None and inflight_bytes and inflight_bytes + self.datagram_bytes > window_bytes:
            return False
        if controller.rate_bps is not None and self._quantum_left <= 0:
            if now < delivery.next_send_ns:
                return False
            self._quantum_left = controller.send_quantum_bytes
        if self._marked_ns >= 0 and now != self._marked_ns:
            self._marked_ns = -1
            self._mark()
        return True

    @property
    def is_full(self) -> bool:
        """Whether the window has no room for another full packet."""
        window_bytes, inflight_bytes = self.controller.window_bytes, self.delivery.inflight_bytes
        return window_bytes is not None and inflight_bytes > 0 and inflight_bytes + self.datagram_bytes > window_bytes

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

    def sent(self, packet: SentPacket, now: int) -> None:
        """A packet in flight leaves."""
        delivery, size_bytes = self.delivery, packet.size_bytes
        if not delivery.inflight_bytes:
            delivery.rto_ns = self.pto_ns() + self.ack_delay_ns
        self.controller.handle_sent(size_bytes, now)
        delivery.sent(packet, now)
        if packet.ecn and self.validation.state == EcnState.TESTING:
            self.validation.packet_sent()
            # The whole burst of this instant carries one codepoint: the next one is without.
            self._marked_ns = now
        if self.controller.rate_bps is not None:
            self._pace(size_bytes, now)

    def sent_run(self, count: int, size_bytes: int, now: int) -> None:
        """`count` packets of `size_bytes` leave, as `room_packets` allowed."""
        total_bytes = count * size_bytes
        self.controller.handle_sent(total_bytes, now)
        self.delivery.inflight_bytes += total_bytes
        if self.controller.rate_bps is not None:
            self._pace(total_bytes, now)

    def end_burst(self, now: int, *, has_more: bool, is_complete: bool = True) -> int | None:
        """A burst has left, or could not. When to come again by the pacer's word, None for not because of it.

        has_more: something waits to be sent. is_complete: the application may have said all it has to (it may not be
        asked before the handshake is done). A quantum is a burst of one instant: what is left of it does not pass the
        pacer later.
        """
        quantum_left, self._quantum_left = self._quantum_left, 0
        was_held, self._is_held = self._is_held, False
        delivery, window_bytes = self.delivery, self.controller.window_bytes
        if not has_more:
            if is_complete and (window_bytes is None or delivery.inflight_bytes < window_bytes):
                delivery.application_limited()
            return None
        if window_bytes is not None and delivery.inflight_bytes + self.datagram_bytes > window_bytes:
            delivery.cwnd_limited()
            return None
        if self.controller.rate_bps is None or quantum_left > 0 or now >= delivery.next_send_ns:
            self._is_held = was_held  # it is not through with what was held back
            return None
        self._is_held = True
        return delivery.next_send_ns

    # In

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
        rtt_ns: int | None,
        ack_delay_ns: int,
        ce_packets: int,
        next_numbers: NextNumbers,
        now: int,
    ) -> None:
        """All that one acknowledgement changed on this path; `delivery` has the packets already.

        acked: in rising order of their numbers. rtt_ns, ack_delay_ns, ce_packets: as of `Ack`. next_numbers: of the
        spaces.
        """
        controller = self.controller
        newest = acked[-1] if acked else None
        if self.large_losses and newest is not None and newest.size_bytes > MIN_DATAGRAM_BYTES:
            self.large_losses = 0
        is_after = newest is not None and newest.number >= self._starts[newest.space]
        if self.is_recovering and is_after:
            self.is_recovering = False
            self.thresholds.recovered()
            controller.handle_recovered(now)
        if ce_packets and is_after and controller.ecn != ECT1:
            self._begin(Loss(0, is_timeout=False, is_mark=True), next_numbers, now)
        if lost:
            self.lost(lost, next_numbers, now)
        if late:
            self._arrived_late(late, now)
        sample = self.delivery.sample(rtt_ns=rtt_ns, ce_packets=ce_packets, ack_delay_ns=ack_delay_ns)
        controller.handle_ack(sample, now)
        self._mark()

    def lost(self, lost: Sequence[SentPacket], next_numbers: NextNumbers, now: int) -> None:
        """Packets were found lost (RFC 9002 7.3, 7.6), in the order of sending; `delivery` has them already."""
        duration_ns = PERSISTENT_TIMEOUTS * (self.pto_ns() + self.ack_delay_ns)
        is_persistent = self._persistent.lost(lost, duration_ns)
        lost = [packet for packet in lost if not packet.is_mtu_probe]
        if not lost:
            return
        last = lost[-1]
        if last.size_bytes > MIN_DATAGRAM_BYTES:
            self.large_losses += 1
        if is_persistent or last.number >= self._starts[last.space]:
            lost_bytes = 0
            for packet in lost:
                lost_bytes += packet.size_bytes
            loss = Loss(lost_bytes, is_timeout=False, is_persistent=is_persistent)
            self._begin(loss, next_numbers, now)
        self._unresolved += len(lost)
        for packet in lost:
            self.controller.handle_lost_packet(packet, now)
            if packet.ecn and self.validation.state <= EcnState.UNKNOWN:
                self.validation.packet_lost()

    def handle_mtu(self, datagram_bytes: int, now: int) -> None:
        """Full datagrams have another size (RFC 8899)."""
        self.datagram_bytes = datagram_bytes
        self.controller.handle_mtu(datagram_bytes, now)

    def remember(self, now: int) -> None:
        """The connection ends: what its path carried is of use to the next (RFC 9959 3.1)."""
        controller, memory = self.controller, self._memory
        if memory is None or not isinstance(controller, CarefulResume):
            return
        if controller.observed_bytes >= RESUMED_TIMES * self.delivery.initial_window_bytes:
            memory.save(self._remote, SavedPath(controller.observed_bytes, self.rtt.min_ns, now))

    def _begin(self, loss: Loss, next_numbers: NextNumbers, now: int) -> None:
        self._starts = next_numbers()
        self._event_ns = now
        self._unresolved = 0
        self.is_recovering = True
        self.controller.handle_loss(loss, now)

    def _arrived_late(self, late: Sequence[SentPacket], now: int) -> None:
        """If no packet of the congestion event was lost, there was nothing to recover from."""
        self._persistent.arrived_late()
        was_open = self._unresolved > 0
        for packet in late:
            if packet.lost_ns >= self._event_ns:
                self._unresolved -= 1
        if was_open and not self._unresolved:
            self.is_recovering = False
            self._starts = (0, 0, 0)
            self.controller.handle_spurious_loss(now)

    def _pace(self, size_bytes: int, now: int) -> None:
        delivery, rate_bps = self.delivery, self.controller.rate_bps
        assert rate_bps is not None
        self._quantum_left -= size_bytes
        owed, start_ns = size_bytes * BIT_NS_PER_BYTE_S, now
        if delivery.next_send_ns >= now:
            owed += self._pacing_rest
            start_ns = delivery.next_send_ns
        elif self._is_held:
            # A driver that wakes late does not slow the flow down: what was held back by then leaves now.
            start_ns = max(delivery.next_send_ns, now - PAUSE_NS)
        gap_ns, self._pacing_rest = divmod(owed, rate_bps)
        delivery.next_send_ns = start_ns + gap_ns

    def _mark(self) -> None:
        """Which codepoint packets carry: the controller's, or ECT(0) (RFC 9000 13.4)."""
        self.ecn = (self.controller.ecn or ECT0) if self.validation.is_marking else 0


MIN_DATAGRAM_BYTES = 1200
MANY = 1 << 30
RESUMED_TIMES = 4
"""Initial windows below which what a path carried is not worth a jump (RFC 9959 3.1)."""
LINE_RATE_BPS = 1_000_000_000_000
"""What our own interface sends is not known: a bound that no path reaches."""
INITIAL_RTT_NS = 333_000_000
INITIAL_PTO_NS = 3 * INITIAL_RTT_NS
"""RFC 9002 6.2.2: the variation is half of the round trip."""
INITIAL_LOSS_DELAY_NS = INITIAL_RTT_NS * 9 // 8
DEFAULT_ACK_DELAY_NS = 25_000_000
PAUSE_NS = 20_000_000
"""What a driver may be late without the flow noticing, as of the model sender's endpoint."""
