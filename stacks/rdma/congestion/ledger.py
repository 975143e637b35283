"""What a queue pair has in flight, as its controller counts it: a record for each send, not for each packet.

    sent      a send leaves: one record for all of its packets, as BBR keeps them for segmentation offload
    acked     everything before a PSN arrived: whole records, and the first part of one
    arrived   one packet arrived ahead of its turn (selective repeat)
    rewound   the walk goes back: what is out counts no more, as lost or as given up

Bytes are those of the wire, with IP and UDP headers, as the pacer counts them; PSNs that responses to READs use count
as full packets. A packet that is sent again although nothing was rewound (selective repeat) was lost.
"""

from __future__ import annotations

from collections import deque

from stacks.congestion import Delivery


class SentBurst:
    """One send, or what is left of it; the record that `Delivery` writes its part of.

    first_psn, end_psn: of the packets, `end_psn` the one that follows. is_repeat: some of them had been sent before.
    number: of the last packet counted, in the order of sending.
    """

    __slots__ = (
        "delivered_bytes", "delivered_ns", "end_psn", "first_psn", "first_send_ns", "is_app_limited", "is_repeat",
        "lost_after_bytes", "lost_bytes", "number", "sent_ns", "size_bytes", "tx_in_flight_bytes",
    )  # fmt: skip

    delivered_bytes: int
    delivered_ns: int
    first_send_ns: int
    is_app_limited: bool
    lost_after_bytes: int
    lost_bytes: int
    sent_ns: int
    tx_in_flight_bytes: int

    def __init__(self, first_psn: int, end_psn: int, size_bytes: int, number: int, *, is_repeat: bool) -> None:
        self.first_psn = first_psn
        self.end_psn = end_psn
        self.size_bytes = size_bytes
        self.number = number
        self.is_repeat = is_repeat

    def split(self, psn: int) -> SentBurst:
        """Cut off and return what lies before `psn`, which is inside."""
        part = SentBurst(self.first_psn, psn, 0, self.number, is_repeat=self.is_repeat)
        part.size_bytes = self.size_bytes * (psn - self.first_psn) // (self.end_psn - self.first_psn)
        part.sent_ns, part.first_send_ns = self.sent_ns, self.first_send_ns
        part.delivered_ns, part.delivered_bytes = self.delivered_ns, self.delivered_bytes
        part.lost_bytes, part.tx_in_flight_bytes = self.lost_bytes, self.tx_in_flight_bytes
        part.is_app_limited = self.is_app_limited
        self.number += psn - self.first_psn
        self.size_bytes -= part.size_bytes
        self.first_psn = psn
        return part


class SentLedger:
    """The records of one queue pair, in the order of their PSNs.

    delivery: of the connection. late_bytes: were found lost, and acknowledged before they were sent again.
    """

    def __init__(self, delivery: Delivery) -> None:
        self.late_bytes = 0
        self._delivery = delivery
        self._out: deque[SentBurst] = deque()
        self._gone: deque[SentBurst] = deque()
        self._number = 0
        self._sent_psn = -1

    def sent(self, first_psn: int, end_psn: int, size_bytes: int, now: int) -> list[SentBurst]:
        """A send of these PSNs leaves; returns what it repeats although it was still out."""
        burst = SentBurst(first_psn, end_psn, size_bytes, self._number, is_repeat=first_psn < self._sent_psn)
        self._number += end_psn - first_psn
        repeated: list[SentBurst] = []
        if burst.is_repeat:
            while self._gone and self._gone[0].first_psn < end_psn:
                self._gone.popleft()
            repeated = self._take(first_psn, end_psn)
            for lost in repeated:
                self._delivery.lost(lost)
        self._delivery.sent(burst, now)
        self._insert(burst)
        self._sent_psn = max(self._sent_psn, end_psn)
        return repeated

    def acked(self, una: int, now: int) -> SentBurst | None:
        """Everything before `una` arrived; the newest of it that was out, if any was."""
        out, delivery = self._out, self._delivery
        newest: SentBurst | None = None
        while out and out[0].first_psn < una:
            burst = out[0]
            if burst.end_psn > una:
                burst = burst.split(una)
            else:
                out.popleft()
            delivery.acked(burst, now)
            if newest is None or burst.sent_ns >= newest.sent_ns:
                newest = burst
        if self._gone:
            self._acked_late(una, now)
        return newest

    def arrived(self, psn: int, now: int) -> SentBurst | None:
        """One packet ahead of its turn arrived; its record, if it was out."""
        taken = self._take(psn, psn + 1)
        for burst in taken:
            self._delivery.acked(burst, now)
        return taken[0] if taken else None

    def rewound(self, *, is_loss: bool) -> list[SentBurst]:
        """The walk begins again from the oldest: what is out is lost, or given up; returns what is lost."""
        out = self._out
        if not is_loss:
            for burst in out:
                self._delivery.discarded(burst)
            out.clear()
            return []
        lost = list(out)
        for burst in lost:
            self._delivery.lost(burst)
        self._gone.extend(out)
        out.clear()
        return lost

    def _acked_late(self, una: int, now: int) -> None:
        """What was found lost arrived before it was sent again."""
        gone = self._gone
        while gone and gone[0].first_psn < una:
            burst = gone[0]
            if burst.end_psn > una:
                burst = burst.split(una)
            else:
                gone.popleft()
            self.late_bytes += burst.size_bytes
            self._delivery.acked_late(burst, now)

    def _insert(self, burst: SentBurst) -> None:
        out = self._out
        if not out or out[-1].end_psn <= burst.first_psn:
            out.append(burst)
            return
        for index, other in enumerate(out):
            if other.first_psn >= burst.end_psn:
                out.insert(index, burst)
                return

    def _take(self, first_psn: int, end_psn: int) -> list[SentBurst]:
        """Take out everything between two PSNs, cutting records in pieces where that is needed."""
        taken: list[SentBurst] = []
        kept: deque[SentBurst] = deque()
        for burst in self._out:
            if burst.end_psn <= first_psn or burst.first_psn >= end_psn:
                kept.append(burst)
                continue
            if burst.first_psn < first_psn:
                kept.append(burst.split(first_psn))
            if burst.end_psn > end_psn:
                taken.append(burst.split(end_psn))
                kept.append(burst)
            else:
                taken.append(burst)
        self._out = kept
        return taken
