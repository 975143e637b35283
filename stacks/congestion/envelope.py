"""The Performance Envelope of QUICbench: does an implementation of an algorithm behave as another one does?

    samples: (throughput, delay), one for every ten round trips
    envelope(samples)              the 95 % nearest to their mean, and the convex hull around them
    compare(test, reference)       conformance, and how far the means are apart

Conformance is the share of all points kept, of both, that lie in the hull of the other: 1 for the same behaviour, 0 for
one that has nothing in common (Mishra et al., IMC 2022; NUS-SNL/QUICbench, visualize/plot_perf_env.py, which this
follows: raw units, Euclidean distance, the reference being the kernel's flow against which the tested one competed).

Coordinates are integers, such as bits per second and nanoseconds scaled by the caller to the same order (QUICbench has
Mbit/s and ms: kilobits and microseconds are those with three more digits). Everything is computed in integers: no
machine rounds differently, and a point on the edge of a hull is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.runtime import LocalError

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Envelope:
    """points: those kept, ordered as given. hull: its corners, counter-clockwise from the leftmost, without the points
    on its edges; one or two where all points are on a line. mean: of all samples, times their number (see `count`).
    """

    points: tuple[Point, ...]
    hull: tuple[Point, ...]
    total: Point
    count: int

    def has(self, point: Point) -> bool:
        """Whether a point is in the hull or on its edge."""
        return is_inside(self.hull, point)


@dataclass(frozen=True, slots=True)
class Comparison:
    """inside: points of either that are in the other's hull. points: all of both. deviation_squared_milli: the distance
    of the means, squared, in thousandths of a squared unit, rounded down.
    """

    inside: int
    points: int
    deviation_squared_milli: int

    @property
    def conformance_milli(self) -> int:
        """In thousandths, rounded down: 1000 is the same, 0 nothing in common."""
        return self.inside * 1000 // self.points


def envelope(samples: Sequence[Point], *, kept_percent: int = 95) -> Envelope:
    """The envelope of some samples; LocalError for fewer than three, or a share outside of 1 to 100.

    Of samples at the same distance from the mean the earlier are kept. At least three are.
    """
    if len(samples) < 3:
        raise LocalError(f"an envelope needs three samples at least, not {len(samples)}: let the flow run longer")
    if not 1 <= kept_percent <= 100:
        raise LocalError(f"an envelope keeps 1 to 100 % of its samples, not {kept_percent}")
    count = len(samples)
    total = (sum(x for x, _ in samples), sum(y for _, y in samples))
    # Distances from the mean, squared, times the number of samples squared: whole numbers.
    by_distance = sorted(
        range(count),
        key=lambda index: (samples[index][0] * count - total[0]) ** 2 + (samples[index][1] * count - total[1]) ** 2,
    )
    kept = sorted(by_distance[: max(count * kept_percent // 100, 3)])
    points = tuple(samples[index] for index in kept)
    return Envelope(points, convex_hull(points), total, count)


def compare(test: Envelope, reference: Envelope) -> Comparison:
    """How much of the two envelopes' points is common to both."""
    inside = sum(reference.has(point) for point in test.points) + sum(test.has(point) for point in reference.points)
    across = test.total[0] * reference.count - reference.total[0] * test.count
    up = test.total[1] * reference.count - reference.total[1] * test.count
    scale = test.count * reference.count
    return Comparison(
        inside, len(test.points) + len(reference.points), (across * across + up * up) * 1000 // (scale * scale)
    )


def convex_hull(points: Sequence[Point]) -> tuple[Point, ...]:
    """Corners, counter-clockwise from the leftmost, the lower of two (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return tuple(ordered)
    lower = _chain(ordered)
    upper = _chain(ordered[::-1])
    return tuple(lower[:-1] + upper[:-1])


def is_inside(hull: Sequence[Point], point: Point) -> bool:
    """Whether a point is in a hull of `convex_hull`, or on its edge."""
    if len(hull) == 1:
        return point == hull[0]
    if len(hull) == 2:
        first, second = hull
        return turn(first, second, point) == 0 and min(hull) <= point <= max(hull)
    return all(turn(corner, hull[index - len(hull) + 1], point) >= 0 for index, corner in enumerate(hull))


def turn(origin: Point, towards: Point, point: Point) -> int:
    """Above 0 where `point` is to the left of the way from `origin` to `towards`, 0 on it."""
    return (towards[0] - origin[0]) * (point[1] - origin[1]) - (towards[1] - origin[1]) * (point[0] - origin[0])


def _chain(ordered: Sequence[Point]) -> list[Point]:
    chain: list[Point] = []
    for point in ordered:
        while len(chain) > 1 and turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain
