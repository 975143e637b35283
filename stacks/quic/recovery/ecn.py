"""Whether ECN works on a path (RFC 9000 13.4.2, appendix A.4), and what the peer's counts say.

Counts belong to a packet number space (`EcnFeedback`), marks to a path (`EcnValidation`).
"""

from __future__ import annotations

import enum

from wire.quic.ack_frames import EcnCounts

ECT1, ECT0 = 1, 2


class EcnState(enum.IntEnum):
    """TESTING: the first packets are marked. UNKNOWN: they were, and nothing came back yet. CAPABLE, FAILED."""

    TESTING = 0
    UNKNOWN = 1
    CAPABLE = 2
    FAILED = 3


class EcnValidation:
    """One path. sent: packets that were marked in the test; state as of `EcnState`."""

    __slots__ = ("_lost", "sent", "state")

    def __init__(self, *, is_enabled: bool) -> None:
        self.state = EcnState.TESTING if is_enabled else EcnState.FAILED
        self.sent = 0
        self._lost = 0

    @property
    def is_marking(self) -> bool:
        """Whether packets are to be marked."""
        return self.state in (EcnState.TESTING, EcnState.CAPABLE)

    def packet_sent(self) -> None:
        """A marked packet leaves while the path is tested."""
        self.sent += 1
        if self.state == EcnState.TESTING and self.sent >= TESTING_PACKETS:
            self.state = EcnState.UNKNOWN

    def packet_lost(self) -> None:
        """A marked packet is lost: where all of the first are, the path may throw marked packets away."""
        self._lost += 1
        if self.state in (EcnState.TESTING, EcnState.UNKNOWN) and self._lost >= TESTING_PACKETS:
            self.state = EcnState.FAILED

    def acknowledged(self, *, is_plausible: bool) -> None:
        """An ACK that raises the largest acknowledged came, and newly acknowledges marked packets of this path."""
        if not is_plausible:
            self.state = EcnState.FAILED
        elif self.state != EcnState.FAILED:
            self.state = EcnState.CAPABLE


class EcnFeedback:
    """One packet number space. sent_ect0, sent_ect1: packets that left with each codepoint."""

    __slots__ = ("_counts", "sent_ect0", "sent_ect1")

    def __init__(self) -> None:
        self.sent_ect0 = self.sent_ect1 = 0
        self._counts: EcnCounts = (0, 0, 0)

    def new_marks(self, counts: EcnCounts | None, acked_ect0: int, acked_ect1: int) -> int | None:
        """How many more packets an ACK that raises the largest acknowledged reports as CE; None where it is wrong.

        counts: of the ACK, None where it had none. acked_ect0, acked_ect1: packets that left with each codepoint, and
        that it newly acknowledges (13.4.2.1).
        """
        if counts is None:
            return None if acked_ect0 or acked_ect1 else 0
        ect0, ect1, ce = counts
        before0, before1, before_ce = self._counts
        more0, more1, more_ce = ect0 - before0, ect1 - before1, ce - before_ce
        if (
            min(more0, more1, more_ce) < 0
            or more0 + more_ce < acked_ect0
            or more1 + more_ce < acked_ect1
            or more0 + more1 + more_ce < acked_ect0 + acked_ect1
            or ect0 > self.sent_ect0
            or ect1 > self.sent_ect1
            or ect0 + ect1 + ce > self.sent_ect0 + self.sent_ect1
        ):
            return None
        self._counts = counts
        return more_ce


TESTING_PACKETS = 10
