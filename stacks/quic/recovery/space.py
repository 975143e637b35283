"""What is remembered of one packet number space."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.recovery.sent_packet import SentPacket, SentRun


class SpaceRecovery:
    """One packet number space. outstanding: neither acknowledged nor lost, by number, in the order of sending.

    remembered: lost, and may have been reordered. eliciting: how many of `outstanding` ask for an acknowledgement.
    skipped: a number that was left out, -1 for none: whoever acknowledges it has not seen what it acknowledges.
    """

    __slots__ = (
        "eliciting", "known", "largest_acked", "last_eliciting_ns", "loss_due_ns", "next_number", "outstanding",
        "remembered", "skipped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.outstanding: dict[int, SentPacket | SentRun] = {}
        self.remembered: dict[int, SentPacket] = {}
        self.known: dict[int, int] = {}  # ranges of the ACK before, first to last
        self.eliciting = 0
        self.largest_acked = -1
        self.next_number = 0
        self.loss_due_ns: int | None = None
        self.last_eliciting_ns = 0
        self.skipped = -1

    def take(self, ranges: Sequence[tuple[int, int]]) -> tuple[list[SentPacket], list[SentPacket]]:
        """Take off what `ranges` newly acknowledge, in rising order: what was in flight, and what had been lost.

        Packets of a run that lie together are one: the last of them, with `count` and the frames of all.
        """
        arrived: list[SentPacket] = []
        late: list[SentPacket] = []
        outstanding, remembered, known = self.outstanding, self.remembered, self.known
        floor = -1
        for first, last in reversed(ranges):
            seen = known.get(first, first - 1)
            if seen == last:
                continue
            if seen < first:
                if floor < 0:
                    floor = self._floor()
                seen = max(seen, floor - 1)
            number, end = seen + 1, last + 1
            while number < end:
                packet = outstanding.pop(number, None)
                if isinstance(packet, SentPacket):
                    arrived.append(packet)
                elif packet is not None:
                    arrived.append(self._take_run(packet, number, min(end, packet.first + packet.count)))
                    number += arrived[-1].count - 1
                elif remembered and (lost := remembered.pop(number, None)) is not None:
                    late.append(lost)
                number += 1
        self.known = dict(ranges)
        return arrived, late

    def _take_run(self, run: SentRun, first: int, end: int) -> SentPacket:
        """Packets of a run from `first`, which was taken off, up to `end` or to one that was lost."""
        outstanding = self.outstanding
        number = first + 1
        while number < end and outstanding.get(number) is run:
            del outstanding[number]
            number += 1
        packet = run.packet(number - 1, first)
        packet.count = number - first
        return packet

    def _floor(self) -> int:
        least = next(iter(self.outstanding), self.next_number)
        return min(least, next(iter(self.remembered))) if self.remembered else least
