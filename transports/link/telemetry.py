"""In-band network telemetry: what a port writes into a packet that it sends, if the packet asks for it (HPCC, INT)."""

from __future__ import annotations


class HopRecord:
    """One port, at the moment at which it began to send the packet (HPCC, SIGCOMM 2019, figure 6).

    hop_id: of the port. queue_bytes: what still waits behind the packet. sent_bytes: all that the port ever sent, this
    packet included. time_ns: of the timeline. rate_bps: of the port's link.
    """

    __slots__ = ("hop_id", "queue_bytes", "rate_bps", "sent_bytes", "time_ns")

    def __init__(self, hop_id: int, queue_bytes: int, sent_bytes: int, time_ns: int, rate_bps: int) -> None:
        self.hop_id = hop_id
        self.queue_bytes = queue_bytes
        self.sent_bytes = sent_bytes
        self.time_ns = time_ns
        self.rate_bps = rate_bps

    def __repr__(self) -> str:
        return (
            f"HopRecord({self.hop_id}, queue_bytes={self.queue_bytes}, sent_bytes={self.sent_bytes}, "
            f"time_ns={self.time_ns}, rate_bps={self.rate_bps})"
        )
