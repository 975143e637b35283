"""ECN marks from the length of a queue, as RoCE switches make them: a ramp between two thresholds.

Nothing up to `kmin_bytes`, then with a probability that rises to `pmax` at `kmax_bytes`, and always above. The present
length counts, not an average (DCQCN, SIGCOMM 2015, section 3.1); a ramp of no length is DCTCP's step (RFC 8257 3.1).
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EcnRamp:
    """The thresholds; the defaults are those of the DCQCN paper. ValueError when they are out of order."""

    kmin_bytes: int = 5_000
    kmax_bytes: int = 200_000
    pmax: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.kmin_bytes <= self.kmax_bytes or not 0.0 <= self.pmax <= 1.0:
            raise ValueError("an ECN ramp needs 0 <= kmin_bytes <= kmax_bytes and pmax from 0 to 1")

    def marks(self, queued_bytes: int, rng: random.Random) -> bool:
        """Whether a packet that finds `queued_bytes` is marked; draws only on the ramp."""
        if queued_bytes <= self.kmin_bytes:
            return False
        if queued_bytes >= self.kmax_bytes:
            return True
        share = (queued_bytes - self.kmin_bytes) / (self.kmax_bytes - self.kmin_bytes)
        return rng.random() < share * self.pmax
