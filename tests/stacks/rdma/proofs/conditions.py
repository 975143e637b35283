"""How the completions of a queue may end."""

from __future__ import annotations

from stacks.rdma import Wc, WcStatus


def ends_in(completions: list[Wc], status: WcStatus) -> tuple[list[Wc], list[Wc]]:
    """Those before the first with `status`, and from there on; all of the rest must have it."""
    first = next((number for number, wc in enumerate(completions) if wc.status is status), len(completions))
    assert all(wc.status is status for wc in completions[first:]), completions
    return completions[:first], completions[first:]
