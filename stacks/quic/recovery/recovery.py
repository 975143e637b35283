"""Loss detection and probe timeouts over the three packet number spaces (RFC 9002 5, 6; RFC 9000 13, 21.4).

    sent(packet) -> handle_ack(space, ranges, ...) -> records' acked, lost; each path's congestion
                 -> poll_deadline, handle_timeout -> Probe: packets that must be sent whatever the window says

Packets that were lost are remembered for a while: one that arrives after all was a spurious loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.recovery.congestion import PathCongestion
from stacks.quic.recovery.sent_packet import MakeRecord, SentPacket, SentRun
from stacks.quic.recovery.space import SpaceRecovery
from wire.quic.ack_frames import EcnCounts
from wire.quic.parameters import TransportParameters


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe timeout wants: `count` ack-eliciting packets in `space`."""

    space: int
    count: int


class Recovery:
    """Of one connection.

    path: the congestion of the path in use. is_handshake_confirmed: as RFC 9001 4.1.2 has it. has_handshake_keys: a
    client's. is_blocked: a server may send nothing more before the client's address is validated. probes: timeouts
    so far; lost_packets, spurious_losses: counters. on_lost: called with each packet that is found lost; on_acked: with
    the packets of a space that are acknowledged for the first time, those that had been lost behind the others.
    """

    def __init__(self, path: PathCongestion, *, is_client: bool, rng: random.Random, now: int) -> None:
        self.path = path
        self.is_handshake_confirmed = False
        self.has_handshake_keys = False
        self.is_blocked = False
        self.probes = self.lost_packets = self.spurious_losses = 0
        self.on_lost: Callable[[SentPacket, int], object] | None = None
        self.on_acked: Callable[[int, Sequence[SentPacket], int], object] | None = None
        self._rng = rng
        self._spaces = tuple(SpaceRecovery() for _ in range(3))
        self._backoff = 0
        self._peer_max_ack_delay_ns = DEFAULT_MAX_ACK_DELAY_NS
        self._peer_exponent = DEFAULT_EXPONENT
        self._is_peer_validated = not is_client  # RFC 9002 6.2.2.1: what a client cannot know at first
        self._idle_base_ns = now
        self._skip_in = self._draw_skip()

    # Numbers

    def next_number(self, space: int) -> int:
        """The number of the next packet of a space; `sent` uses it up."""
        return self._spaces[space].next_number

    def largest_acked(self, space: int) -> int:
        """The highest number that was acknowledged, -1 for none."""
        return self._spaces[space].largest_acked

    # Out

    def sent(self, packet: SentPacket, now: int) -> None:
        """A packet leaves."""
        number = packet.number
        space = self._spaces[packet.space]
        space.outstanding[number] = packet
        space.next_number = number + 1
        if packet.is_in_flight:
            packet.congestion.sent(packet, now)
            if packet.is_ack_eliciting:
                space.eliciting += 1
                space.last_eliciting_ns = now
        else:
            packet.sent_ns = now
        if packet.space == SPACE_APPLICATION:
            self._skip_in -= 1
            if not self._skip_in:
                space.skipped = number + 1
                space.next_number = number + 2
                self._skip_in = self._draw_skip()

    def run_room(self) -> int:
        """How many packets may leave in a row before a number is left out."""
        return self._skip_in - 1

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
        congestion.sent_run(count, size_bytes, now)
        self._skip_in -= count

    # In

    def handle_ack(
        self, number: int, ranges: Sequence[tuple[int, int]], delay: int, ecn: EcnCounts | None, now: int
    ) -> None:
        """An ACK for space `number`. ranges: newest first; delay: as on the wire.

        QuicError PROTOCOL_VIOLATION where it acknowledges what was never sent.
        """
        space = self._spaces[number]
        largest = ranges[0][1]
        if largest >= space.next_number:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, f"packet {largest} was never sent")
        skipped = space.skipped
        if skipped >= 0 and any(first <= skipped <= last for first, last in ranges):
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, f"packet {skipped} was never sent")
        arrived, late = space.take(ranges)
        if number == SPACE_HANDSHAKE:
            self._is_peer_validated = True
        if not arrived and not late:
            return
        if self.on_acked is not None:
            self.on_acked(number, [*arrived, *late], now)
        is_newest = largest > space.largest_acked
        if is_newest:
            space.largest_acked = largest
        ack_delay_ns = (delay << self._peer_exponent) * 1000 if number == SPACE_APPLICATION else 0
        rtt_ns = self._settle(space, arrived, late, largest, ack_delay_ns, now)
        lost = self._find_lost(space, now)
        if self._is_peer_validated:
            self._backoff = 0
        self._tell_paths(arrived, late, lost, rtt_ns, ack_delay_ns, ecn if is_newest else None, is_newest, now)
        for packet in arrived:
            for record in packet.records:
                record.acked(now)
        for packet in late:
            for record in packet.records:
                record.acked(now)
        self._tell_lost(lost, now)
        self._forget(space, now)

    def handle_timeout(self, now: int) -> Probe | None:
        """Whatever is due: losses by time, or a probe."""
        for space in self._spaces:
            if space.loss_due_ns is not None and space.loss_due_ns <= now:
                lost = self._find_lost(space, now)
                for path, packets in _by_path(lost).items():
                    path.lost(packets, now)
                self._tell_lost(lost, now)
                return None
        due = self._probe_due()
        if due is None or due[0] > now:
            return None
        self._backoff = min(self._backoff + 1, MAX_BACKOFF)
        self.probes += 1
        number = due[1]
        space = self._spaces[number]
        if not space.eliciting:
            self._idle_base_ns = now
            return Probe(number, 1)
        for other in self._spaces[:SPACE_APPLICATION] if number != SPACE_APPLICATION else (space,):
            self._requeue(other, now)  # 6.2.4: what waits in other spaces goes along
        return Probe(number, 2)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is due."""
        due_ns = None
        for space in self._spaces:
            if space.loss_due_ns is not None and (due_ns is None or space.loss_due_ns < due_ns):
                due_ns = space.loss_due_ns
        if due_ns is not None:
            return due_ns  # 6.2.1: no probe timeout while losses by time are pending
        due = self._probe_due()
        return None if due is None else due[0]

    @property
    def timeouts_in_a_row(self) -> int:
        """Probe timeouts since something was last acknowledged: pto_count of RFC 9002 A.3."""
        return self._backoff

    def pto_ns(self, space: int = SPACE_APPLICATION) -> int:
        """The probe timeout, not doubled (6.2.1)."""
        rtt = self.path.rtt
        base_ns = rtt.retransmission_ns() if rtt.has_sample else INITIAL_PTO_NS
        return base_ns + self._peer_max_ack_delay_ns if space == SPACE_APPLICATION else base_ns

    # What happens to the connection

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """The peer's delays are known."""
        self._peer_max_ack_delay_ns = peer.max_ack_delay_ms * 1_000_000
        self._peer_exponent = peer.ack_delay_exponent

    def handshake_confirmed(self, now: int) -> None:
        """From now on 1-RTT packets are probed for, and the peer keeps its promise about delays."""
        self.is_handshake_confirmed = self._is_peer_validated = True
        self.path.rtt.max_ack_delay_ns = self._peer_max_ack_delay_ns
        self._idle_base_ns = now

    def change_path(self, path: PathCongestion) -> None:
        """Packets go another way (RFC 9000 9.4)."""
        self.path = path
        if self.is_handshake_confirmed:
            path.rtt.max_ack_delay_ns = self._peer_max_ack_delay_ns
        self._backoff = 0

    def discard(self, number: int, now: int) -> None:
        """The keys of a space are gone, and with them what was in flight (6.4)."""
        space = self._spaces[number]
        for packet_number, packet in space.outstanding.items():
            if isinstance(packet, SentRun):
                packet = packet.packet(packet_number)
            if packet.is_in_flight:
                packet.congestion.delivery.discarded(packet)
        space.outstanding.clear()
        space.remembered.clear()
        space.eliciting = 0
        space.loss_due_ns = None
        self._backoff = 0
        self._idle_base_ns = now

    def retry_received(self, now: int) -> None:
        """A Retry: what was sent is to be sent again, and is no loss (6.3)."""
        for number in (SPACE_INITIAL, SPACE_APPLICATION):
            self._send_all_again(number, now)

    def early_data_rejected(self, now: int) -> None:
        """The server has not read the 0-RTT packets: their frames go into 1-RTT packets."""
        self._send_all_again(SPACE_APPLICATION, now)

    # Within

    def _settle(
        self,
        space: SpaceRecovery,
        arrived: Sequence[SentPacket],
        late: Sequence[SentPacket],
        largest: int,
        ack_delay_ns: int,
        now: int,
    ) -> int | None:
        """Totals, and a round-trip sample where this gives one (5.1)."""
        is_eliciting = False
        for packet in arrived:
            if packet.is_in_flight:
                delivery, others = packet.congestion.delivery, packet.count - 1
                if others:
                    delivery.acked_before(others, others * packet.size_bytes)
                delivery.acked(packet, now)
                if packet.is_ack_eliciting:
                    space.eliciting -= packet.count
                    is_eliciting = True
        for packet in late:
            self.spurious_losses += 1
            packet.congestion.delivery.acked_late(packet, now)
        newest = arrived[-1] if arrived else late[-1]
        if newest.number != largest or not (is_eliciting or late):
            return None
        rtt_ns = now - newest.sent_ns
        newest.congestion.time(rtt_ns, ack_delay_ns, now)
        return rtt_ns

    def _tell_paths(
        self,
        arrived: Sequence[SentPacket],
        late: Sequence[SentPacket],
        lost: Sequence[SentPacket],
        rtt_ns: int | None,
        ack_delay_ns: int,
        ecn: EcnCounts | None,
        is_newest: bool,
        now: int,
    ) -> None:
        acked, lates, losts = _by_path(arrived), _by_path(late), _by_path(lost)
        for path in {**acked, **lates, **losts}:
            packets = acked.get(path, ())
            marked = 0
            for packet in packets:
                if packet.ecn:
                    marked += packet.count
            ce_packets = 0
            if is_newest and (marked or ecn is not None):
                ce_packets = path.validation.acknowledged(ecn, marked, path.controller.ecn or ECT0)
            path.acknowledged(
                packets,
                losts.get(path, ()),
                lates.get(path, ()),
                rtt_ns=rtt_ns,
                ack_delay_ns=ack_delay_ns,
                ce_packets=ce_packets,
                now=now,
            )

    def _find_lost(self, space: SpaceRecovery, now: int) -> list[SentPacket]:
        """Take off what is lost by now (6.1)."""
        lost: list[SentPacket] = []
        space.loss_due_ns = None
        largest = space.largest_acked
        if next(iter(space.outstanding), largest) >= largest:
            return lost
        rtt = self.path.rtt
        delay_ns = max(max(rtt.smoothed_ns, rtt.latest_ns) * 9 // 8, rtt.granularity_ns)
        for number, packet in space.outstanding.items():
            if number > largest:
                break
            if number > largest - PACKET_THRESHOLD and packet.sent_ns + delay_ns > now:
                space.loss_due_ns = packet.sent_ns + delay_ns
                break
            lost.append(packet.packet(number) if isinstance(packet, SentRun) else packet)
        for packet in lost:
            del space.outstanding[packet.number]
            if packet.is_ack_eliciting:
                space.eliciting -= 1
            if packet.is_in_flight and not packet.is_mtu_probe:
                packet.lost_ns = now
                packet.congestion.delivery.lost(packet)
                space.remembered[packet.number] = packet
            elif packet.is_in_flight:
                packet.congestion.delivery.discarded(packet)
        return lost

    def _tell_lost(self, lost: Sequence[SentPacket], now: int) -> None:
        for packet in lost:
            self.lost_packets += 1
            if self.on_lost is not None:
                self.on_lost(packet, now)
            if not packet.is_requeued:
                for record in packet.records:
                    record.lost(now)

    def _requeue(self, space: SpaceRecovery, now: int) -> None:
        """Have the frames of the oldest packets sent again by the probes (6.2.4)."""
        count = 0
        outstanding = space.outstanding
        for number, packet in outstanding.items():
            if packet.is_ack_eliciting and not packet.is_mtu_probe and not packet.is_requeued:
                if isinstance(packet, SentRun):
                    packet = outstanding[number] = packet.packet(number)
                packet.is_requeued = True
                for record in packet.records:
                    record.lost(now)
                count += 1
                if count == 2:
                    return

    def _send_all_again(self, number: int, now: int) -> None:
        space = self._spaces[number]
        packets = list(space.outstanding.items())
        self.discard(number, now)
        for packet_number, packet in packets:
            if isinstance(packet, SentRun):
                packet = packet.packet(packet_number)
            for record in packet.records:
                record.lost(now)

    def _probe_due(self) -> tuple[int, int] | None:
        """When the probe timeout is due, and in which space (6.2.1, 6.2.2)."""
        if self.is_blocked:
            return None
        earliest: tuple[int, int] | None = None
        for number, space in enumerate(self._spaces):
            if not space.eliciting or (number == SPACE_APPLICATION and not self.is_handshake_confirmed):
                continue
            due_ns = space.last_eliciting_ns + (self.pto_ns(number) << self._backoff)
            if earliest is None or due_ns < earliest[0]:
                earliest = due_ns, number
        if earliest is None and not self._is_peer_validated:
            number = SPACE_HANDSHAKE if self.has_handshake_keys else SPACE_INITIAL
            return self._idle_base_ns + (self.pto_ns(number) << self._backoff), number
        return earliest

    def _forget(self, space: SpaceRecovery, now: int) -> None:
        remembered = space.remembered
        if remembered:
            horizon_ns = now - 3 * self.pto_ns()
            while remembered and next(iter(remembered.values())).lost_ns < horizon_ns:
                del remembered[next(iter(remembered))]

    def _draw_skip(self) -> int:
        return SKIP_FROM + int(self._rng.random() * SKIP_FROM)


def _by_path(packets: Sequence[SentPacket]) -> dict[PathCongestion, list[SentPacket]]:
    """Packets in flight, by the path that they were sent on; but for MTU probes, whose loss is nobody's business."""
    groups: dict[PathCongestion, list[SentPacket]] = {}
    for packet in packets:
        if packet.is_in_flight and not packet.is_mtu_probe:
            group = groups.get(packet.congestion)
            if group is None:
                groups[packet.congestion] = [packet]
            else:
                group.append(packet)
    return groups


PACKET_THRESHOLD = 3
INITIAL_PTO_NS = 999_000_000
"""Of an RTT of 333 ms (6.2.2), whose variation is half of it."""
MAX_BACKOFF = 10
DEFAULT_MAX_ACK_DELAY_NS = 25_000_000
DEFAULT_EXPONENT = 3
SKIP_FROM = 500
"""A packet number is left out after so many, or up to twice as many (RFC 9000 21.4)."""
ECT0 = 2
