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


def cloud(
    x: Sequence[float], y: Sequence[float], *, x_range: tuple[float, float], y_range: tuple[float, float]
) -> tuple[list[float], list[float]]:
    """Of points that would lie on each other the first: one for each cell of a grid as fine as a picture.

    Ranges: what the picture shows; points outside of them are left out.
    """
    (left, right), (bottom, top) = x_range, y_range
    wide, high = CELLS_WIDE / ((right - left) or 1), CELLS_HIGH / ((top - bottom) or 1)
    seen: set[int] = set()
    kept_x, kept_y = [], []
    for each_x, each_y in zip(x, y, strict=True):
        if left <= each_x <= right and bottom <= each_y <= top:
            cell = int((each_x - left) * wide) * CELLS_ROW + int((each_y - bottom) * high)
            if cell not in seen:
                seen.add(cell)
                kept_x.append(each_x)
                kept_y.append(each_y)
    return kept_x, kept_y


CELLS_WIDE, CELLS_HIGH, CELLS_ROW = 900, 360, 1 << 10
POINTS_MAX = 1600
