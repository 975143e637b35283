"""The sender of a model flow: a real controller, a window, a pacer and loss recovery, and no bytes.

    write(n) -> poll_packets(now) -> the path -> the receiver -> handle_ack(ack, now) -> Controller
    poll_deadline() / handle_timeout(now): pacing, losses by time, probe and retransmission timeouts, the controller

Packets have numbers that are never used twice, as in QUIC; recovery is RFC 9002's, with two differences: the first
timeout sends a probe (RFC 8985 7), the second in a row counts everything as lost, as TCP's does (RFC 6298 5), so that
controllers meet retransmission timeouts as well; and its timer starts with the first packet after silence and at each
acknowledgement (RFC 6298 5.1, 5.3), not with each packet sent.

Bytes that are written are payload. A packet has `overhead_bytes` of headers beside it, which everything but `write`,
`unsent_bytes` and the receiver's goodput counts, as links and controllers do: 40 are IPv4 and TCP (20 + 20), 52 those
with timestamps, 68 IPv4, UDP and QUIC (20 + 8 + 40: a short header, a stream frame's, the tag). With 0 the payload is
all there is, and a transfer is by so much faster than a real one.
"""

from __future__ import annotations

from stacks.congestion.controller import Controller, ControllerFactory, Flow, Loss
from stacks.congestion.delivery import Delivery
from stacks.congestion.persistent import PersistentCongestion, persistent_duration_ns
from stacks.congestion.rtt import RttEstimator
from stacks.model.copies import Copies
from stacks.model.losses import LossDetector
from stacks.model.packets import AckPacket, DataPacket
from stacks.runtime.errors import LocalError

MILLISECOND_NS = 1_000_000


