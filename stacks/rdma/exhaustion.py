"""Resources that run out on demand, for tests of what programs do then.

    device.exhaust("reg_mr", nth=3) -> the third registration from now raises LocalError with ENOMEM, once

Every call that opens, allocates, creates, registers or posts asks first. Posting is asked only while a rule is about
it: the queues are told then, and cost nothing otherwise.
"""

from __future__ import annotations

import errno as codes
import os
from dataclasses import dataclass

from stacks.runtime import LocalError

CALLS = (
    "alloc_dm",
    "alloc_mw",
    "alloc_pd",
    "cm_id",
    "create_ah",
    "create_cq",
    "create_qp",
    "create_srq",
    "open_xrcd",
    "post_recv",
    "post_send",
    "reg_mr",
)
"""What can run out. reg_mr is every way to get a region, cm_id every identifier that a program makes."""
POSTS = ("post_send", "post_recv")


@dataclass(slots=True)
class Exhausted:
    """One rule. nth: the call that fails, counted from the rule on. seen: calls so far. has_fired: if it failed."""

    call: str
    nth: int
    errno: int
    seen: int = 0
    has_fired: bool = False


class Exhaustion:
    """The rules of one device.

    rules: all there were, in order: what has fired is the report.
    """

    def __init__(self) -> None:
        self.rules: list[Exhausted] = []

    def add(self, call: str, *, nth: int = 1, errno: int = codes.ENOMEM) -> Exhausted:
        """Have the `nth` call from now fail with `errno`; LocalError for a call that there is not."""
        if call not in CALLS:
            raise LocalError(f"{call!r} cannot run out: what can is {', '.join(CALLS)}")
        if nth < 1:
            raise LocalError(f"calls are counted from 1, not {nth}")
        rule = Exhausted(call, nth, errno)
        self.rules.append(rule)
        return rule

    def check(self, call: str) -> None:
        """A call is made: LocalError when a rule says that it fails."""
        failed: Exhausted | None = None
        for rule in self.rules:
            if rule.call == call and not rule.has_fired:
                rule.seen += 1
                if rule.seen == rule.nth and failed is None:
                    rule.has_fired = True
                    failed = rule
        if failed is not None:
            reason = os.strerror(failed.errno)
            raise LocalError(f"{call} failed on demand, call {failed.nth}: {reason}", errno=failed.errno)

    def is_watching(self, call: str) -> bool:
        """Whether a rule still waits for this call."""
        return any(rule.call == call and not rule.has_fired for rule in self.rules)

    def clear(self) -> None:
        """Forget all rules."""
        self.rules.clear()
