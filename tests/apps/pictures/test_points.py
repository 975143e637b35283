"""Clouds of points, as fine as a picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.pictures.points import CELLS_HIGH, CELLS_WIDE, cloud

POINTS = st.lists(st.tuples(st.floats(0, 10), st.floats(-5, 5)), max_size=200)


@given(POINTS)
def test_a_cloud_has_a_point_near_each_that_is_shown_and_no_other(points: list[tuple[float, float]]) -> None:
    x, y = [each for each, _ in points], [each for _, each in points]
    kept = list(zip(*cloud(x, y, x_range=(2, 8), y_range=(-4, 4)), strict=True))
    assert set(kept) <= set(points)
    for point in points:
        if 2 <= point[0] <= 8 and -4 <= point[1] <= 4:
            assert any(
                abs(point[0] - each[0]) <= 6 / CELLS_WIDE + 1e-9 and abs(point[1] - each[1]) <= 8 / CELLS_HIGH + 1e-9
                for each in kept
            )
    assert all(2 <= each[0] <= 8 and -4 <= each[1] <= 4 for each in kept)


def test_points_on_each_other_are_one() -> None:
    assert cloud([1.0] * 1000, [2.0] * 1000, x_range=(0, 2), y_range=(2, 2)) == ([1.0], [2.0])


def test_a_dense_cloud_is_bounded() -> None:
    count = 400_000
    x = [index / count for index in range(count)]
    kept, _ = cloud(x, x, x_range=(0, 1), y_range=(0, 1))
    assert CELLS_WIDE <= len(kept) <= 2 * CELLS_WIDE
