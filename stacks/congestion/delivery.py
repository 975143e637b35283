"""What a connection has sent, got through and lost: the delivery-rate samples that controllers work from.

    delivery.sent(packet, now)            for each packet as it leaves; writes the packet's side of the sample
    delivery.acked(packet, now)           for each packet newly acknowledged
    delivery.lost(packet)                 for each packet found lost
    delivery.acked_late(packet, now)      for one that was found lost and arrived after all
    delivery.sample(...) -> Ack      once, after all that one acknowledgement changed

Counts are bytes, as the stack's packets count themselves, and times integer nanoseconds. The names are those of
draft-ietf-ccwg-bbr, section 4.1, whose C. is this object, whose P. are the attributes of a packet and whose RS. is the
`Ack`. The draft's pseudocode never assigns RS.tx_in_flight and RS.lost: they are of the newest packet acknowledged, as
its text says, the losses counted up to the end of the acknowledgement. A flow may begin at time 0, so "no sample" is a
prior time of -1. Packets that are never acknowledged by themselves (pure ACKs) are not told of.
"""

from __future__ import annotations

from typing import Protocol

from stacks.congestion.controller import Ack


class SentPacket(Protocol):
    """A stack's record of a packet: it has these attributes, of which it sets only the size before `sent`.

    size_bytes: as counted everywhere. number: rises with each packet sent. The rest is written by `Delivery.sent`:
    sent_ns: its departure. first_send_ns, delivered_ns, delivered_bytes, lost_bytes: of the connection at that moment.
    tx_in_flight_bytes: in flight then, with it. is_app_limited: the application had no more to send. `Delivery.lost`
    adds lost_after_bytes: of the connection with this packet, where several are found lost together.
    """

    size_bytes: int
    number: int
    sent_ns: int
    first_send_ns: int
    delivered_ns: int
    delivered_bytes: int
    lost_bytes: int
    lost_after_bytes: int
    tx_in_flight_bytes: int
    is_app_limited: bool


