"""Which packets of a space arrived, and the ACK frames that say so (RFC 9000 13.2; draft-ietf-quic-ack-frequency).

Ranges are kept ascending, and bounded: what is below the oldest that is kept counts as seen. An acknowledged ACK takes
what it reported out of the next ones, as far as the peer cannot need it again (13.2.4). When is `AckPolicy`'s.
"""

from __future__ import annotations

from stacks.quic.configuration import Configuration
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.recovery.ack_policy import AckPolicy
from wire.quic.ack_frames import encode_ack
from wire.quic.frame_types import FRAME_PING
from wire.quic.frames import AckFrequency
from wire.quic.parameters import TransportParameters

ECN_CE, ECN_ECT0, ECN_ECT1 = 3, 2, 1


class ReceivedPackets:
    """A `FrameSource` for ACK frames.

    largest: -1 for none. has_frames: whether an ACK would say anything new.
    """

    __slots__ = (
        "_ce", "_ect0", "_ect1", "_exponent", "_floor", "_has_ecn", "_largest_ns", "_policy", "_ranges", "_told_from",
        "_unheard", "has_frames", "largest",
    )  # fmt: skip

    def __init__(self, space: int, configuration: Configuration) -> None:
        self.largest = -1
        self.has_frames = False
        self._ranges: list[list[int]] = []  # [first, last], ascending
        self._floor = 0  # what is below is taken for a duplicate
        self._told_from = 0  # what is below is not told any more
        self._largest_ns = 0
        self._exponent = configuration.ack_delay_exponent if space == SPACE_APPLICATION else -1
        self._policy = AckPolicy(space, configuration)
        self._ect0 = self._ect1 = self._ce = 0
        self._has_ecn = False
        self._unheard = 0  # ACKs that left since one was acknowledged

    @property
    def ack_due_ns(self) -> int | None:
        """When an ACK is to leave by itself, None for not at all."""
        return self._policy.due_ns

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
        """A packet that is no duplicate arrived and was handled. ecn: of its IP header."""
        ranges = self._ranges
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            self._insert(number)
        if number > self.largest:
            self.largest = number
            self._largest_ns = now
        elif number < self._told_from:
            self._told_from = number  # it comes late, and its sender waits to hear of it
        if ecn:
            self._count(ecn, 1)
        if is_ack_eliciting:
            self.has_frames = True
            self._policy.eliciting(number, ranges, packets=1, is_ce=ecn == ECN_CE, now=now)

    def record_run(self, last: int, ecn: int, now: int) -> None:
        """All packets from `largest + 1` to `last` arrived and were handled; each asks for an acknowledgement."""
        first = self.largest + 1
        count = last - self.largest
        ranges = self._ranges
        if ranges:
            ranges[-1][1] = last
        else:
            ranges.append([first, last])
        self.largest = last
        self._largest_ns = now
        if ecn:
            self._count(ecn, count)
        self.has_frames = True
        self._policy.eliciting(last, ranges, packets=count, is_ce=ecn == ECN_CE, now=now)

    def write_frames(self, packet: PacketWriter, now: int) -> None:
        """An ACK of all that is known and may not be at the peer, with as many ranges as fit."""
        ranges: list[tuple[int, int]] = []
        for first, last in reversed(self._ranges):
            if last < self._told_from or len(ranges) == MAX_SENT_RANGES:
                break
            ranges.append((first, last))
        delay = (now - self._largest_ns) // 1000 >> self._exponent if self._exponent >= 0 else 0
        ecn = (self._ect0, self._ect1, self._ce) if self._has_ecn else None
        record = AckRecord(self, ranges[0][1])
        while not packet.put(encode_ack(ranges, delay, ecn), record, is_ack_eliciting=False):
            if len(ranges) == 1:
                return
            del ranges[len(ranges) // 2 :]
        self.has_frames = False
        self._policy.told(ranges[0][1])
        self._unheard += 1
        if self._unheard >= MAX_UNHEARD and len(ranges) > 1 and self._exponent >= 0 and not packet.is_ack_eliciting:
            # 13.2.4: who only receives never hears that its ACKs arrive, and would tell old ranges for ever.
            packet.put(PING)
            self._unheard = 0

    def acknowledge_now(self, now: int) -> None:
        """The peer asks for an ACK at once (IMMEDIATE_ACK); QuicError where that was not offered."""
        self._policy.acknowledge_now(now)
        self.has_frames = True

    def apply_ack_frequency(self, frame: AckFrequency, now: int) -> None:  # noqa: ARG002
        """The peer says how often it wants ACKs (ACK_FREQUENCY); QuicError where that was not offered."""
        self._policy.apply(frame)

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """Nothing of the peer's changes how we acknowledge."""

    def told(self, largest: int) -> None:
        """An ACK up to `largest` was acknowledged: what is far below need not be told again."""
        self._unheard = 0
        if largest - KEPT_NUMBERS > self._told_from:
            self._told_from = largest - KEPT_NUMBERS

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

    def _count(self, ecn: int, packets: int) -> None:
        self._has_ecn = True
        if ecn == ECN_ECT0:
            self._ect0 += packets
        elif ecn == ECN_ECT1:
            self._ect1 += packets
        else:
            self._ce += packets


class AckRecord:
    """An ACK that was sent: once it is acknowledged, what it told is known."""

    __slots__ = ("_largest", "_owner")

    def __init__(self, owner: ReceivedPackets, largest: int) -> None:
        self._owner = owner
        self._largest = largest

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.told(self._largest)

    def lost(self, now: int) -> None:
        """As of `SentFrame`: ACKs are not sent again; the next one says it all."""


PING = bytes((FRAME_PING,))
MAX_RANGES = 256
MAX_SENT_RANGES = 32
MAX_UNHEARD = 32
"""ACKs in a row that nobody acknowledged, before one asks for it."""
KEPT_NUMBERS = 64
"""Packet numbers that stay told after they are known to be known: an ACK may be reordered, too."""
