"""When received packets are to be acknowledged (RFC 9000 13.2.1, 13.2.2; draft-ietf-quic-ack-frequency 6)."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import SPACE_APPLICATION
from wire.quic.frame_types import FRAME_ACK_FREQUENCY, FRAME_IMMEDIATE_ACK
from wire.quic.frames import AckFrequency


class AckPolicy:
    """Of one packet number space.

    due_ns: when an ACK is to leave by itself, None for not at all. Initial and Handshake packets are acknowledged at
    once (13.2.1), others after `threshold` more, after the longest delay, or when they are out of order.
    """

    __slots__ = (
        "_delay_ns", "_is_delaying", "_largest_eliciting", "_largest_told", "_min_delay_ns", "_reordering", "_sequence",
        "_threshold", "_unacked", "_was_ce", "due_ns",
    )  # fmt: skip

    def __init__(self, space: int, configuration: Configuration) -> None:
        self.due_ns: int | None = None
        self._is_delaying = space == SPACE_APPLICATION
        self._threshold = configuration.ack_every - 1
        self._delay_ns = configuration.max_ack_delay_ns
        self._min_delay_ns = configuration.min_ack_delay_ns
        self._reordering = 1
        self._sequence = -1
        self._unacked = 0
        self._largest_eliciting = -1
        self._largest_told = -1
        self._was_ce = False

    def eliciting(self, number: int, ranges: Sequence[Sequence[int]], *, packets: int, is_ce: bool, now: int) -> None:
        """`packets` in a row, the last of them `number`, ask for an acknowledgement; `ranges` has them, ascending."""
        largest = self._largest_eliciting
        if number > largest:
            self._largest_eliciting = number
        self._unacked += packets
        if (
            self._unacked > self._threshold
            or not self._is_delaying
            or (is_ce and (self._threshold <= 1 or not self._was_ce))
            or ((len(ranges) > 1 or number < largest) and self._is_out_of_order(number, packets, largest, ranges))
        ):
            self.due_ns = now
        elif self.due_ns is None:
            self.due_ns = now + self._delay_ns
        self._was_ce = is_ce

    def told(self, largest: int) -> None:
        """An ACK leaves, that acknowledges up to `largest`."""
        self.due_ns = None
        self._unacked = 0
        self._largest_told = largest

    def apply(self, frame: AckFrequency) -> None:
        """ACK_FREQUENCY came; QuicError for a delay that was not offered, or where no such frames were."""
        self._check_offered(FRAME_ACK_FREQUENCY)
        delay_ns = frame.requested_max_ack_delay * 1000
        if delay_ns < self._min_delay_ns or delay_ns >= MAX_DELAY_NS:
            text = f"an acknowledgement delay of {frame.requested_max_ack_delay} us is not on offer"
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, text, frame_type=FRAME_ACK_FREQUENCY)
        if frame.sequence_number <= self._sequence:
            return
        self._sequence = frame.sequence_number
        self._threshold = frame.ack_eliciting_threshold
        self._delay_ns = delay_ns
        self._reordering = frame.reordering_threshold

    def acknowledge_now(self, now: int) -> None:
        """IMMEDIATE_ACK came."""
        self._check_offered(FRAME_IMMEDIATE_ACK)
        self.due_ns = now

    def _check_offered(self, frame_type: int) -> None:
        if not self._min_delay_ns:
            text = f"frame type {frame_type:#x} is unknown: it was not negotiated"
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, text, frame_type=frame_type)

    def _is_out_of_order(self, number: int, packets: int, largest: int, ranges: Sequence[Sequence[int]]) -> bool:
        """Whether the peer should hear of a gap, or of the end of one, at once."""
        reordering = self._reordering
        if reordering == 1:  # RFC 9000 13.2.1
            return number < largest or _first_missing(ranges, largest + 1, number - packets + 1) is not None
        if not reordering:
            return False
        reported = self._largest_told - reordering if self._largest_told >= 0 else -1
        if number <= reported:
            return True
        missing = _first_missing(ranges, reported + 1, self._largest_eliciting)
        return missing is not None and self._largest_eliciting - missing >= reordering


def _first_missing(ranges: Sequence[Sequence[int]], start: int, end: int) -> int | None:
    """The least number of [start, end) that is in no range."""
    missing = None
    for first, last in reversed(ranges):
        behind = max(last + 1, start)
        if behind < end:
            missing = behind
        if first <= start:
            return missing
        end = min(end, first)
    return start if start < end else missing


MAX_DELAY_NS = (1 << 14) * 1_000_000
"""Longer ones are no max_ack_delay (RFC 9000 18.2)."""
