"""One direction of a link between two devices: a queue, a transmitter that can be paused, and a wire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from transports.impairments import BIT_NS_PER_BYTE_S, IPV4_UDP_BYTES, IPV6_UDP_BYTES
from transports.packets import Packet
from transports.simulation.events import Simulation


class Link:
    """Sends packets one after the other at `rate_bps`, each arriving `delay_ns` after its last bit left.

    arrive: called with each packet at the far end. on_departure: called with each packet when its last bit has left.
    queued_bytes: waiting or being sent. pauses: how often it was told to stop. paused_ns: for how long, in all.
    """

    def __init__(
        self, simulation: Simulation, rate_bps: int, delay_ns: int, arrive: Callable[[Packet], None]
    ) -> None:
        self.queued_bytes = 0
        self.peak_bytes = 0
        self.pauses = 0
        self.paused_ns = 0
        self.on_departure: Callable[[Packet], None] | None = None
        self._simulation = simulation
        self._rate_bps = rate_bps
        self._delay_ns = delay_ns
        self._arrive = arrive
        self._queue: deque[Packet] = deque()
        self._is_busy = False
        self._paused_since_ns: int | None = None

    @property
    def is_paused(self) -> bool:
        """Whether the far end told it to stop."""
        return self._paused_since_ns is not None

    def put(self, packet: Packet) -> None:
        """Queue a packet."""
        self._queue.append(packet)
        self.queued_bytes += wire_bytes(packet)
        self.peak_bytes = max(self.peak_bytes, self.queued_bytes)
        self._start()

    def pause(self) -> None:
        """Begin no packet until `resume`; the one that is being sent goes on (IEEE 802.1Qbb)."""
        if self._paused_since_ns is None:
            self._paused_since_ns = self._simulation.now
            self.pauses += 1

    def resume(self) -> None:
        """Go on."""
        if self._paused_since_ns is not None:
            self.paused_ns += self._simulation.now - self._paused_since_ns
            self._paused_since_ns = None
            self._start()

    def _start(self) -> None:
        if self._is_busy or not self._queue or self._paused_since_ns is not None:
            return
        self._is_busy = True
        packet = self._queue.popleft()
        # Rounded up: a link is never faster than it says.
        duration_ns = -(-wire_bytes(packet) * BIT_NS_PER_BYTE_S // self._rate_bps)
        self._simulation.schedule(self._simulation.now + duration_ns, partial(self._depart, packet))

    def _depart(self, packet: Packet) -> None:
        self._is_busy = False
        self.queued_bytes -= wire_bytes(packet)
        self._simulation.schedule(self._simulation.now + self._delay_ns, partial(self._arrive, packet))
        if self.on_departure is not None:
            self.on_departure(packet)
        self._start()


def wire_bytes(packet: Packet) -> int:
    """What a packet takes of a link: payload, UDP and IP headers."""
    return len(packet.payload) + (IPV6_UDP_BYTES if ":" in packet.destination[0] else IPV4_UDP_BYTES)
