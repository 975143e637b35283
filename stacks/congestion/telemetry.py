"""In-band network telemetry (INT), as far as controllers read it: what each port wrote into a packet that it sent."""

from __future__ import annotations

from typing import Protocol


class HopTelemetry(Protocol):
    """One hop, at the moment when it sent the packet (HPCC, figure 6).

    hop_id: of the port; another one means another path. queue_bytes: still waiting behind the packet. sent_bytes: ever
    sent through the port, this packet included. time_ns: of the port's clock. rate_bps: of its link.
    """

    hop_id: int
    queue_bytes: int
    sent_bytes: int
    time_ns: int
    rate_bps: int
