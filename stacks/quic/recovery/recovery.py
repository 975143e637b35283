"""Loss detection and probe timeouts over the three packet number spaces (RFC 9002 5, 6; RFC 9000 13, 21.4).

    sent(packet) -> handle_ack(space, ranges, ...) -> records' acked, lost; each path's congestion
                 -> poll_deadline, handle_timeout -> Probe: packets that must be sent whatever the window says

Packets that were lost are remembered for a while: one that arrives after all was a spurious loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.recovery.congestion import DEFAULT_ACK_DELAY_NS, PathCongestion
from stacks.quic.recovery.probing import Probe, ProbeTimer
from stacks.quic.recovery.sent_packet import MakeRecord, SentPacket, SentRun
from stacks.quic.recovery.skipping import SkippedNumbers
from stacks.quic.recovery.space import SpaceRecovery
from wire.quic.ack_frames import EcnCounts
from wire.quic.parameters import TransportParameters


class Recovery:
    """Of one connection.

    path: the congestion of the path in use. timer: of probes. probes: timeouts so far; lost_packets, spurious_losses,
    ce_packets (marks that the peer reported): counters. on_lost: called with each packet that is found lost; on_acked:
    with the packets of a space that are acknowledged for the first time, those that had been lost behind the others.
    """

    def __init__(self, path: PathCongestion, *, is_client: bool, rng: random.Random, now: int) -> None:
        self.path = path
        self.timer = ProbeTimer(is_client=is_client, peer_delay_ns=DEFAULT_ACK_DELAY_NS, now=now)
        self.probes = self.lost_packets = self.spurious_losses = self.ce_packets = 0
        self.on_lost: Callable[[SentPacket, int], object] | None = None
        self.on_acked: Callable[[int, Sequence[SentPacket], int], object] | None = None
        self._spaces = tuple(SpaceRecovery() for _ in range(3))
        self._skipped = SkippedNumbers(rng)
        self._peer_exponent = DEFAULT_EXPONENT

    # Numbers

    def next_number(self, space: int) -> int:
        """The number of the next packet of a space; `sent` uses it up."""
        return self._spaces[space].next_number

    def largest_acked(self, space: int) -> int:
        """The highest number that was acknowledged, -1 for none."""
        return self._spaces[space].largest_acked

    def run_room(self) -> int:
        """How many 1-RTT packets may leave in a row before a number is left out."""
        return self._skipped.room - 1

    # Out

    def sent(self, packet: SentPacket, now: int) -> None:
        """A packet leaves."""
        number = packet.number
        space = self._spaces[packet.space]
        space.next_number = number + 1
        if packet.is_in_flight:
            space.outstanding[number] = packet
            packet.congestion.sent(packet, now)
            if packet.is_ack_eliciting:
                space.eliciting += 1
                space.last_eliciting_ns = now
        else:
            packet.sent_ns = now
            space.add_quiet(packet)
        if packet.ecn:
            # Also of packets that are acknowledgements alone: the peer counts the marks of all that it gets (13.4.1).
            self._count_marks(space, packet.ecn, 1)
        if packet.space == SPACE_APPLICATION:
            skipped = self._skipped
            skipped.room -= 1
            if not skipped.room:
                skipped.skip(number + 1)
                space.next_number = number + 2

    def sent_run(
        self,
        count: int,
        size_bytes: int,
        *,
        offset: int,
        data_bytes: int,
        make_record: MakeRecord,
        congestion: PathCongestion,
        now: int,
    ) -> None:
        """`count` 1-RTT packets leave, `run_room` at most: see `SentRun`."""
        space = self._spaces[SPACE_APPLICATION]
        first = space.next_number
        run = SentRun(
            first, count, size_bytes,
            offset=offset, data_bytes=data_bytes, make_record=make_record, congestion=congestion, now=now,
        )  # fmt: skip
        space.outstanding.update(dict.fromkeys(range(first, first + count), run))
        space.next_number = first + count
        space.eliciting += count
        space.last_eliciting_ns = now
        if run.ecn:
            self._count_marks(space, run.ecn, count)
        congestion.sent_run(count, size_bytes, now)
        self._skipped.room -= count

    # In

    def handle_ack(
        self, number: int, ranges: Sequence[tuple[int, int]], delay: int, ecn: EcnCounts | None, now: int
    ) -> int:
        """An ACK for space `number`: how many packets, or runs of them, it newly acknowledges.

        ranges: newest first; delay: as on the wire. QuicError PROTOCOL_VIOLATION where it acknowledges what was never
        sent.
        """
        space = self._spaces[number]
        largest = ranges[0][1]
        if largest >= space.next_number:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, f"packet {largest} was never sent")
        if number == SPACE_APPLICATION:
            self._skipped.check(ranges, space.floor())
        elif number == SPACE_HANDSHAKE:
            self.timer.is_peer_validated = True
        arrived, late = space.take(ranges)
        if not arrived and not late:
            return 0
        if self.on_acked is not None:
            self.on_acked(number, [*arrived, *late], now)
        former = space.largest_acked
        is_plain = not late and self._count_together(space, arrived, now)
        if not is_plain:
            self._count_each(space, arrived, late, former, now)
        ack_delay_ns = (delay << self._peer_exponent) * 1000 if number == SPACE_APPLICATION else 0
        rtt_ns = _time(arrived, late, largest, ack_delay_ns, now)
        if largest > former:
            space.largest_acked = largest
        lost = space.find_lost(self.path, now)
        self.timer.acknowledged()
        if not space.eliciting:
            self.timer.idle_base_ns = now
        ce_packets = self._read_feedback(space, arrived, ecn) if largest > former else 0
        self.ce_packets += ce_packets
        if is_plain and not lost:
            self.path.acknowledged(arrived, (), (), rtt_ns, ack_delay_ns, ce_packets, self._next_numbers, now)
        else:
            self._tell_paths(arrived, late, lost, rtt_ns, ack_delay_ns, ce_packets, now)
        self._tell_arrived(arrived, now)
        self._tell_arrived(late, now)
        self._tell_lost(lost, now)
        if space.remembered:
            space.forget(now - REMEMBERED_TIMEOUTS * self.pto_ns())
        return len(arrived) + len(late)

    def handle_timeout(self, now: int) -> Probe | None:
        """Whatever is due: losses by time, or a probe; and the controller's own deadlines."""
        self.path.controller.handle_timeout(now)
        for space in self._spaces:
            if space.loss_due_ns is not None and space.loss_due_ns <= now:
                lost = space.find_lost(self.path, now)
                for path, packets in _by_path(lost).items():
                    path.lost(packets, self._next_numbers, now)
                self._tell_lost(lost, now)
                return None
        due = self.timer.due(self.path, self._spaces)
        if due is None or due[0] > now:
            return None
        self.timer.expired()
        self.probes += 1
        number = due[1]
        space = self._spaces[number]
        if not space.eliciting:
            self.timer.idle_base_ns = now
            return Probe(number, 1)
        for other in self._spaces[:SPACE_APPLICATION] if number != SPACE_APPLICATION else (space,):
            # 6.2.4: what is oldest is sent again by the probes; what waits in other spaces goes along.
            for packet in other.oldest(PROBES):
                for record in packet.records:
                    record.lost(now)
        return Probe(number, PROBES)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is due."""
        due_ns = self._recovery_deadline()
        controller_ns = self.path.controller.poll_deadline()
        if controller_ns is None or (due_ns is not None and due_ns <= controller_ns):
            return due_ns
        return controller_ns

    def pto_ns(self, space: int = SPACE_APPLICATION) -> int:
        """The probe timeout, not doubled (6.2.1)."""
        return self.timer.period_ns(self.path, space)

    # What happens to the connection

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """The peer's delays are known."""
        self.timer.peer_delay_ns = self.path.ack_delay_ns = peer.max_ack_delay_ms * MILLISECOND_NS
        self._peer_exponent = peer.ack_delay_exponent

    def handshake_confirmed(self, now: int) -> None:
        """From now on 1-RTT packets are probed for, and the peer keeps its promise about delays (5.3, 6.2.1)."""
        self.timer.is_handshake_confirmed = self.timer.is_peer_validated = True
        self.path.rtt.max_ack_delay_ns = self.timer.peer_delay_ns
        self.timer.idle_base_ns = now

    def change_path(self, path: PathCongestion) -> None:
        """Packets go another way (RFC 9000 9.4)."""
        self.path = path
        path.ack_delay_ns = self.timer.peer_delay_ns
        if self.timer.is_handshake_confirmed:
            path.rtt.max_ack_delay_ns = self.timer.peer_delay_ns
        self.timer.backoff = 0

    def discard(self, number: int, now: int) -> list[SentPacket]:
        """The keys of a space are gone, and with them what was in flight (6.4), which is returned."""
        self.timer.backoff = 0
        self.timer.idle_base_ns = now
        return self._spaces[number].discard()

    def retry_received(self, now: int) -> None:
        """A Retry: what was sent is to be sent again, and is no loss (6.3)."""
        for number in (SPACE_INITIAL, SPACE_APPLICATION):
            self._send_all_again(number, now)

    def early_data_rejected(self, now: int) -> None:
        """The server has not read the 0-RTT packets: their frames go into 1-RTT packets."""
        self._send_all_again(SPACE_APPLICATION, now)

    # Within

    def _count_together(self, space: SpaceRecovery, arrived: Sequence[SentPacket], now: int) -> bool:
        """Totals of plain packets of the path in use; False, and nothing was done, where they are not all such."""
        path = self.path
        packets = total_bytes = eliciting = 0
        for packet in arrived:
            if packet.congestion is not path or not packet.is_in_flight or packet.is_mtu_probe:
                return False
            count = packet.count
            packets += count
            total_bytes += count * packet.size_bytes
            if packet.is_ack_eliciting:
                eliciting += count
        newest = arrived[-1]
        if packets > 1:
            path.delivery.acked_before(packets - 1, total_bytes - newest.size_bytes)
        path.delivery.acked(newest, now)
        space.eliciting -= eliciting
        return True

    def _count_each(
        self,
        space: SpaceRecovery,
        arrived: Sequence[SentPacket],
        late: Sequence[SentPacket],
        largest_acked: int,
        now: int,
    ) -> None:
        """Totals of any packets, one by one; largest_acked: before them."""
        for packet in arrived:
            if packet.is_in_flight:
                delivery, count = packet.congestion.delivery, packet.count
                if count > 1:
                    delivery.acked_before(count - 1, (count - 1) * packet.size_bytes)
                delivery.acked(packet, now)
                if packet.is_ack_eliciting:
                    space.eliciting -= count
        for packet in late:
            self.spurious_losses += 1
            packet.congestion.delivery.acked_late(packet, now)
            packet.congestion.thresholds.arrived_late(packet, largest_acked, now)

    def _read_feedback(self, space: SpaceRecovery, arrived: Sequence[SentPacket], ecn: EcnCounts | None) -> int:
        """What an ACK that raises the largest acknowledged says of marks: how many were changed to CE (13.4.2.1)."""
        ect0 = ect1 = 0
        for packet in arrived:
            if packet.ecn:
                if packet.ecn == ECT0:
                    ect0 += packet.count
                else:
                    ect1 += packet.count
        if ecn is None and not ect0 and not ect1:
            return 0
        ce_packets = space.feedback.new_marks(ecn, ect0, ect1)
        judged: PathCongestion | None = None
        for packet in arrived:
            if packet.ecn and packet.congestion is not judged:
                judged = packet.congestion
                judged.validation.acknowledged(is_plausible=ce_packets is not None)
        return ce_packets or 0

    def _tell_paths(
        self,
        arrived: Sequence[SentPacket],
        late: Sequence[SentPacket],
        lost: Sequence[SentPacket],
        rtt_ns: int | None,
        ack_delay_ns: int,
        ce_packets: int,
        now: int,
    ) -> None:
        acked, lates, losts = _by_path(arrived), _by_path(late), _by_path(lost)
        paths = acked if not late and not lost else {**acked, **lates, **losts}
        # The round trip and the marks are of the path of the newest packet.
        newest = arrived[-1].congestion if arrived else None
        for path in paths:
            is_sampled = path is newest or newest is None
            path.acknowledged(
                [packet for packet in acked.get(path, ()) if not packet.is_mtu_probe],
                losts.get(path, ()),
                lates.get(path, ()),
                rtt_ns if is_sampled else None,
                ack_delay_ns,
                ce_packets if is_sampled else 0,
                self._next_numbers,
                now,
            )

    def _tell_arrived(self, packets: Sequence[SentPacket], now: int) -> None:
        for packet in packets:
            for record in packet.records:
                record.acked(now)

    def _tell_lost(self, lost: Sequence[SentPacket], now: int) -> None:
        for packet in lost:
            if packet.is_ack_eliciting:
                self.lost_packets += 1
            if self.on_lost is not None:
                self.on_lost(packet, now)
            if not packet.is_requeued:
                for record in packet.records:
                    record.lost(now)

    def _send_all_again(self, number: int, now: int) -> None:
        for packet in self.discard(number, now):
            for record in packet.records:
                record.lost(now)

    def _recovery_deadline(self) -> int | None:
        due_ns = None
        for space in self._spaces:
            if space.loss_due_ns is not None and (due_ns is None or space.loss_due_ns < due_ns):
                due_ns = space.loss_due_ns
        if due_ns is not None:
            return due_ns  # 6.2.1: no probe timeout while losses by time are pending
        due = self.timer.due(self.path, self._spaces)
        return None if due is None else due[0]

    def _next_numbers(self) -> tuple[int, int, int]:
        initial, handshake, application = self._spaces
        return initial.next_number, handshake.next_number, application.next_number

    def _count_marks(self, space: SpaceRecovery, ecn: int, packets: int) -> None:
        if ecn == ECT0:
            space.feedback.sent_ect0 += packets
        else:
            space.feedback.sent_ect1 += packets


