"""What is remembered of a packet until it is acknowledged or lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacks.quic.packet_writer import SentFrame

if TYPE_CHECKING:
    from stacks.quic.recovery.congestion import PathCongestion


class SentPacket:
    """A `stacks.congestion.SentPacket` of QUIC.

    space, number: which. size_bytes: of UDP payload. records: of its frames. congestion: of the path it was sent on.
    is_mtu_probe: its loss says nothing of congestion (RFC 9000 14.4). is_requeued: a probe sends its frames again, so
    that they are not told again that it is lost. The rest is written by `Delivery`.
    """

    __slots__ = (
        "congestion", "delivered_bytes", "delivered_ns", "ecn", "first_send_ns", "is_ack_eliciting", "is_app_limited",
        "is_in_flight", "is_mtu_probe", "is_requeued", "lost_after_bytes", "lost_bytes", "lost_ns", "number", "records",
        "sent_ns", "size_bytes", "space", "tx_in_flight_bytes",
    )  # fmt: skip

    def __init__(
        self,
        space: int,
        number: int,
        size_bytes: int,
        records: Sequence[SentFrame],
        congestion: PathCongestion,
        *,
        is_ack_eliciting: bool,
        is_in_flight: bool,
        ecn: int = 0,
        is_mtu_probe: bool = False,
    ) -> None:
        self.space = space
        self.number = number
        self.size_bytes = size_bytes
        self.records = records
        self.congestion = congestion
        self.is_ack_eliciting = is_ack_eliciting
        self.is_in_flight = is_in_flight
        self.ecn = ecn
        self.is_mtu_probe = is_mtu_probe
        self.is_requeued = False
        self.sent_ns = self.lost_ns = 0
        self.first_send_ns = self.delivered_ns = self.delivered_bytes = 0
        self.lost_bytes = self.lost_after_bytes = self.tx_in_flight_bytes = 0
        self.is_app_limited = False