class Delivery:
    """The totals of one connection.

    delivered_bytes, lost_bytes: ever (a late packet counts in both). inflight_bytes: sent, and neither acknowledged nor
    lost. app_limited: 0, or the value of `delivered_bytes` at which the application's pause has been delivered.
    min_rtt_ns, srtt_ns: kept by the stack's RttEstimator, 0 before the first sample: any interval makes a rate then.
    initial_window_bytes: of the connection. rto_ns: the retransmission timeout, which the stack brings up to date
    before it sends the first packet after silence; 0 while it is not known. next_send_ns: when the pacer lets the next
    packet leave, in the past where it does not hold anything back.
    """

    __slots__ = (
        "_cwnd_limited_until", "_sample", "app_limited", "delivered_bytes", "delivered_ns",
        "first_send_ns", "inflight_bytes", "initial_window_bytes", "lost_bytes", "min_rtt_ns", "next_send_ns", "rto_ns",
        "srtt_ns",
    )  # fmt: skip

    def __init__(self, initial_window_bytes: int = 0) -> None:
        self.delivered_bytes = 0
        self.lost_bytes = 0
        self.inflight_bytes = 0
        self.delivered_ns = 0
        self.first_send_ns = 0
        self.app_limited = 0
        self.min_rtt_ns = 0
        self.srtt_ns = 0
        self.rto_ns = 0
        self.next_send_ns = 0
        self.initial_window_bytes = initial_window_bytes
        self._cwnd_limited_until = -1
        self._sample = Ack(0, 0)

    @property
    def is_cwnd_limited(self) -> bool:
        """Whether the window held data back at some time in the last packet-timed round."""
        return self.delivered_bytes <= self._cwnd_limited_until

    def cwnd_limited(self) -> None:
        """The window holds data back now."""
        self._cwnd_limited_until = self.delivered_bytes + self.inflight_bytes

    def application_limited(self) -> None:
        """All there is has been sent, and the window has room: samples of it say little about the path (4.1.2.4)."""
        self.app_limited = self.delivered_bytes + self.inflight_bytes or 1

    def sent(self, packet: SentPacket, now: int) -> None:
        """A packet leaves (4.1.2.2). now: its departure, as the pacer planned it."""
        if not self.inflight_bytes:
            self.first_send_ns = self.delivered_ns = now
        self.inflight_bytes += packet.size_bytes
        packet.sent_ns = now
        packet.first_send_ns = self.first_send_ns
        packet.delivered_ns = self.delivered_ns
        packet.delivered_bytes = self.delivered_bytes
        packet.lost_bytes = self.lost_bytes
        packet.tx_in_flight_bytes = self.inflight_bytes
        packet.is_app_limited = self.app_limited != 0

    def acked(self, packet: SentPacket, now: int) -> None:
        """A packet in flight is newly acknowledged (4.1.2.3)."""
        size_bytes = packet.size_bytes
        self.inflight_bytes -= size_bytes
        self.delivered_bytes += size_bytes
        self.delivered_ns = now
        ack = self._sample
        ack.acked_bytes += size_bytes
        ack.acked_packets += 1
        sent_ns, number = packet.sent_ns, packet.number
        if ack.prior_delivered_ns >= 0 and (
            sent_ns < self.first_send_ns or (sent_ns == self.first_send_ns and number <= ack.newest_number)
        ):
            return  # not IsNewestPacket of this acknowledgement
        ack.newest_number = number
        ack.newest_sent_ns = sent_ns
        ack.prior_delivered_bytes = packet.delivered_bytes
        ack.prior_delivered_ns = packet.delivered_ns
        ack.is_app_limited = packet.is_app_limited
        ack.tx_in_flight_bytes = packet.tx_in_flight_bytes
        ack.sample_lost_bytes = -packet.lost_bytes
        ack.send_elapsed_ns = sent_ns - packet.first_send_ns
        ack.ack_elapsed_ns = now - packet.delivered_ns
        self.first_send_ns = sent_ns

    def acked_before(self, packets: int, total_bytes: int) -> None:
        """`packets` in flight, of `total_bytes`, are acknowledged with a newer one, which `acked` is told of next."""
        self.inflight_bytes -= total_bytes
        self.delivered_bytes += total_bytes
        ack = self._sample
        ack.acked_bytes += total_bytes
        ack.acked_packets += packets

    def acked_late(self, packet: SentPacket, now: int) -> None:
        """A packet that had been found lost has arrived."""
        # It was not in flight when the end of the round was set: the round ends as much later.
        self._cwnd_limited_until += packet.size_bytes
        self.inflight_bytes += packet.size_bytes
        self._sample.late_bytes += packet.size_bytes
        self.acked(packet, now)

    def lost(self, packet: SentPacket) -> None:
        """A packet in flight is found lost."""
        size_bytes = packet.size_bytes
        self.inflight_bytes -= size_bytes
        self.lost_bytes += size_bytes
        packet.lost_after_bytes = self.lost_bytes
        self._sample.lost_bytes += size_bytes

    def discarded(self, packet: SentPacket) -> None:
        """A packet in flight counts no more, and is no loss (the keys of its space are gone)."""
        self.inflight_bytes -= packet.size_bytes

    def sample(self, *, rtt_ns: int | None = None, ce_packets: int = 0, ack_delay_ns: int = 0) -> Ack:
        """Everything about one acknowledgement, and what was found lost since the one before.

        rtt_ns: of the newest packet newly acknowledged, if that was timed; ack_delay_ns: what the peer waited before it
        said so. ce_packets: newly reported as marked.
        `delivery_rate_bps` is 0 where the acknowledgement gives no sample (4.1.2.3: nothing new, or an interval below
        the smallest round trip).
        """
        ack, self._sample = self._sample, Ack(0, 0)
        if self.app_limited and self.delivered_bytes > self.app_limited:
            self.app_limited = 0
        ack.inflight_bytes = self.inflight_bytes
        ack.rtt_ns = rtt_ns
        ack.ce_packets = ce_packets
        ack.ack_delay_ns = ack_delay_ns
        if ack.prior_delivered_ns < 0:
            return ack
        interval_ns = max(ack.send_elapsed_ns, ack.ack_elapsed_ns)
        ack.interval_ns = interval_ns
        ack.delivered_bytes = delivered_bytes = self.delivered_bytes - ack.prior_delivered_bytes
        ack.sample_lost_bytes += self.lost_bytes
        if interval_ns >= self.min_rtt_ns and interval_ns > 0:
            ack.delivery_rate_bps = delivered_bytes * BIT_NS_PER_BYTE_S // interval_ns
        return ack


BIT_NS_PER_BYTE_S = 8_000_000_000
