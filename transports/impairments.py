"""What a simple network path does to packets: delay, jitter, loss, reordering, duplication, corruption, a slow link.

Pure decisions, drawn from a seeded generator of which only `.random()` is used, so that every Python version decides
alike. Queue disciplines and richer links belong to `transports.link`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from transports.packets import Packet


@dataclass(frozen=True, slots=True)
class Impairments:
    """How a path treats each packet, independently of the others.

    delay_ns: propagation delay, one way.
    jitter_ns: extra delay, uniform from 0 to this; packets keep their order.
    loss, duplication, corruption, reordering: probabilities from 0 to 1. Corruption flips one bit of the payload;
        a reordered packet is held back by `reorder_ns` while later ones pass.
    rate_bps: bits per second of the link, IP and UDP headers included; 0 for no limit.
    queue_bytes: bytes that may wait for a link with a rate, drop-tail; 0 for no limit.

    ValueError for a probability outside of 0 to 1 or a negative quantity.
    """

    delay_ns: int = 10_000
    jitter_ns: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    corruption: float = 0.0
    reordering: float = 0.0
    reorder_ns: int = 100_000
    rate_bps: int = 0
    queue_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "duplication", "corruption", "reordering"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a probability from 0 to 1, not {getattr(self, name)}")
        for name in ("delay_ns", "jitter_ns", "reorder_ns", "rate_bps", "queue_bytes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is not negative: {getattr(self, name)}")


class ImpairedPath:
    """One direction of a path; keeps the link's backlog, the order, and counts what it did.

    rng: only `.random()` is drawn, in the order of the packets.
    """

    def __init__(self, impairments: Impairments, rng: random.Random) -> None:
        self._impairments = impairments
        self._draw = rng.random
        self._link_free_ns = 0
        self._last_arrival_ns = 0
        self.lost = 0
        self.queue_drops = 0
        self.duplicated = 0
        self.corrupted = 0
        self.reordered = 0

    def transit(self, packets: Iterable[Packet], now: int) -> list[tuple[int, Packet]]:
        """When each of `packets`, sent now, arrives, and as what; in the order sent, lost ones left out."""
        arrivals: list[tuple[int, Packet]] = []
        for packet in packets:
            arrival_ns = self._cross_link(packet, now)
            if arrival_ns is None:
                self.queue_drops += 1
            elif self._happens(self._impairments.loss):
                self.lost += 1
            else:
                self._arrive(packet, arrival_ns, arrivals)
        return arrivals

    def _arrive(self, packet: Packet, link_ns: int, arrivals: list[tuple[int, Packet]]) -> None:
        impairments = self._impairments
        if self._happens(impairments.corruption):
            self.corrupted += 1
            packet = self._corrupt(packet)
        arrival_ns = link_ns + impairments.delay_ns
        if impairments.jitter_ns:
            arrival_ns += int(self._draw() * (impairments.jitter_ns + 1))
        if self._happens(impairments.reordering):
            self.reordered += 1
            arrival_ns += impairments.reorder_ns
        else:
            arrival_ns = self._last_arrival_ns = max(arrival_ns, self._last_arrival_ns)
        arrivals.append((arrival_ns, packet))
        if self._happens(impairments.duplication):
            self.duplicated += 1
            arrivals.append((arrival_ns, packet.copy()))

    def _cross_link(self, packet: Packet, now: int) -> int | None:
        """When the last bit leaves the link; None when the queue has no room."""
        impairments = self._impairments
        if not impairments.rate_bps:
            return now
        size_bytes = len(packet.payload) + (IPV6_UDP_BYTES if ":" in packet.destination[0] else IPV4_UDP_BYTES)
        start_ns = max(now, self._link_free_ns)
        waiting_bytes = (start_ns - now) * impairments.rate_bps // BIT_NS_PER_BYTE_S
        if impairments.queue_bytes and waiting_bytes + size_bytes > impairments.queue_bytes:
            return None
        self._link_free_ns = start_ns + size_bytes * BIT_NS_PER_BYTE_S // impairments.rate_bps
        return self._link_free_ns

    def _corrupt(self, packet: Packet) -> Packet:
        if not packet.payload:
            return packet
        payload = bytearray(packet.payload)
        bit = int(self._draw() * len(payload) * 8)
        payload[bit >> 3] ^= 1 << (bit & 7)
        return packet.copy(payload=bytes(payload))

    def _happens(self, probability: float) -> bool:
        return probability > 0.0 and self._draw() < probability


IPV4_UDP_BYTES, IPV6_UDP_BYTES = 28, 48
BIT_NS_PER_BYTE_S = 8_000_000_000
