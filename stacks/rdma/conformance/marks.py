"""ECN marks and the CNPs that they cause (IBTA A17.9.3; the rule of Lumina's CNP checker).

A receiver sends a CNP for a packet that came with CE, no more than one in its interval. So a CNP without a mark before
it that no other CNP has answered is one too many, and so is one that comes too soon.
"""

from __future__ import annotations

from stacks.rdma.conformance.observed import Observed

Hosts = tuple[str, str]


class Marks:
    """Marks and CNPs by pair of hosts; a CNP names the queue pair that sent, a marked packet the one that receives.

    interval_ns: the least time between two CNPs of one pair; None where it is not known.
    """

    def __init__(self, interval_ns: int | None) -> None:
        self._interval_ns = interval_ns
        self._open: dict[Hosts, int] = {}
        self._last: dict[tuple[str, str, int], int] = {}

    def marked(self, seen: Observed) -> None:
        """A packet with CE passed."""
        hosts = seen.source, seen.destination
        self._open[hosts] = self._open.get(hosts, 0) + 1

    def notified(self, seen: Observed) -> str:
        """A CNP passed; what is wrong with it, or an empty text."""
        hosts = seen.destination, seen.source
        last, self._last[seen.flow] = self._last.get(seen.flow), seen.time_ns
        if any(seen.known.payload) or len(seen.known.payload) != CNP_BYTES:
            return "a CNP carries 16 zero bytes"
        if not self._open.get(hosts):
            return "a CNP, but no packet with CE came that way since the last"
        self._open[hosts] -= 1
        if self._interval_ns is not None and last is not None and seen.time_ns - last < self._interval_ns:
            return f"a CNP {seen.time_ns - last} ns after the last, sooner than the interval of {self._interval_ns} ns"
        return ""


CNP_BYTES = 16