def _time(
    arrived: Sequence[SentPacket], late: Sequence[SentPacket], largest: int, ack_delay_ns: int, now: int
) -> int | None:
    """A round-trip sample, where the largest is newly acknowledged, with anything that asks for it (5.1).

    A packet that was given up is timed as well, or a first timeout below the round trip would never be corrected.
    """
    newest = arrived[-1] if arrived and (not late or arrived[-1].number > late[-1].number) else late[-1]
    if newest.number != largest:
        return None
    if not (newest.is_ack_eliciting or any(packet.is_ack_eliciting for packet in (*arrived, *late))):
        return None
    rtt_ns = now - newest.sent_ns
    newest.congestion.time(rtt_ns, ack_delay_ns, now)
    return rtt_ns


def _by_path(packets: Sequence[SentPacket]) -> dict[PathCongestion, list[SentPacket]]:
    """Packets in flight, by the path that they were sent on."""
    groups: dict[PathCongestion, list[SentPacket]] = {}
    for packet in packets:
        if packet.is_in_flight:
            group = groups.get(packet.congestion)
            if group is None:
                groups[packet.congestion] = [packet]
            else:
                group.append(packet)
    return groups


MILLISECOND_NS = 1_000_000
PROBES = 2
DEFAULT_EXPONENT = 3
REMEMBERED_TIMEOUTS = 3
ECT0 = 2
