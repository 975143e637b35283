"""What a model sender and receiver exchange: data, acknowledgements, and congestion notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transports.link.packet import LinkPacket, Sink


class DataPacket(LinkPacket):
    """A packet of data without contents; also the sender's record of it (`stacks.congestion.SentPacket`).

    That one object is both saves time, and asks of the network that it leaves the size alone (`LinkPacket`); of what it
    may change (ecn, telemetry, where the packet is) the sender looks at nothing afterwards.

    number: of this transmission; never used twice. segment: of the data in it; a retransmission has the same.
    floor: the sender cares about no number below; the receiver forgets them. lost_ns: when it was found lost. late_ns:
    by how much it left after `sent_ns`, the departure that was planned; 0 in virtual time.
    """

    __slots__ = (
        "delivered_bytes", "delivered_ns", "first_send_ns", "floor", "is_app_limited", "is_retransmission",
        "late_ns", "lost_after_bytes", "lost_bytes", "lost_ns", "number", "segment", "sent_ns", "tx_in_flight_bytes",
    )  # fmt: skip
    sent_ns: int
    first_send_ns: int
    delivered_ns: int
    delivered_bytes: int
    lost_bytes: int
    lost_after_bytes: int
    tx_in_flight_bytes: int
    is_app_limited: bool
    lost_ns: int

    def __init__(self, number: int, segment: int, size_bytes: int, route: Sequence[Sink] = ()) -> None:
        # All of LinkPacket's attributes but `flow`, `payload` and `enqueued_ns`, which somebody sets before they are
        # read; and none that `Delivery.sent` writes: one is made for every packet.
        self.size_bytes = size_bytes
        self.route = route
        self.hop = -1
        self.ecn = self.flow = self.priority = 0
        self.is_corrupt = False
        self.telemetry = None
        self.number = number
        self.segment = segment
        self.floor = self.late_ns = 0
        self.is_retransmission = False


class AckPacket(LinkPacket):
    """What a receiver has.

    ranges: of packet numbers, first and last, newest first. ce_packets: how many arrived marked, ever. delay_ns: since
    the newest of them arrived. echo: telemetry of that packet, None if it had none; of its own way it keeps none.
    """

    __slots__ = ("ce_packets", "delay_ns", "echo", "ranges")

    def __init__(
        self,
        ranges: Sequence[tuple[int, int]],
        ce_packets: int,
        delay_ns: int,
        size_bytes: int = 0,
        route: Sequence[Sink] = (),
    ) -> None:
        # As of a data packet.
        self.size_bytes = size_bytes
        self.route = route
        self.hop = -1
        self.ecn = self.flow = self.priority = 0
        self.is_corrupt = False
        self.telemetry = None
        self.ranges = ranges
        self.ce_packets = ce_packets
        self.delay_ns = delay_ns
        self.echo: Sequence[Any] | None = None


class CnpPacket(LinkPacket):
    """The receiver says that marks arrived (a CNP of RoCEv2, IBTA A17.9.3)."""

    __slots__ = ()