class Sender:
    """One flow.

    factory: of its controller. flow: as the controller gets it, with `delivery`. ack_delay_ns: the longest that the
    receiver delays acknowledgements, its `ReceiverConfig.ack_delay_ns` (a `ModelFlow` sees to that). granularity_ns: of
    timers (RFC 9002 6.1.2); None for a millisecond, or the flow's base round trip where that is shorter. minimum_ns: no
    timeout comes sooner. overhead_bytes: of a packet, LocalError where it leaves no room. unsent_bytes: data that was
    written and not sent yet. retransmitted_packets, timeouts, spurious_losses: counters.
    """

    def __init__(
        self,
        factory: ControllerFactory,
        flow: Flow,
        *,
        ack_delay_ns: int = 25_000_000,
        granularity_ns: int | None = None,
        minimum_ns: int = MILLISECOND_NS,
        overhead_bytes: int = 0,
    ) -> None:
        assert flow.delivery is not None
        if not 0 <= overhead_bytes < flow.packet_bytes:
            raise LocalError(f"{overhead_bytes} bytes of headers leave nothing of a packet of {flow.packet_bytes}")
        self.delivery: Delivery = flow.delivery
        self.controller: Controller = factory(flow)
        if granularity_ns is None:
            # DEVIATION: RFC 9002's millisecond is a hundred round trips of a data centre.
            granularity_ns = min(flow.base_rtt_ns or MILLISECOND_NS, MILLISECOND_NS)
        self.rtt = RttEstimator(granularity_ns=granularity_ns, minimum_ns=minimum_ns)
        self.rtt.max_ack_delay_ns = ack_delay_ns
        self.packet_bytes = flow.packet_bytes
        self.overhead_bytes = overhead_bytes
        self._payload_bytes = flow.packet_bytes - overhead_bytes
        self.losses = LossDetector(self.delivery, self.rtt)
        self.unsent_bytes = 0
        self.sent_packets = 0
        self.sent_bytes = 0
        self.retransmitted_packets = 0
        self.lost_packets = 0
        self.timeouts = 0
        self.spurious_losses = 0
        self._number = 0
        self._segment = 0
        self._copies = Copies(self.losses.outstanding)
        # What waits to be sent again, by segment; the same object as `_copies` has.
        self._again = self._copies.waiting
        self._persistent = PersistentCongestion()
        self._ce_packets = 0
        self._quantum_left = 0
        # What rounding to a nanosecond left of the last gap, in bits times nanoseconds per second.
        self._pacing_rest = 0
        self._is_paced_out = False
        self._probes = 0
        # The probe timeout (RFC 9002 6.2.1), doubled `_backoff` times, from `_timer_base_ns` on.
        self._pto_ns = INITIAL_TIMEOUT_NS
        self._backoff = 0
        self._timer_base_ns = flow.start_ns
        self._floor = 0
        # RFC 9002 7.3.2: losses among packets before this number are of the same congestion event. (By numbers, not by
        # times: in virtual time much happens in one nanosecond.)
        self._recovery_start = 0
        self._is_recovering = False
        # What a timeout counted as lost, by segment: its recovery lasts until all of it has arrived (RFC 6582 3.2).
        self._awaited: set[int] = set()
        self._timeout_segment = 0
        self._unresolved: set[int] = set()

    @property
    def is_recovering(self) -> bool:
        """Whether a loss was found, and no packet sent after it has been acknowledged."""
        return self._is_recovering

    @property
    def is_done(self) -> bool:
        """Whether everything that was written has been acknowledged; a second copy of it may still be on its way."""
        return not (self.unsent_bytes or self._again or self._copies.is_data_missing())

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes to send."""
        if not self.unsent_bytes:
            self._check_application_limited()
        self.unsent_bytes += length_bytes

    def poll_packets(self, now: int) -> list[DataPacket]:
        """Everything that may leave now."""
        packets: list[DataPacket] = []
        controller, delivery = self.controller, self.delivery
        self._is_paced_out = False
        while self.unsent_bytes or self._again:
            if self._probes:
                self._probes -= 1
            else:
                window_bytes, inflight_bytes = controller.window_bytes, delivery.inflight_bytes
                # A window below one packet lets one out at a time: the flow must not stand still for ever.
                if (
                    window_bytes is not None
                    and inflight_bytes
                    and inflight_bytes + self.packet_bytes > window_bytes
                    and inflight_bytes + self._next_bytes() > window_bytes
                ):
                    delivery.cwnd_limited()
                    break
                if controller.rate_bps is not None and self._quantum_left <= 0:
                    if now < delivery.next_send_ns:
                        self._is_paced_out = True
                        break
                    self._quantum_left = controller.send_quantum_bytes
            packets.append(self._send(now))
        # A quantum is a burst of one instant: what is left of it does not pass the pacer later.
        self._quantum_left = 0
        return packets

    def handle_ack(self, ack: AckPacket, now: int) -> None:
        """An acknowledgement arrives; `poll_packets` afterwards."""
        losses = self.losses
        if not self.unsent_bytes:
            self._check_application_limited()
        arrived, late = losses.acknowledged(ack.ranges, now)
        if not arrived and not late:
            return
        rtt_ns = None
        # Ranges come newest first, and the packets of each in order. A packet that was given up is timed as well, or a
        # first timeout below the round trip would never be corrected.
        newest = arrived[-1] if len(ack.ranges) == 1 and not late else max((*arrived, *late), key=_number)
        if newest.number == ack.ranges[0][1]:
            rtt_ns = self._time(newest, ack.delay_ns, now)
        ce_packets = ack.ce_packets - self._ce_packets
        if ce_packets > 0:
            self._ce_packets = ack.ce_packets
        self._backoff = 0
        self._timer_base_ns = now
        if self._again or self._copies.newest:
            self._awaited.difference_update(self._copies.arrived(arrived, self._floor))
        if self._is_recovering and newest.number >= self._recovery_start and not self._awaited:
            self._is_recovering = False
            losses.thresholds.recovered()
            self.controller.handle_recovered(now)
        lost = losses.find_lost(now)
        if lost:
            self._lost(lost, now)
        if late:
            self._arrived_late(late, now)
        sample = self.delivery.sample(rtt_ns=rtt_ns, ce_packets=max(ce_packets, 0), ack_delay_ns=ack.delay_ns)
        sample.telemetry = ack.echo
        self.controller.handle_ack(sample, now)
        if not self._awaited:
            # While a timeout's recovery is on, how late packets may be is not known.
            losses.forget(now)
        self._floor = losses.floor

    def handle_mtu(self, packet_bytes: int, now: int) -> None:
        """Full packets have this size from here; LocalError where the headers leave no room."""
        if packet_bytes <= self.overhead_bytes:
            raise LocalError(f"{self.overhead_bytes} bytes of headers leave nothing of a packet of {packet_bytes}")
        self.packet_bytes = packet_bytes
        self._payload_bytes = packet_bytes - self.overhead_bytes
        self.controller.handle_mtu(packet_bytes, now)

    def handle_notification(self, now: int) -> None:
        """A CNP arrives; `poll_packets` afterwards."""
        self.controller.handle_notification(now)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` and `poll_packets` are due."""
        due_ns = min(self.timer_deadline(), self.pacing_deadline())
        return None if due_ns == NEVER else due_ns

    def pacing_deadline(self) -> int:
        """The part of `poll_deadline` that moves with each packet: when the pacer lets the next one go, or NEVER."""
        return self.delivery.next_send_ns if self._is_paced_out else NEVER

    def timer_deadline(self) -> int:
        """The other part: timeouts, losses by time, the controller; or NEVER."""
        due_ns = self._timer_base_ns + (self._pto_ns << self._backoff) if self.losses.outstanding else NEVER
        other_ns = self.losses.loss_due_ns
        if other_ns is not None and other_ns < due_ns:
            due_ns = other_ns
        other_ns = self.controller.poll_deadline()
        if other_ns is not None and other_ns < due_ns:
            due_ns = other_ns
        return due_ns

    def handle_timeout(self, now: int) -> None:
        """Whatever is due."""
        if not self.unsent_bytes:
            self._check_application_limited()
        self.controller.handle_timeout(now)
        loss_due_ns = self.losses.loss_due_ns
        if loss_due_ns is not None and now >= loss_due_ns:
            self._lost(self.losses.find_lost(now), now)
        if self.losses.outstanding and now >= self._timer_base_ns + (self._pto_ns << self._backoff):
            self._time_out(now)

    def _send(self, now: int) -> DataPacket:
        controller, number = self.controller, self._number
        if self._again:
            former = self._copies.take(number)
            packet = DataPacket(number, former.segment, former.size_bytes)
            packet.is_retransmission = True
            self.retransmitted_packets += 1
        else:
            payload_bytes = self._payload_bytes
            if payload_bytes > self.unsent_bytes:
                payload_bytes = self.unsent_bytes
            self.unsent_bytes -= payload_bytes
            packet = DataPacket(number, self._segment, payload_bytes + self.overhead_bytes)
            self._segment += 1
        size_bytes = packet.size_bytes
        self._number = number + 1
        packet.ecn = controller.ecn
        if controller.wants_telemetry:
            packet.telemetry = []
        delivery, outstanding = self.delivery, self.losses.outstanding
        if not outstanding:
            self._timer_base_ns = now
            delivery.rto_ns = self._pto_ns
        controller.handle_sent(size_bytes, now)
        delivery.sent(packet, now)
        outstanding[number] = packet
        packet.floor = self._floor
        self.sent_packets += 1
        self.sent_bytes += size_bytes
        rate_bps = controller.rate_bps
        if rate_bps is not None:
            self._quantum_left -= size_bytes
            owed, start_ns = size_bytes * BIT_NS_PER_BYTE_S, now
            if delivery.next_send_ns >= now:
                owed += self._pacing_rest
                start_ns = delivery.next_send_ns
            gap_ns, self._pacing_rest = divmod(owed, rate_bps)
            delivery.next_send_ns = start_ns + gap_ns
        return packet

    def _next_bytes(self) -> int:
        """Size of the packet that is next."""
        again = self._copies.first()
        if again is not None:
            return again.size_bytes
        return min(self._payload_bytes, self.unsent_bytes) + self.overhead_bytes

    def _check_application_limited(self) -> None:
        """CheckIfApplicationLimited (draft-ietf-ccwg-bbr 4.1.2.4): before a write, an acknowledgement, a timeout."""
        if self.unsent_bytes or self._again:
            return
        window_bytes = self.controller.window_bytes
        if window_bytes is None or self.delivery.inflight_bytes < window_bytes:
            self.delivery.application_limited()

    def _time(self, newest: DataPacket, delay_ns: int, now: int) -> int:
        # Of the packet as it really left; rates are of the departure that was planned.
        rtt_ns = now - newest.sent_ns - newest.late_ns
        rtt, delivery = self.rtt, self.delivery
        if not rtt.has_sample:
            self._persistent.sampled_ns = now
        rtt.update(rtt_ns, ack_delay_ns=delay_ns)
        delivery.min_rtt_ns = rtt.min_ns
        delivery.srtt_ns = rtt.smoothed_ns
        self._pto_ns = rtt.retransmission_ns() + rtt.max_ack_delay_ns
        return rtt_ns

    # Loss and recovery

    def _lost(self, lost: list[DataPacket], now: int, *, is_timeout: bool = False) -> None:
        if not lost:
            return
        self.lost_packets += len(lost)
        is_persistent = self._persistent.lost(lost, persistent_duration_ns(self.rtt))
        if is_timeout or is_persistent or self._is_news(lost):
            self._recovery_start = self._number
            self._is_recovering = True
            if self._backoff <= 2:
                self._unresolved.clear()  # timeouts in a row are one event
            self._awaited.clear()
            self._timeout_segment = self._segment
            lost_bytes = sum(packet.size_bytes for packet in lost)
            loss = Loss(lost_bytes, is_timeout=is_timeout, is_persistent=is_persistent)
            self.controller.handle_loss(loss, now)
        for packet in lost:
            self.controller.handle_lost_packet(packet, now)
        self._copies.lost(lost)
        if is_timeout:
            self._awaited.update(self._again)
        self._unresolved.update(packet.number for packet in lost)

    def _is_news(self, lost: list[DataPacket]) -> bool:
        """Whether these losses are a congestion event of their own.

        Losses of what a timeout sends again are not: no fast recovery before all of it has arrived (RFC 6582 3.2).
        """
        if not self._awaited:
            return lost[-1].number >= self._recovery_start
        return any(packet.segment >= self._timeout_segment for packet in lost)

    def _arrived_late(self, late: list[DataPacket], now: int) -> None:
        """They need not be sent again; and if no packet of the recovery was lost, there was nothing to recover from."""
        self._awaited.difference_update(packet.segment for packet in late)
        self._copies.arrived(late, self._floor)
        self._persistent.arrived_late()
        self.spurious_losses += len(late)
        was_open = bool(self._unresolved)
        self._unresolved.difference_update(packet.number for packet in late)
        if was_open and not self._unresolved:
            self._is_recovering = False
            self._recovery_start = 0
            self._awaited.clear()
            self.controller.handle_spurious_loss(now)

    def _time_out(self, now: int) -> None:
        self._backoff = min(self._backoff + 1, MAX_BACKOFF)
        self._timer_base_ns = now
        if self._backoff == 1:
            # A probe: the newest data again, or new data.
            self._probes = 1
            if not self.unsent_bytes and not self._again:
                self._copies.send_again(next(reversed(self.losses.outstanding.values())))
            return
        self.timeouts += 1
        self._lost(self.losses.find_all_lost(now), now, is_timeout=True)
        self._probes = 1


def _number(packet: DataPacket) -> int:
    return packet.number


BIT_NS_PER_BYTE_S = 8_000_000_000
INITIAL_TIMEOUT_NS = 1_000_000_000
NEVER = 1 << 62
MAX_BACKOFF = 6
