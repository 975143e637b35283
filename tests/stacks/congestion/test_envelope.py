"""The Performance Envelope, on points whose answer is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.congestion.envelope import compare, convex_hull, envelope, is_inside
from stacks.runtime import LocalError

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]
POINTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=40)


def shifted(points: list[tuple[int, int]], across: int) -> list[tuple[int, int]]:
    return [(x + across, y) for x, y in points]


def test_the_hull_of_a_square_is_its_corners() -> None:
    assert convex_hull([*SQUARE, (5, 5), (5, 0), (0, 3), (0, 0)]) == ((0, 0), (10, 0), (10, 10), (0, 10))


@pytest.mark.parametrize(
    ("point", "inside"),
    [((5, 5), True), ((0, 0), True), ((10, 4), True), ((11, 5), False), ((5, -1), False), ((-1, 11), False)],
)
def test_edges_and_corners_are_inside(point: tuple[int, int], inside: bool) -> None:
    assert is_inside(convex_hull(SQUARE), point) is inside


def test_points_on_a_line_and_a_single_one_have_a_hull_as_well() -> None:
    line = convex_hull([(0, 0), (2, 2), (4, 4)])
    assert line == ((0, 0), (4, 4))
    assert is_inside(line, (3, 3))
    assert not is_inside(line, (3, 2))
    assert not is_inside(line, (5, 5))
    assert is_inside(convex_hull([(1, 1), (1, 1)]), (1, 1))
    assert not is_inside(convex_hull([(1, 1)]), (1, 2))


def test_the_farthest_twentieth_is_left_out() -> None:
    cloud = [(x, y) for x in range(10) for y in range(10)]
    outliers = [(1000, 1000), (-1000, 0), (0, 900), (900, 0), (500, -800)]
    kept = envelope([*outliers[:2], *cloud, *outliers[2:]]).points
    assert len(kept) == 99  # 95 % of 105
    assert not set(outliers) & set(kept)
    assert kept == tuple(point for point in cloud if point in kept)


def test_an_envelope_conforms_to_itself() -> None:
    points = [(x * x % 37, x * 7 % 23) for x in range(60)]
    same = compare(envelope(points), envelope(points))
    assert (same.conformance_milli, same.deviation_squared_milli) == (1000, 0)


def test_envelopes_apart_have_nothing_in_common() -> None:
    points = [(x, y) for x in range(5) for y in range(5)]
    apart = compare(envelope(points), envelope(shifted(points, 100)))
    assert apart.conformance_milli == 0
    assert apart.deviation_squared_milli == 100 * 100 * 1000


def test_half_an_overlap_is_half_a_conformance() -> None:
    """Two grids of 10 by 10, all kept, the second five to the right: half of each is in the other."""
    points = [(x, y) for x in range(10) for y in range(10)]
    half = compare(envelope(points, kept_percent=100), envelope(shifted(points, 5), kept_percent=100))
    assert half.points == 200
    assert half.inside == 100
    assert half.conformance_milli == 500


def test_a_small_envelope_in_a_large_one_conforms_by_its_own_points_alone() -> None:
    large = envelope(SQUARE * 5, kept_percent=100)
    small = envelope([(4, 4), (6, 4), (5, 6)] * 10, kept_percent=100)
    assert compare(small, large).conformance_milli == 1000 * 30 // 50
    assert compare(small, large) == compare(large, small)


@given(POINTS)
def test_a_hull_holds_all_its_points_and_is_convex(points: list[tuple[int, int]]) -> None:
    hull = convex_hull(points)
    assert all(is_inside(hull, point) for point in points)
    assert set(hull) <= set(points)
    if len(hull) > 2:
        for index, corner in enumerate(hull):
            rest = hull[:index] + hull[index + 1 :]
            assert not is_inside(convex_hull(rest), corner)


@given(POINTS, st.integers(0, 1000))
def test_the_order_of_points_does_not_change_a_hull(points: list[tuple[int, int]], turn_by: int) -> None:
    turn_by %= len(points)
    assert convex_hull(points) == convex_hull(points[turn_by:] + points[:turn_by])


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(LocalError, match="three samples"):
        envelope([(1, 1), (2, 2)])
    with pytest.raises(LocalError, match="1 to 100"):
        envelope(SQUARE, kept_percent=0)
