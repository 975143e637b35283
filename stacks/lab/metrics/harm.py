"""What competing does to a flow (Ware, Mukerjee, Seshan, Sherry: Beyond Jain's Fairness Index, HotNets 2019)."""

from __future__ import annotations


def harm_of_less(solo: int, together: int) -> float:
    """Of a metric where more is better (goodput): (solo - together) / solo; 0 for no harm, 1 for nothing left.

    Below 0 when it does better in company; 0 for a flow that gets nothing alone.
    """
    return (solo - together) / solo if solo else 0.0


def harm_of_more(solo: int, together: int) -> float:
    """Of a metric where less is better (delay, loss): (together - solo) / together; 0 when both are 0."""
    return (together - solo) / together if together else 0.0
