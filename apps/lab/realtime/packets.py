"""Cross traffic that no controller governs, as UDP packets: the models' times and draws, real sockets at both ends."""

from __future__ import annotations

import contextlib
import select
import socket
from dataclasses import replace

from apps.lab.realtime.end import Place
from apps.lab.realtime.loop import Loop
from stacks.lab.experiment.values import TrafficConfig
from stacks.lab.network.line import Way
from stacks.lab.running.traffic import TrafficRun
from transports import namespaces
from transports.link import LinkPacket


class PacketEnds:
    """Both ends of one source. run: what it came to."""

    def __init__(
        self,
        loop: Loop,
        config: TrafficConfig,
        way: Way,
        *,
        number: int,
        packet_bytes: int,
        nodes: tuple[Place, Place],
        seed: int,
    ) -> None:
        (near, near_address), (far, far_address) = nodes
        self._near, self._far = _udp(near, near_address), _udp(far, far_address)
        self._to = self._far.getsockname()
        self._payload = bytes((config.packet_bytes or packet_bytes) - HEADER_BYTES)
        route = replace(way, forward=(self._put,))
        self.run = TrafficRun(loop.timeline, config, route, number=number, packet_bytes=packet_bytes, seed=seed)
        self._loop = loop
        loop.watch(self._far.fileno(), select.EPOLLIN, self._drain)

    def plan(self) -> None:
        """Put its start on the timeline."""
        self._loop.timeline.at(self.run.config.start_ns, lambda _: self.run.start())

    def close(self) -> None:
        """Both sockets."""
        self._near.close()
        self._far.close()

    def _put(self, _: LinkPacket) -> None:
        # What the kernel has no room for is lost, like anything else on the way.
        with contextlib.suppress(OSError):
            self._near.sendto(self._payload, self._to)

    def _drain(self, _: int) -> None:
        run = self.run
        with contextlib.suppress(BlockingIOError):
            for _ in range(PACKETS):
                length_bytes = self._far.recv_into(BUFFER)
                run.arrived_packets += 1
                run.arrived_bytes += length_bytes + HEADER_BYTES


def _udp(namespace: str, address: str) -> socket.socket:
    with namespaces.entered(namespace):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind((address, 0))
    return opened


HEADER_BYTES = 28
PACKETS = 64
BUFFER = bytearray(1 << 16)
