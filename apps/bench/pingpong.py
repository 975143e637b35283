"""The yardstick for latency: 64 bytes to and fro over UDP in plain Python, nothing added.

Runs as its own two processes: `python -m apps.bench.pingpong busy|blocking CPU CPU` prints half a round trip's median
in microseconds.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from apps.perf.latency import LatencyHistogram


def echo(near: socket.socket) -> None:
    """Send back what comes, until an empty datagram does."""
    buffer = memoryview(bytearray(2048))
    while True:
        length, source = receive(near, buffer)
        if not length:
            return
        near.sendto(buffer[:length], source)


def measure(near: socket.socket, far: tuple[str, int], duration_ns: int) -> LatencyHistogram:
    """Round trips of 64 bytes with whoever echoes at `far`."""
    histogram = LatencyHistogram()
    payload, buffer = bytes(64), memoryview(bytearray(2048))
    now = time.perf_counter_ns
    end = now() + duration_ns
    start = 0
    while start < end:
        start = now()
        near.sendto(payload, far)
        receive(near, buffer)
        histogram.record(now() - start)
    near.sendto(b"", far)
    return histogram


def receive(near: socket.socket, buffer: memoryview) -> tuple[int, tuple[str, int]]:
    """The next datagram; on a socket that does not block, spin until there is one."""
    while True:
        try:
            return near.recvfrom_into(buffer)
        except BlockingIOError:
            continue


def main(mode: str, echo_cpu: int, measure_cpu: int) -> None:
    """Measure for a second and print."""
    ends = []
    for _ in range(2):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(("127.0.0.1", 0))
        end.setblocking(mode == "blocking")
        ends.append(end)
    child = os.fork()
    if not child:
        os.sched_setaffinity(0, {echo_cpu})
        echo(ends[0])
        os._exit(0)
    os.sched_setaffinity(0, {measure_cpu})
    histogram = measure(ends[1], ends[0].getsockname(), 1_000_000_000)
    os.waitpid(child, 0)
    sys.stdout.write(f"{histogram.percentile(50) / 2000:.3f}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
