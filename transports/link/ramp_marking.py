"""A first-in first-out queue that marks by its length at the moment of arrival, as switches of data centres do.

DCTCP's threshold (SIGCOMM 2010, section 3.1) and DCQCN's ramp (SIGCOMM 2015, section 3.1, figure 5) are the same queue:
below Kmin nothing is marked, above Kmax everything, and between with a probability that rises from 0 to Pmax. A packet
that is not ECN-capable passes unmarked; a full queue drops what arrives.
"""

from __future__ import annotations

import random

from transports.errors import TransportError
from transports.link.bounded import BoundedQueue, Limits
from transports.link.ecn_ramp import EcnRamp
from transports.link.packet import ECN_NOT_ECT, LinkPacket


class RampMarking(BoundedQueue):
    """kmin_bytes, kmax_bytes: see the module, the arriving packet included; equal, they are a threshold.

    pmax_1000: in thousandths. limit_bytes: room, 0 for no limit; limits: the same in full, instead. rng: drawn once for
    each packet that arrives between the two. is_strict: what cannot be marked is dropped. peak_bytes: the longest that
    the queue ever was. TransportError for thresholds out of order.
    """

    def __init__(
        self,
        kmin_bytes: int,
        kmax_bytes: int,
        *,
        pmax_1000: float = 1000,
        limit_bytes: int = 0,
        limits: Limits | None = None,
        is_strict: bool = False,
        rng: random.Random,
    ) -> None:
        super().__init__(Limits(size_bytes=limit_bytes) if limits is None else limits)
        if not 0 <= kmin_bytes <= kmax_bytes or not 0 <= pmax_1000 <= 1000:
            raise TransportError("marking needs 0 <= kmin <= kmax and a pmax from 0 to 1000/1000")
        self.ramp = EcnRamp(kmin_bytes=kmin_bytes, kmax_bytes=kmax_bytes, pmax=pmax_1000 / 1000)
        self.is_strict = is_strict
        self.peak_bytes = 0
        self._rng = rng

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, marked if the queue is long, or drop it for want of room."""
        if not self.has_room(packet.size_bytes):
            self.drop(packet)
            return False
        length = self.backlog_bytes + packet.size_bytes
        is_markable = packet.ecn != ECN_NOT_ECT
        if length > self.ramp.kmin_bytes and (is_markable or self.is_strict) and self.ramp.marks(length, self._rng):
            if not self.mark(packet):
                self.drop(packet)
                return False
        self.append(packet, now)
        if length > self.peak_bytes:
            self.peak_bytes = length
        return True
