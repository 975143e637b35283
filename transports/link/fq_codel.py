"""FQ-CoDel, fair queues under CoDel (RFC 8290): every flow has a line of its own, and lines take turns by bytes.

    new lines    flows that had nothing waiting: served first, for one quantum each
    old lines    all others, in a round

A line whose credit is used up gets another quantum and goes to the end of the old ones; a new line that is empty goes
there as well, so that it cannot jump the queue again and again (section 4.2). A full queue drops from the head of the
line with the most bytes: half of its packets, at most `batch_packets` (section 4.1).

Where the RFC leaves a choice: CoDel's test for a nearly empty queue looks at the flow's line, as RFC 8289 has it (Linux
looks at all lines together); drops of a full queue do not speed up CoDel (Linux does that).
"""

from __future__ import annotations

import random
from collections import deque

from transports.link.bounded import NO_LIMITS, BoundedQueue, Limits
from transports.link.checks import check_at_least
from transports.link.codel import INTERVAL_NS, TARGET_NS, CodelLaw, CodelLine
from transports.link.packet import LinkPacket


class FlowLine(CodelLine):
    """The line of a flow, or of several whose numbers share a bucket. credit_bytes: what it may still send."""

    __slots__ = ("credit_bytes", "is_listed")

    def __init__(self, owner: FqCodel, law: CodelLaw) -> None:
        super().__init__(owner, law)
        self.credit_bytes = 0
        self.is_listed = False


class FqCodel(BoundedQueue):
    """flows: number of lines. quantum_bytes: of a turn. batch_packets: see the module. rng: of the hash, or None.

    Flows are hashed into lines with a number that is drawn once, so that two flows may share one, as in the real thing;
    without `rng` flow n has line n modulo `flows`. The rest as for `Codel`.
    """

    def __init__(
        self,
        *,
        target_ns: int = TARGET_NS,
        interval_ns: int = INTERVAL_NS,
        is_ecn: bool = True,
        flows: int = 1024,
        quantum_bytes: int = 1514,
        batch_packets: int = 64,
        limits: Limits = NO_LIMITS,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(limits)
        check_at_least("flows", flows, 1)
        check_at_least("quantum", quantum_bytes, 1)
        check_at_least("batch", batch_packets, 1)
        self.flows = flows
        self.quantum_bytes = quantum_bytes
        self.batch_packets = batch_packets
        self._law = CodelLaw(target_ns, interval_ns, is_ecn=is_ecn)
        self._salt = None if rng is None else int(rng.random() * HASH_MASK) | 1
        self._lines: dict[int, FlowLine] = {}
        self._bucket_of: dict[int, FlowLine] = {}
        self._new: deque[FlowLine] = deque()
        self._old: deque[FlowLine] = deque()

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet; where there is no room, others go for it. Only one that never fits is refused."""
        if packet.size_bytes > self.limit_bytes:
            self.drop(packet)
            return False
        line = self._bucket_of.get(packet.flow) or self.line_of(packet.flow)
        while not self.has_room(packet.size_bytes):
            self._drop_from_fattest()
        line.append(packet, now)
        if not line.is_listed:
            line.is_listed = True
            line.credit_bytes = self.quantum_bytes
            self._new.append(line)
        return True

    def dequeue(self, now: int) -> LinkPacket | None:
        """The next packet of the line whose turn it is."""
        new, old = self._new, self._old
        while True:
            lines = new or old
            if not lines:
                return None
            line = lines[0]
            if line.credit_bytes <= 0:
                line.credit_bytes += self.quantum_bytes
                lines.popleft()
                old.append(line)
                continue
            packet = line.dequeue(now)
            if packet is not None:
                line.credit_bytes -= packet.size_bytes
                return packet
            lines.popleft()
            if lines is new and old:
                old.append(line)
            else:
                line.is_listed = False

    def line_of(self, flow: int) -> FlowLine:
        """The line of a flow."""
        bucket = flow % self.flows if self._salt is None else hashed(flow, self._salt) * self.flows >> HASH_BITS
        line = self._lines.get(bucket)
        if line is None:
            line = self._lines[bucket] = FlowLine(self, self._law)
        if len(self._bucket_of) >= REMEMBERED_FLOWS:
            self._bucket_of.clear()
        self._bucket_of[flow] = line
        return line

    def _drop_from_fattest(self) -> None:
        fattest: FlowLine | None = None
        most_bytes = -1
        for lines in (self._new, self._old):
            for line in lines:
                if line.packets and line.backlog_bytes > most_bytes:
                    fattest, most_bytes = line, line.backlog_bytes
        assert fattest is not None
        for _ in range(min(self.batch_packets, -(-len(fattest.packets) // 2))):
            self.drop(fattest.pop())


def hashed(flow: int, salt: int) -> int:
    """32 bits of a flow's number that look random: two rounds of multiplication and shift."""
    mixed = (flow ^ flow >> 32) * salt & HASH_MASK
    mixed = (mixed ^ mixed >> 15) * 0x2C1B3C6D & HASH_MASK
    mixed = (mixed ^ mixed >> 12) * 0x297A2D39 & HASH_MASK
    return mixed ^ mixed >> 15


REMEMBERED_FLOWS = 1 << 16
HASH_BITS = 32
HASH_MASK = (1 << HASH_BITS) - 1
