"""Our controllers in the simulator against flows of a Linux kernel on the same bottleneck, recorded in tests/traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.congestion.comparing import compare_bbr, compare_windowed
from interop.congestion.ours import OURS, simulated
from interop.congestion.traces import Trace, read_trace

TRACES = [read_trace(path) for path in sorted((Path(__file__).parents[2] / "traces").glob("linux-*.csv.gz"))]


def named(congestion: str) -> list[object]:
    return [pytest.param(each, id=each.cell.name) for each in TRACES if each.congestion == congestion]


def test_there_is_a_trace_of_each_algorithm_in_two_cells() -> None:
    assert sorted(each.congestion for each in TRACES) == ["bbr", "bbr", "cubic", "cubic", "reno", "reno"]


@pytest.mark.slow
@pytest.mark.parametrize("trace", named("bbr"))
def test_bbr_goes_through_the_phases_of_the_kernel_with_its_gains_spacing_and_bandwidth(trace: Trace) -> None:
    found = compare_bbr(trace.moments, simulated(trace.cell, OURS["bbr"], duration_ns=trace.moments[-1].time_ns))
    assert found.differences == []
    assert len(found.facts) > 8


@pytest.mark.slow
@pytest.mark.parametrize("trace", [*named("reno"), *named("cubic")])
def test_reno_and_cubic_answer_loss_as_the_kernel_and_have_its_goodput(trace: Trace) -> None:
    ours = simulated(trace.cell, OURS[trace.congestion], duration_ns=trace.moments[-1].time_ns)
    assert compare_windowed(trace.moments, ours).differences == []


@pytest.mark.slow
@pytest.mark.parametrize("trace", named("bbr"))
def test_another_algorithm_is_told_from_bbr(trace: Trace) -> None:
    ours = simulated(trace.cell, "bbr3", duration_ns=5_000_000_000)
    assert compare_bbr(trace.moments, ours).differences


@pytest.mark.slow
def test_reno_is_told_from_cubic() -> None:
    trace = next(each for each in TRACES if each.congestion == "reno")
    ours = simulated(trace.cell, "cubic", duration_ns=20_000_000_000)
    assert any("a loss leaves" in line for line in compare_windowed(trace.moments, ours).differences)
