"""Whether ECN works on a path (RFC 9000 13.4.2, appendix A.4)."""

from __future__ import annotations

import enum

from wire.quic.ack_frames import EcnCounts


class EcnState(enum.IntEnum):
    """TESTING: the first packets are marked. UNKNOWN: they were, and nothing came back yet. CAPABLE, FAILED."""

    TESTING = 0
    UNKNOWN = 1
    CAPABLE = 2
    FAILED = 3


class EcnValidation:
    """One path. sent: marked packets so far; state as of `EcnState`. ce: marks that the peer reported, in all."""

    __slots__ = ("_acked", "_counts", "_lost", "ce", "sent", "state")

    def __init__(self, *, is_enabled: bool) -> None:
        self.state = EcnState.TESTING if is_enabled else EcnState.FAILED
        self.sent = 0
        self.ce = 0
        self._acked = 0
        self._lost = 0
        self._counts: EcnCounts = (0, 0, 0)

    @property
    def is_marking(self) -> bool:
        """Whether packets are to be marked."""
        return self.state in (EcnState.TESTING, EcnState.CAPABLE)

    def packet_sent(self) -> None:
        """A marked packet leaves."""
        self.sent += 1
        if self.state == EcnState.TESTING and self.sent >= TESTING_PACKETS:
            self.state = EcnState.UNKNOWN

    def packet_lost(self) -> None:
        """A marked packet is lost: where all of the first are, the path may throw marked packets away."""
        self._lost += 1
        if self.state in (EcnState.TESTING, EcnState.UNKNOWN) and not self._acked and self._lost >= TESTING_PACKETS:
            self.state = EcnState.FAILED

    def acknowledged(self, counts: EcnCounts | None, newly_marked: int, codepoint: int) -> int:
        """An ACK that raises the largest acknowledged came; how many packets it newly reports as CE.

        counts: of the ACK, None where it had none. newly_marked: packets that it newly acknowledges and that were
        sent with `codepoint` (2 for ECT(0), 1 for ECT(1)).
        """
        if self.state == EcnState.FAILED or (not newly_marked and counts is None):
            return 0
        self._acked += newly_marked
        if counts is None or not self._is_plausible(counts, newly_marked, codepoint):
            if newly_marked:
                self.state = EcnState.FAILED
            return 0
        self._counts = counts
        new_ce = counts[2] - self.ce
        self.ce = counts[2]
        if self._acked:
            self.state = EcnState.CAPABLE
        return new_ce

    def _is_plausible(self, counts: EcnCounts, newly_marked: int, codepoint: int) -> bool:
        increases = [now - before for now, before in zip(counts, self._counts, strict=True)]
        if min(increases) < 0 or sum(counts) > self.sent:
            return False
        ours = 0 if codepoint == ECT0 else 1
        if counts[1 - ours]:
            return False  # marked as nothing of ours was
        return increases[ours] + increases[2] >= newly_marked


TESTING_PACKETS = 10
ECT1, ECT0 = 1, 2
