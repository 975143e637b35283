"""Points of lines and clouds: as many as a picture shows, and not more."""

from __future__ import annotations

from collections.abc import Sequence


def distribution(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The cumulative distribution of some values: x, and the part that is not above, 0 to 1."""
    ordered = sorted(values)
    return thin(ordered, [(index + 1) / len(ordered) for index in range(len(ordered))])


def thin(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """As many points as a picture shows: of each stretch the lowest and the highest, so that no peak is lost."""
    if len(x) <= POINTS_MAX:
        return list(x), list(y)
    stretch = -(-len(x) * 2 // POINTS_MAX)
    kept = []
    for start in range(0, len(x), stretch):
        indices = range(start, min(start + stretch, len(x)))
        ends = {min(indices, key=y.__getitem__), max(indices, key=y.__getitem__)}
        kept += sorted(ends)
    return [x[index] for index in kept], [y[index] for index in kept]


POINTS_MAX = 1600
