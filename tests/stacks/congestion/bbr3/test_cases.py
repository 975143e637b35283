"""The 22 example cases of draft-ietf-ccwg-bbr's appendix, by name, each at four points; all of the grid as long tests.

The points are the issue's: 64 kbit/s and 100 ms, 20 Mbit/s and 40 ms, 10 Mbit/s and 1 s, 10 Gbit/s and 1 ms. What each
case takes for buffer, traffic and faults is with it in `cases_*.py`, and where a case cannot hold at a point, why, and
what follows from the draft instead. At 10 Gbit/s there is at most a second of traffic; where a case is about the 5 s
of ProbeRTTInterval, the application is idle, or nearly, for the rest of them.
"""

from __future__ import annotations

import pytest

from tests.stacks.congestion.bbr3.grid import GRID, INSTEAD
from tests.stacks.congestion.bbr3.rig import POINTS, Point
from tests.stacks.congestion.bbr3.table import CASES

NAMES = [f"{number:02}-{case.__name__}" for number, case in enumerate(CASES, 1)]


@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("number", range(1, len(CASES) + 1), ids=NAMES)
def test_case_of_the_drafts_appendix(number: int, point: Point) -> None:
    assert CASES[number - 1](point)


@pytest.mark.long
@pytest.mark.parametrize("point", GRID, ids=str)
@pytest.mark.parametrize("number", range(1, len(CASES) + 1), ids=NAMES)
def test_case_of_the_drafts_appendix_in_the_full_grid(number: int, point: Point) -> None:
    assert INSTEAD.get((str(point), number), CASES[number - 1])(point)
