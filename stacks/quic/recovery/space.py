"""What is remembered of one packet number space: what is out, and what of it is acknowledged or lost (RFC 9002 6.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from stacks.quic.recovery.congestion import PathCongestion
from stacks.quic.recovery.ecn import EcnFeedback
from stacks.quic.recovery.sent_packet import SentPacket, SentRun


class SpaceRecovery:
    """outstanding: neither acknowledged nor lost, by number, in the order of sending.

    remembered: lost, and may have been reordered. eliciting: how many of `outstanding` ask for an acknowledgement.
    largest_acked: -1 for none. loss_due_ns: when a packet will be lost by time alone. feedback: the peer's ECN counts.
    """

    __slots__ = (
        "_known", "_least", "_quiet", "eliciting", "feedback", "largest_acked", "last_eliciting_ns", "loss_due_ns",
        "next_number", "outstanding", "remembered",
    )  # fmt: skip

    def __init__(self) -> None:
        self.outstanding: dict[int, SentPacket | SentRun] = {}
        self.remembered: dict[int, SentPacket] = {}
        self.feedback = EcnFeedback()
        self.eliciting = 0
        self.largest_acked = -1
        self.next_number = 0
        self.loss_due_ns: int | None = None
        self.last_eliciting_ns = 0
        self._known: dict[int, int] = {}  # ranges of the ACK before, first to last
        self._quiet: deque[int] = deque()
        # No number below is outstanding. (Asking the dictionary for its first would pass all that was taken off.)
        self._least = 0

    def floor(self) -> int:
        """No number below is outstanding or remembered."""
        least = self._find_least()
        return min(least, next(iter(self.remembered))) if self.remembered else least

    def add_quiet(self, packet: SentPacket) -> None:
        """A packet that is not in flight leaves.

        Nobody may ever acknowledge it, and nothing depends on that: the newest are remembered.
        """
        number, quiet = packet.number, self._quiet
        quiet.append(number)
        if len(quiet) > MAX_QUIET:
            self.outstanding.pop(quiet.popleft(), None)
        self.outstanding[number] = packet

    def take(self, ranges: Sequence[tuple[int, int]]) -> tuple[list[SentPacket], list[SentPacket]]:
        """Take off what `ranges` newly acknowledge, in rising order: what was in flight, and what had been lost.

        Packets of a run that lie together are one: the last of them, with `count` and the frames of all.
        """
        arrived: list[SentPacket] = []
        late: list[SentPacket] = []
        outstanding, remembered, known = self.outstanding, self.remembered, self._known
        floor = -1
        for first, last in reversed(ranges):
            seen = known.get(first, first - 1)
            if seen >= last:
                continue
            if seen < first or last - seen > FEW:
                if floor < 0:
                    floor = self.floor()
                seen = max(seen, floor - 1)
            number, end = seen + 1, last + 1
            while number < end:
                packet = outstanding.pop(number, None)
                if packet is not None:
                    if isinstance(packet, SentPacket):
                        arrived.append(packet)
                    else:
                        arrived.append(self._take_run(packet, number, min(end, packet.first + packet.count)))
                        number += arrived[-1].count - 1
                elif remembered and (lost := remembered.pop(number, None)) is not None:
                    late.append(lost)
                number += 1
        self._known = dict(ranges)
        return arrived, late

    def find_lost(self, path: PathCongestion, now: int) -> list[SentPacket]:
        """Take off what is lost by now. path: in use; what left on another is judged by that one's round trips."""
        self.loss_due_ns = None
        largest = self.largest_acked
        number = self._find_least()
        if number >= largest:
            return []
        lost: list[SentPacket] = []
        outstanding = self.outstanding
        early = largest - path.thresholds.packets
        delay_ns = path.loss_delay_ns()
        while number < largest:
            packet = outstanding.get(number)
            if packet is not None:
                if number > early:
                    if packet.congestion is not path:
                        path = packet.congestion
                        delay_ns = path.loss_delay_ns()
                    due_ns = packet.sent_ns + delay_ns
                    if due_ns > now:
                        self.loss_due_ns = due_ns
                        break
                del outstanding[number]
                lost.append(packet if isinstance(packet, SentPacket) else packet.packet(number))
            number += 1
        for one in lost:
            self._settle_lost(one, now)
        return lost

    def forget(self, horizon_ns: int) -> None:
        """Packets that were lost before are forgotten."""
        remembered = self.remembered
        while remembered:
            number = next(iter(remembered))
            if remembered[number].lost_ns >= horizon_ns:
                return
            del remembered[number]

    def oldest(self, count: int) -> list[SentPacket]:
        """The oldest packets out that ask for an acknowledgement and were not asked for here before (6.2.4)."""
        found: list[SentPacket] = []
        outstanding = self.outstanding
        for number in range(self._find_least(), self.next_number):
            packet = outstanding.get(number)
            if packet is None or not packet.is_ack_eliciting or packet.is_mtu_probe or packet.is_requeued:
                continue
            if not isinstance(packet, SentPacket):
                packet = outstanding[number] = packet.packet(number)
            packet.is_requeued = True
            found.append(packet)
            if len(found) == count:
                break
        return found

    def discard(self) -> list[SentPacket]:
        """Forget all that is out; what that was. It is no loss (6.4)."""
        packets = [
            packet if isinstance(packet, SentPacket) else packet.packet(number)
            for number, packet in self.outstanding.items()
        ]
        for packet in packets:
            if packet.is_in_flight:
                packet.congestion.delivery.discarded(packet)
        self.outstanding.clear()
        self.remembered.clear()
        self._quiet.clear()
        self.eliciting = 0
        self.loss_due_ns = None
        return packets

    def _settle_lost(self, packet: SentPacket, now: int) -> None:
        if packet.is_ack_eliciting:
            self.eliciting -= 1
        if not packet.is_in_flight:
            return
        if packet.is_mtu_probe:
            packet.congestion.delivery.discarded(packet)
        else:
            packet.lost_ns = now
            packet.congestion.delivery.lost(packet)
            self.remembered[packet.number] = packet

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

    def _find_least(self) -> int:
        least, outstanding, end = self._least, self.outstanding, self.next_number
        while least < end and least not in outstanding:
            least += 1
        self._least = least
        return least


FEW = 64
MAX_QUIET = 64
