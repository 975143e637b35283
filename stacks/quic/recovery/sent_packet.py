"""What is remembered of a packet until it is acknowledged or lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.packet_writer import SentFrame

if TYPE_CHECKING:
    from stacks.quic.recovery.congestion import PathCongestion


class SentPacket:
    """A `stacks.congestion.SentPacket` of QUIC.

    space, number: which. size_bytes: of UDP payload. records: of its frames. congestion: of the path it was sent on.
    count: of packets that it stands for; others than 1 only when a `SentRun` is acknowledged.
    is_mtu_probe: its loss says nothing of congestion (RFC 9000 14.4). is_requeued: a probe sends its frames again, so
    that they are not told again that it is lost. The rest is written by `Delivery`.
    """

    __slots__ = (
        "congestion", "count", "delivered_bytes", "delivered_ns", "ecn", "first_send_ns", "is_ack_eliciting",
        "is_app_limited", "is_in_flight", "is_mtu_probe", "is_requeued", "lost_after_bytes", "lost_bytes", "lost_ns",
        "number", "records", "sent_ns", "size_bytes", "space", "tx_in_flight_bytes",
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
        self.count = 1
        self.sent_ns = self.lost_ns = 0
        self.first_send_ns = self.delivered_ns = self.delivered_bytes = 0
        self.lost_bytes = self.lost_after_bytes = self.tx_in_flight_bytes = 0
        self.is_app_limited = False


MakeRecord = Callable[[int, int], SentFrame]
"""Makes the record of a STREAM frame from the offsets of its data in the stream, first and behind the last."""


class SentRun:
    """1-RTT packets in a row, equal but for their numbers, each with one STREAM frame of one stream: one for all.

    first, count: their numbers. size_bytes: of each; data_bytes: of its data, from `offset` of the stream on for the
    first. Everything that concerns one of them alone makes it a `SentPacket` (`packet`).
    """

    __slots__ = (
        "congestion", "count", "data_bytes", "delivered_bytes", "delivered_ns", "ecn", "first", "first_send_ns",
        "inflight_bytes", "is_app_limited", "lost_bytes", "make_record", "offset", "sent_ns", "size_bytes",
    )  # fmt: skip

    is_ack_eliciting = is_in_flight = True
    is_mtu_probe = is_requeued = False

    def __init__(
        self,
        first: int,
        count: int,
        size_bytes: int,
        *,
        offset: int,
        data_bytes: int,
        make_record: MakeRecord,
        congestion: PathCongestion,
        now: int,
    ) -> None:
        delivery = congestion.delivery
        self.first = first
        self.count = count
        self.size_bytes = size_bytes
        self.offset = offset
        self.data_bytes = data_bytes
        self.make_record = make_record
        self.congestion = congestion
        self.ecn = congestion.ecn
        self.sent_ns = now
        self.first_send_ns = delivery.first_send_ns
        self.delivered_ns = delivery.delivered_ns
        self.delivered_bytes = delivery.delivered_bytes
        self.lost_bytes = delivery.lost_bytes
        self.inflight_bytes = delivery.inflight_bytes
        self.is_app_limited = delivery.app_limited != 0

    def packet(self, number: int, first: int | None = None) -> SentPacket:
        """Packet `number` alone; with the frames of all from `first` on, if that is given."""
        index = number - self.first
        start = self.offset + (index if first is None else first - self.first) * self.data_bytes
        record = self.make_record(start, self.offset + (index + 1) * self.data_bytes)
        packet = SentPacket(
            SPACE_APPLICATION, number, self.size_bytes, (record,), self.congestion,
            is_ack_eliciting=True, is_in_flight=True, ecn=self.ecn,
        )  # fmt: skip
        packet.sent_ns = self.sent_ns
        packet.first_send_ns = self.first_send_ns
        packet.delivered_ns = self.delivered_ns
        packet.delivered_bytes = self.delivered_bytes
        packet.lost_bytes = self.lost_bytes
        packet.tx_in_flight_bytes = self.inflight_bytes + (index + 1) * self.size_bytes
        packet.is_app_limited = self.is_app_limited
        return packet
