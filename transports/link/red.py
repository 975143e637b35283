"""RED, random early detection (Floyd and Jacobson, 1993; RFC 2309): signals from the average length of a queue.

    below min    nothing
    min to max   probability 0 to max_p; gaps between signals are uniform from 1 to 1/p packets (section 7, method 2)
    max to 2 max probability max_p to 1, where it is gentle (Floyd, 2000); classic RED signals on every packet
    above        every packet

The average moves by `weight` of the difference with each packet that arrives, and decays over an idle time as if small
packets had come all the while (section 4). A signal is a mark, where the packet allows it, or a drop.

Lengths are in packets or in bytes; nothing is weighted with a packet's own size. Averages and probabilities are
floating point, by additions and multiplications in a fixed order.
"""

from __future__ import annotations

import random

from transports.errors import TransportError
from transports.link.bounded import NO_LIMITS, BoundedQueue, Limits
from transports.link.checks import check_at_least, check_probability
from transports.link.packet import LinkPacket
from transports.link.rates import BIT_NS_PER_BYTE_S


class Red(BoundedQueue):
    """min_length, max_length: of the average, in packets, or in bytes if `counts_bytes`; min is below max.

    max_p: probability at max. weight: of the newest length in the average, above 0. is_gentle: see the module. is_ecn:
    mark packets that allow it. is_hard: above max, where every packet has its signal, drop even those. packet_bytes: of
    a typical packet, for the decay in idle times, which needs a link that has a rate. rng: drawn once a packet that
    arrives while the average is between. TransportError for values out of range.

    average: the average length. count: packets since the last signal, -1 while the average is below min.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        min_length: int = 5,
        max_length: int = 15,
        counts_bytes: bool = False,
        max_p: float = 0.1,
        weight: float = 0.002,
        is_gentle: bool = True,
        is_ecn: bool = True,
        is_hard: bool = False,
        packet_bytes: int = 1000,
        limits: Limits = NO_LIMITS,
    ) -> None:
        super().__init__(limits)
        check_at_least("min", min_length, 0)
        check_probability("max_p", max_p)
        check_probability("weight", weight)
        check_at_least("packet", packet_bytes, 1)
        if min_length >= max_length:
            raise TransportError(f"min is below max, and {min_length} is not below {max_length}")
        if not weight:
            raise TransportError("weight is above 0, or the average never moves")
        self.min_length = min_length
        self.max_length = max_length
        self.counts_bytes = counts_bytes
        self.max_p = max_p
        self.weight = weight
        self.is_gentle = is_gentle
        self.is_ecn = is_ecn
        self.is_hard = is_hard
        self.packet_bytes = packet_bytes
        self.average = 0.0
        self.count = -1
        self._idle_since_ns: int | None = 0
        self._draw = rng.random

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, marked or not, or drop it."""
        self._measure(now)
        is_full = not self.has_room(packet.size_bytes)
        if is_full or (self._wants_signal() and not self._mark(packet)):
            self.drop(packet)
            if not self.backlog_packets:
                self._idle_since_ns = now
            return False
        self.append(packet, now)
        return True

    def dequeue(self, now: int) -> LinkPacket | None:
        """The oldest packet."""
        packet = self.pop()
        if packet is not None and not self.backlog_packets:
            self._idle_since_ns = now
        return packet

    def _measure(self, now: int) -> None:
        idle_since_ns = self._idle_since_ns
        if idle_since_ns is not None:
            self._idle_since_ns = None
            # m small packets might have left while it was empty.
            idle_packets = (now - idle_since_ns) * self.rate_bps // (self.packet_bytes * BIT_NS_PER_BYTE_S)
            self.average *= power(1.0 - self.weight, idle_packets)
            return
        length = self.backlog_bytes if self.counts_bytes else self.backlog_packets
        self.average += self.weight * (length - self.average)

    def _wants_signal(self) -> bool:
        average, min_length, max_length = self.average, self.min_length, self.max_length
        if average < min_length:
            self.count = -1
            return False
        if average < max_length:
            p = self.max_p * (average - min_length) / (max_length - min_length)
        elif self.is_gentle and average < 2 * max_length:
            p = self.max_p + (1.0 - self.max_p) * (average - max_length) / max_length
        else:
            self.count = -1
            return True
        # The section's count begins with the packet after a signal: P(gap = n) = p for each n up to 1/p.
        self.count += 1
        if self._draw() * (1.0 - self.count * p) < p:
            self.count = -1
            return True
        return False

    def _mark(self, packet: LinkPacket) -> bool:
        if not self.is_ecn or (self.is_hard and self.average >= self.max_length):
            return False
        return self.mark(packet)


def power(base: float, exponent: int) -> float:
    """`base` to a whole power from 0 on, by squaring: the same on every machine."""
    found = 1.0
    while exponent and found:
        if exponent & 1:
            found *= base
        base *= base
        exponent >>= 1
    return found
