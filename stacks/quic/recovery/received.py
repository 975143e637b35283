"""Which packets of a space arrived, and when that is to be said (RFC 9000 13.2; draft-ietf-quic-ack-frequency).

Ranges are kept newest first, and bounded: what is below the oldest that is kept counts as seen. An acknowledged ACK
takes off what it reported, as far as the peer cannot need it again (13.2.4).
"""

from __future__ import annotations

from stacks.quic.configuration import Configuration
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.packet_writer import PacketWriter
from wire.quic.ack_frames import encode_ack
from wire.quic.frames import AckFrequency
from wire.quic.parameters import TransportParameters

ECN_CE, ECN_ECT0, ECN_ECT1 = 3, 2, 1


class ReceivedPackets:
    """A `FrameSource` for ACK frames.

    largest: -1 for none. ack_due_ns: when an ACK is to leave by itself, None for not at all. has_frames: whether an ACK
    would say anything new. Initial and Handshake packets are acknowledged at once (13.2.1).
    """

    __slots__ = (
        "_ce", "_delay_ns", "_ect0", "_ect1", "_exponent", "_floor", "_frequency_number", "_has_ecn", "_is_delaying",
        "_largest_ns", "_ranges", "_reordering", "_threshold", "_unacked", "ack_due_ns", "has_frames", "largest",
    )  # fmt: skip

    def __init__(self, space: int, configuration: Configuration) -> None:
        self.largest = -1
        self.ack_due_ns: int | None = None
        self.has_frames = False
        self._ranges: list[list[int]] = []  # [first, last], ascending
        self._floor = 0  # nothing below is told or taken any more
        self._largest_ns = 0
        self._is_delaying = space == SPACE_APPLICATION
        self._delay_ns = configuration.max_ack_delay_ns
        self._exponent = configuration.ack_delay_exponent if self._is_delaying else 0
        self._threshold = configuration.ack_every
        self._reordering = 1
        self._frequency_number = -1
        self._unacked = 0
        self._ect0 = self._ect1 = self._ce = 0
        self._has_ecn = False

    def is_duplicate(self, number: int) -> bool:
        """Whether the packet was there already, or is too old to tell."""
        if number > self.largest:
            return False
        if number < self._floor:
            return True
        for first, last in reversed(self._ranges):
            if number > last:
                return False
            if number >= first:
                return True
        return False

    def record(self, number: int, is_ack_eliciting: bool, ecn: int, now: int) -> None:
        """A packet arrived and was handled."""
        ranges = self._ranges
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
            is_in_order = True
        else:
            is_in_order = not ranges
            self._insert(number)
        if number > self.largest:
            self.largest = number
            self._largest_ns = now
        if ecn:
            self._count(ecn)
        if is_ack_eliciting:
            self.has_frames = True
            self._unacked += 1
            self._schedule(number, is_in_order, ecn, now)

    def record_run(self, last: int, ecn: int, now: int) -> None:
        """All packets from `largest + 1` to `last` arrived and were handled; each asks for an acknowledgement."""
        count = last - self.largest
        if self._ranges:
            self._ranges[-1][1] = last
        else:
            self._insert(last)
            self._ranges[-1][0] = last - count + 1
        self.largest = last
        self._largest_ns = now
        if ecn:
            self._count(ecn, count)
        self.has_frames = True
        self._unacked += count
        self._schedule(last, True, ecn, now)

    def write_frames(self, packet: PacketWriter, now: int) -> None:
        """An ACK of all that is known, with as many ranges as fit."""
        ranges = [(first, last) for first, last in self._ranges[: -MAX_SENT_RANGES - 1 : -1]]
        delay = (now - self._largest_ns) // 1000 >> self._exponent if self._is_delaying else 0
        ecn = (self._ect0, self._ect1, self._ce) if self._has_ecn else None
        while True:
            record = AckRecord(self, ranges[-1][0], ranges[0][1])
            if packet.put(encode_ack(ranges, delay, ecn), record, is_ack_eliciting=False):
                break
            if len(ranges) == 1:
                return
            del ranges[len(ranges) // 2 or 1 :]
        self.has_frames = False
        self.ack_due_ns = None
        self._unacked = 0

    def acknowledge_now(self, now: int) -> None:
        """The peer asks for an ACK at once (IMMEDIATE_ACK)."""
        if self._ranges:
            self.has_frames = True
            self.ack_due_ns = now

    def apply_ack_frequency(self, frame: AckFrequency, now: int) -> None:  # noqa: ARG002
        """The peer says how often it wants ACKs (ACK_FREQUENCY)."""
        if frame.sequence_number <= self._frequency_number:
            return
        self._frequency_number = frame.sequence_number
        self._threshold = frame.ack_eliciting_threshold + 1
        self._delay_ns = frame.requested_max_ack_delay * 1000
        self._reordering = frame.reordering_threshold

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """Nothing of the peer's changes how we acknowledge."""

    def forget_below(self, number: int) -> None:
        """The peer knows of everything below `number`: it need not be told again (13.2.4)."""
        if number <= self._floor:
            return
        self._floor = number
        ranges = self._ranges
        while len(ranges) > 1 and ranges[0][1] < number:
            del ranges[0]
        if ranges[0][0] < number <= ranges[0][1]:
            ranges[0][0] = number

    def _insert(self, number: int) -> None:
        ranges = self._ranges
        at = len(ranges)
        while at and ranges[at - 1][0] > number:
            at -= 1
        if at and ranges[at - 1][1] == number - 1:
            ranges[at - 1][1] = number
            if at < len(ranges) and ranges[at][0] == number + 1:
                ranges[at - 1][1] = ranges[at][1]
                del ranges[at]
        elif at < len(ranges) and ranges[at][0] == number + 1:
            ranges[at][0] = number
        else:
            ranges.insert(at, [number, number])
            if len(ranges) > MAX_RANGES:
                self._floor = ranges[0][1] + 1
                del ranges[0]

    def _count(self, ecn: int, packets: int = 1) -> None:
        self._has_ecn = True
        if ecn == ECN_ECT0:
            self._ect0 += packets
        elif ecn == ECN_ECT1:
            self._ect1 += packets
        else:
            self._ce += packets

    def _schedule(self, number: int, is_in_order: bool, ecn: int, now: int) -> None:
        is_gap = not is_in_order and self._reordering and number + self._reordering >= self.largest
        if not self._is_delaying or self._unacked >= self._threshold or is_gap or ecn == ECN_CE:
            self.ack_due_ns = now
        elif self.ack_due_ns is None:
            self.ack_due_ns = now + self._delay_ns


class AckRecord:
    """An ACK that was sent: once it is acknowledged, what it told is known."""

    __slots__ = ("_first", "_last", "_owner")

    def __init__(self, owner: ReceivedPackets, first: int, last: int) -> None:
        self._owner = owner
        self._first = first
        self._last = last

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.forget_below(self._last - KEPT_NUMBERS)

    def lost(self, now: int) -> None:
        """As of `SentFrame`: ACKs are not sent again; the next one says it all."""


MAX_RANGES = 256
MAX_SENT_RANGES = 32
KEPT_NUMBERS = 64
"""Packet numbers that stay told after they are known to be known: an ACK may be reordered, too."""
