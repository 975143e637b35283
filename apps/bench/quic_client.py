"""Connections that carry nothing, by our client, to whatever server: how many a second, or a thousand that stay.

Runs as its own process, bound to a processor:

    python -m apps.bench.quic_client handshakes CPU PORT SECONDS    prints JSON
    python -m apps.bench.quic_client idle CPU PORT COUNT            says when they are there; ends when its input does
"""

from __future__ import annotations

import json
import os
import random
import sys
import time

from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import ConnectionClosed, HandshakeConfirmed
from transports.clock import RealClock
from transports.pump import Pump
from transports.udp import UdpTransport


class Client:
    """One socket, and connections from it to a server at a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.clock = RealClock()
        transport = UdpTransport("127.0.0.1", 0)
        self.endpoint = Endpoint(transport.address, rng=random.SystemRandom())
        self.pump = Pump(self.endpoint, transport, self.clock)
        self._remote = ("127.0.0.1", port)
        self._configuration = Configuration(
            alpn=("h3",),
            server_name="localhost",
            is_verifying=False,
            unix_epoch_ns=time.time_ns() - self.clock.now(),
            max_idle_timeout_ns=600_000_000_000,
        )

    def connect(self) -> Connection:
        """Do a handshake, and wait for its confirmation."""
        connection = self.endpoint.connect(self._remote, self._configuration, self.clock.now())
        deadline_ns = self.clock.now() + LIMIT_NS
        while True:
            self.pump.pump()
            while (event := connection.poll_event()) is not None:
                if isinstance(event, HandshakeConfirmed):
                    return connection
                if isinstance(event, ConnectionClosed):
                    raise SystemExit(f"the connection ended: {event}")
            if self.clock.now() > deadline_ns:
                raise SystemExit("no answer")
            self.pump.wait(LIMIT_NS)


def handshakes(client: Client, seconds: int) -> float:
    """One full handshake after the other; how many a second."""
    count, started_ns = 0, time.perf_counter_ns()
    while time.perf_counter_ns() < started_ns + seconds * 1_000_000_000:
        connection = client.connect()
        connection.close(0, "", now=client.clock.now())
        while client.endpoint.poll_active() is not None:
            pass
        count += 1
    return count * 1e9 / (time.perf_counter_ns() - started_ns)


def main(what: str, cpu: str, port: str, amount: str) -> None:
    """As the module says."""
    os.sched_setaffinity(0, {int(cpu)})
    client = Client(int(port))
    if what == "handshakes":
        sys.stdout.write(json.dumps({"handshakes_per_s": handshakes(client, int(amount))}) + "\n")
        return
    connections = [client.connect() for _ in range(int(amount))]
    sys.stdout.write(f"{len(connections)}\n")
    sys.stdout.flush()
    sys.stdin.read()


LIMIT_NS = 5_000_000_000


if __name__ == "__main__":
    main(*sys.argv[1:])
