"""The yardstick for NVMe/TCP's latency: the bytes of one 4 KiB read to and fro over TCP in plain Python, blocking.

Runs as its own two processes: `python -m apps.bench.tcp_pingpong CPU CPU` prints a round trip's median in microseconds.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from apps.perf.latency import LatencyHistogram

REQUEST_BYTES = 72
"""A capsule of a read."""
RESPONSE_BYTES = 24 + 4096
"""Its data, in one PDU that says success as well."""


def answer(near: socket.socket) -> None:
    """Answer requests until the connection ends."""
    response, buffer = bytes(RESPONSE_BYTES), memoryview(bytearray(REQUEST_BYTES))
    while receive(near, buffer):
        near.sendall(response)


def measure(near: socket.socket, duration_ns: int) -> LatencyHistogram:
    """Round trips with whoever answers."""
    histogram = LatencyHistogram()
    request, buffer = bytes(REQUEST_BYTES), memoryview(bytearray(RESPONSE_BYTES))
    now = time.perf_counter_ns
    end = now() + duration_ns
    start = 0
    while start < end:
        start = now()
        near.sendall(request)
        receive(near, buffer)
        histogram.record(now() - start)
    return histogram


def receive(near: socket.socket, buffer: memoryview) -> bool:
    """Fill the buffer; False when the connection ended before."""
    filled = 0
    while filled < len(buffer):
        length = near.recv_into(buffer[filled:])
        if not length:
            return False
        filled += length
    return True


def main(answering_cpu: int, measuring_cpu: int) -> None:
    """Measure for a second and print."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    child = os.fork()
    if not child:
        near.close()
        os.sched_setaffinity(0, {answering_cpu})
        answer(far)
        os._exit(0)
    far.close()
    os.sched_setaffinity(0, {measuring_cpu})
    histogram = measure(near, 1_000_000_000)
    near.close()
    os.waitpid(child, 0)
    sys.stdout.write(f"{histogram.percentile(50) / 1000:.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
