"""How evenly flows share (RFC 5166 2.6), and when they come to do so (RFC 5166 2.5)."""

from __future__ import annotations

from collections.abc import Sequence

CONVERGENCE_PERCENT = 20
"""How far from the fair share counts as fair: delta of RFC 5166 2.5."""


def jain(shares: Sequence[int]) -> float:
    """Jain's index, (sum x)^2 / (n sum x^2): 1/n when one has all, 1 when all have the same (Jain, Chiu, Hawe 1984).

    1 for no shares, or none above 0: nobody has more than another.
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


def convergence_ns(
    times: Sequence[int], shares: Sequence[Sequence[int]], *, start_ns: int, percent: int = CONVERGENCE_PERCENT
) -> int | None:
    """From `start_ns` to the first of `times` from which on every share stays within `percent` % of the fair one.

    shares: what each flow got in the interval that ends at each time; the fair share is their mean. None when they do
    not stay there to the end. RFC 5166 2.5 calls this delta-fair convergence, for two flows.
    """
    found: int | None = None
    for time_ns, each in zip(times, shares, strict=True):
        if time_ns <= start_ns:
            continue
        total = sum(each)
        is_fair = total > 0 and all(abs(share * len(each) - total) * 100 <= percent * total for share in each)
        if not is_fair:
            found = None
        elif found is None:
            found = time_ns - start_ns
    return found
