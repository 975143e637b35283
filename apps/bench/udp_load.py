"""A load for `baremetal link udp`: datagrams at a rate, in small bursts, and how many of them arrive.

Runs as a process of its own: `python -m apps.bench.udp_load CPU HOST:PORT PORT RATE SECONDS` sends at RATE bit/s to
HOST:PORT, receives at PORT of 127.0.0.1, and prints sent and received datagrams.
"""

from __future__ import annotations

import os
import sys
import time

from transports.datagram import Transmit
from transports.udp import UdpTransport


def measure(near: UdpTransport, far: UdpTransport, to: tuple[str, int], *, rate_bps: int, duration_ns: int) -> None:
    """Send from `near` to `to` for `duration_ns`, and receive at `far` a moment longer."""
    transmit = Transmit([bytes(DATAGRAM_BYTES * BURST)], DATAGRAM_BYTES, None, to)
    gap_ns = BURST * (DATAGRAM_BYTES + HEADER_BYTES) * 8 * 10**9 // rate_bps
    now, send, receive = time.monotonic_ns, near.send, far.receive
    due_ns = now()
    end_ns = due_ns + duration_ns
    while (time_ns := now()) < end_ns + SETTLE_NS:
        if due_ns <= time_ns < end_ns and send(transmit):
            due_ns += gap_ns
        receive()


def main(cpu: int, to: str, port: int, rate_bps: int, seconds: float) -> None:
    """Measure and print."""
    os.sched_setaffinity(0, {cpu})
    host, _, to_port = to.rpartition(":")
    near, far = UdpTransport("127.0.0.1", 0), UdpTransport("127.0.0.1", port)
    measure(near, far, (host, int(to_port)), rate_bps=rate_bps, duration_ns=round(seconds * 1e9))
    sys.stdout.write(f"{near.statistics.sent_datagrams} {far.statistics.received_datagrams}\n")


DATAGRAM_BYTES, HEADER_BYTES = 1472, 28
"""Those of an Ethernet packet."""
BURST = 8
"""Datagrams a send: what a QUIC sender's pacer lets go at once."""
SETTLE_NS = 100_000_000

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
