"""Against the replay of 0-RTT: a first flight is accepted only while it is fresh, and only once (RFC 8446 8.2, 8.3).

Early data is accepted where the age that the client states for its ticket agrees with ours within a window, and the
ticket was not used for early data within that window before. So what is remembered is bounded in time, and it is
bounded in number as well: a full register refuses early data (the handshake itself goes on), it never forgets early.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b


class StrikeRegister:
    """Which tickets carried early data lately.

    window_ns: how far the client's clock, and the way to us, may be off. capacity: tickets remembered, about 150 bytes
    each. started_unix_ns: no early data until two windows later; None where no earlier process can have accepted any.
    """

    def __init__(
        self, *, window_ns: int = 10_000_000_000, capacity: int = 16_384, started_unix_ns: int | None = None
    ) -> None:
        self.window_ns = window_ns
        self.capacity = capacity
        self.accepted = 0
        self.refused_stale = 0
        self.refused_repeated = 0
        self.refused_full = 0
        self._not_before_ns = started_unix_ns + 2 * window_ns if started_unix_ns is not None else 0
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def accept(self, identity: bytes, *, stated_age_ns: int, true_age_ns: int, unix_ns: int) -> bool:
        """Whether early data with this ticket may be taken; if so, the ticket is struck.

        stated_age_ns: by the client. true_age_ns: since we issued it; the difference has a round trip in it.
        """
        if abs(true_age_ns - stated_age_ns) > self.window_ns or unix_ns < self._not_before_ns:
            self.refused_stale += 1
            return False
        self._forget(unix_ns)
        key = blake2b(identity, digest_size=16).digest()
        if key in self._seen:
            self.refused_repeated += 1
            return False
        if len(self._seen) >= self.capacity:
            self.refused_full += 1
            return False
        # The same flight stays fresh for at most two windows: from the earliest to the latest arrival that is accepted.
        self._seen[key] = unix_ns + 2 * self.window_ns
        self.accepted += 1
        return True

    def __len__(self) -> int:
        return len(self._seen)

    def _forget(self, unix_ns: int) -> None:
        seen = self._seen
        while seen and next(iter(seen.values())) < unix_ns:
            seen.popitem(last=False)
