"""How fast a transfer was, at the client: what the measurements report."""

from __future__ import annotations

from interop.quic.dissect.datagrams import Point
from interop.quic.dissect.trace import Trace


def goodput_kbps(trace: Trace, size_bytes: int) -> float:
    """Kilobits a second of files, between the server's first and last 1-RTT datagram that reached the client."""
    times = [
        each.time_ns
        for each in trace.datagrams
        if each.point is Point.CLIENT_GOT and each.payload and not each.payload[0] & LONG_HEADER
    ]
    duration_ns = times[-1] - times[0] if times else 0
    return size_bytes * 8 * 1_000_000 / duration_ns if duration_ns else 0.0


LONG_HEADER = 0x80
