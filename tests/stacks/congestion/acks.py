"""Acknowledgements as a connection would make them, for tests that drive a controller by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stacks.congestion import Ack, Controller, ControllerFactory, Delivery, Flow

PACKET = 1000
GBPS = 1_000_000_000


class Packet:
    """A record of a packet sent."""

    def __init__(self, number: int) -> None:
        self.size_bytes = PACKET
        self.number = number
        self.sent_ns = self.first_send_ns = self.delivered_ns = 0
        self.delivered_bytes = self.lost_bytes = self.tx_in_flight_bytes = 0
        self.is_app_limited = False


class Connection:
    """A controller with the totals of its connection: `send` packets, `ack` the oldest of them."""

    def __init__(
        self,
        factory: ControllerFactory,
        *,
        initial_packets: int = 10,
        line_rate_bps: int = 10 * GBPS,
        base_rtt_ns: int = 0,
    ) -> None:
        self.delivery = Delivery(initial_packets * PACKET)
        self.flow = Flow(
            line_rate_bps=line_rate_bps, packet_bytes=PACKET, delivery=self.delivery, base_rtt_ns=base_rtt_ns
        )
        self.controller: Controller = factory(self.flow)
        self.now = 0
        self.number = 0
        self.out: list[Packet] = []

    def send(self, packets: int) -> None:
        for _ in range(packets):
            packet = Packet(self.number)
            self.number += 1
            self.delivery.sent(packet, self.now)
            self.out.append(packet)

    def fill(self) -> int:
        """Send all that the window allows; how many packets that were."""
        window_bytes = self.controller.window_bytes
        assert window_bytes is not None
        packets = max(0, (window_bytes - self.delivery.inflight_bytes) // PACKET)
        self.send(packets)
        self.delivery.cwnd_limited()
        return packets

    def ack(
        self, packets: int = 1, *, marks: int = 0, rtt_ns: int | None = None, telemetry: Sequence[Any] | None = None
    ) -> Ack:
        for packet in self.out[:packets]:
            self.delivery.acked(packet, self.now)
        del self.out[:packets]
        sample = self.delivery.sample(rtt_ns=rtt_ns, ce_packets=marks)
        sample.telemetry = telemetry
        self.controller.handle_ack(sample, self.now)
        return sample

    def round(self, *, marks: int = 0, rtt_ns: int = 100_000) -> None:
        """A round trip of a full window, acknowledged packet by packet, whose last `marks` packets were marked."""
        self.fill()
        self.now += rtt_ns
        self.delivery.srtt_ns = rtt_ns
        packets = len(self.out)
        for index in range(packets):
            self.ack(marks=int(index >= packets - marks), rtt_ns=rtt_ns)
