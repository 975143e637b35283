"""How long a command waits for a namespace that no path may use: what is said meanwhile, and when that ends.

A live path to an inaccessible ANA group is no outage, and in the library commands wait for another state as long as it
takes, as in Linux. A person at a terminal is told after a second, and waits no longer than for a path that is lost.
"""

from __future__ import annotations

from apps.output import complain
from stacks.nvme.host import Multipath, ReconnectPolicy
from transports.clock import Clock


class Patience:
    """Watches the namespaces of a subsystem; a policy (`Policy`) of the first path's connector while one is blocked."""

    def __init__(self, multipath: Multipath, clock: Clock) -> None:
        self._multipath = multipath
        self._clock = clock
        self._limit_s = limit_s(multipath.paths[0].policy)
        self._policies = multipath.paths[0].connector.policies
        self._since: dict[int, int] = {}
        self._said: set[int] = set()
        self._due_ns: int | None = None

    def look(self) -> None:
        """Something changed on a path."""
        for nsid, head in self._multipath.heads.items():
            if head.is_usable:
                self._since.pop(nsid, None)
                self._said.discard(nsid)
            elif head.blocked:
                self._since.setdefault(nsid, self._clock.now())
        if not self._since:
            self._due_ns = None
            self._policies.pop(self, None)
        elif self._due_ns is None:
            self._due_ns = self._clock.now() + SECOND_NS
            self._policies[self] = None

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due, in nanoseconds; None for never."""
        return self._due_ns

    def handle_timeout(self, now: int) -> None:
        """Tell of the namespaces that commands wait for, once each, and end the waiting where its time is over."""
        self._due_ns = now + SECOND_NS
        for nsid, since in list(self._since.items()):
            head = self._multipath.heads[nsid]
            if not head.blocked or not head.waiting:
                continue
            if self._limit_s is not None and now - since >= self._limit_s * SECOND_NS:
                head.give_up(f"{head.blocked}; given up after {self._limit_s:g} seconds")
            elif nsid not in self._said:
                self._said.add(nsid)
                trying = "until it changes" if self._limit_s is None else f"for {self._limit_s:g} seconds"
                complain(f"waiting: {head.blocked}; trying {trying}")


def limit_s(policy: ReconnectPolicy) -> float | None:
    """How many seconds commands wait at most; None for as long as it takes."""
    limits = [limit for limit in (policy.fast_io_fail_tmo, policy.ctrl_loss_tmo or UNSAID_S) if limit >= 0]
    return min(limits, default=None)


SECOND_NS = 10**9
UNSAID_S = 30.0
"""With neither time given, a lost target is not waited for; a change of state, which takes up to ANATT, is."""
