"""Phases, spacings, thinning and files of flows that are written by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from interop.congestion.cells import Cell, parse_cell, quicbench_cells
from interop.congestion.comparing import compare_bbr, compare_windowed
from interop.congestion.flows import Moment, thinned
from interop.congestion.phases import cycle, durations_ns, phases, reductions, spacings_ns
from interop.congestion.traces import Trace, read_trace, write_trace

MS = 1_000_000


def flow(*stretches: tuple[int, int, int]) -> list[Moment]:
    """A BBR flow with a moment a millisecond; stretches: milliseconds, pacing gain, cwnd gain."""
    moments: list[Moment] = []
    for length_ms, pacing_gain, cwnd_gain in stretches:
        for _ in range(length_ms):
            time_ns = (len(moments) + 1) * MS
            moments.append(Moment(time_ns, False, 10, 0, 1, len(moments) * 1500 + 2, 10**7, 1, pacing_gain, cwnd_gain))
    return moments


STARTUP, DRAIN, PROBE_RTT = (5, 739, 739), (3, 88, 739), (4, 256, 256)
CYCLE = ((2, 320, 512), (2, 192, 512), (6, 256, 512))
WHOLE = flow(STARTUP, DRAIN, *CYCLE, PROBE_RTT, *CYCLE, *CYCLE, PROBE_RTT, *CYCLE)


def windowed(*windows: int, beta: float = 0.5) -> list[Moment]:
    """A loss-based flow with a moment a millisecond; a smaller window than before is a loss of one moment."""
    moments: list[Moment] = []
    ssthresh, before = 0, 0
    for cwnd in windows:
        time_ns = (len(moments) + 1) * MS
        if cwnd < before:
            ssthresh = round(before * beta)
        is_recovering = cwnd < before
        moments.append(Moment(time_ns, is_recovering, cwnd, ssthresh, 1, len(moments) * 1500))
        before = cwnd
    return moments


SAW = (10, 20, 40, 80, 100, 50, 60, 70, 80, 90, 100, 50, 60, 70, 80, 90, 100, 50, 60, 100, 50, 55)


def test_bbrs_phases_are_told_by_its_gains() -> None:
    names = [phase.name for phase in phases(WHOLE)]
    assert names == ["startup", "drain", "probe_bw", "probe_rtt", "probe_bw", "probe_rtt", "probe_bw"]
    assert cycle(phases(WHOLE)) == [(192, 256), (256, 320), (320, 192)]
    assert spacings_ns(phases(WHOLE), "probe_rtt") == [24 * MS]
    assert durations_ns(phases(WHOLE), "probe_rtt") == [4 * MS, 4 * MS]


def test_what_a_kernel_shows_before_its_first_acknowledgement_is_no_phase() -> None:
    first = Moment(0, False, 10, 0, 1, 1, 0, 0, 256, 256)
    assert next(phase.name for phase in phases([first, *WHOLE])) == "startup"


def test_a_loss_based_flows_phases_and_what_a_loss_leaves() -> None:
    found = phases(windowed(*SAW))
    assert [phase.name for phase in found][:4] == ["slow start", "recovery", "avoidance", "recovery"]
    assert reductions(found) == [0.5, 0.5]


def test_equal_flows_do_not_differ() -> None:
    assert compare_bbr(WHOLE, WHOLE).differences == []
    assert compare_windowed(windowed(*SAW), windowed(*SAW)).differences == []


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        (flow(STARTUP, *CYCLE, PROBE_RTT, *CYCLE, *CYCLE, PROBE_RTT, *CYCLE), "phases"),
        (flow(STARTUP, DRAIN, *CYCLE, PROBE_RTT, *CYCLE, *CYCLE, *CYCLE, PROBE_RTT, *CYCLE), "spacing"),
        ([replace(each, bw_bps=each.bw_bps * 94 // 100) for each in WHOLE], "max_bw"),
        ([replace(each, pacing_gain=300 if each.pacing_gain == 320 else each.pacing_gain) for each in WHOLE], "gains"),
        (flow(STARTUP, DRAIN, *CYCLE, PROBE_RTT, *CYCLE), "at least two"),
    ],
)
def test_a_difference_is_found(ours: list[Moment], word: str) -> None:
    assert any(word in line for line in compare_bbr(WHOLE, ours).differences)


def test_a_difference_within_five_percent_is_none() -> None:
    ours = [replace(each, bw_bps=each.bw_bps * 96 // 100) for each in WHOLE]
    assert compare_bbr(WHOLE, ours).differences == []


def test_thinning_keeps_the_edges_of_phases_and_the_pace() -> None:
    steady = flow((1000, 739, 739), (1000, 88, 739))
    kept = thinned(steady, 100 * MS)
    assert len(kept) == pytest.approx(2000 / 100, abs=5)
    assert kept[0] == steady[0]
    assert {steady[999], steady[1000]} <= set(kept)
    assert max(later.time_ns - earlier.time_ns for earlier, later in itertools.pairwise(kept)) <= 101 * MS
    assert [(each.name, each.start_ns) for each in phases(thinned(WHOLE, 100 * MS))] == [
        (each.name, each.start_ns) for each in phases(WHOLE)
    ]
    assert len(thinned(WHOLE, MS)) == len(WHOLE)


def test_a_trace_is_the_same_after_writing_and_reading_and_its_file_the_same_every_time(tmp_path: Path) -> None:
    trace = Trace(parse_cell("20mbit-40ms-0.5bdp"), "bbr", {"kernel": "6.1"}, WHOLE)
    path = write_trace(trace, tmp_path)
    before = path.read_bytes()
    assert path.name == "linux-bbr-20mbit-40ms-0.5bdp.csv.gz"
    assert read_trace(path) == trace
    assert write_trace(trace, tmp_path).read_bytes() == before


def test_a_cell_knows_its_buffer() -> None:
    cell = parse_cell("20mbit-40ms-1bdp")
    assert (cell.rate_bps, cell.delay_ns, cell.bdp_bytes, cell.limit_packets) == (20_000_000, 20_000_000, 100_000, 66)
    assert cell.name == "20mbit-40ms-1bdp"
    assert parse_cell("20mbit-10ms-0.5bdp") == Cell(20, 10, Fraction(1, 2))


@pytest.mark.parametrize("name", ["", "20mbit", "20mbit-40ms", "x-40ms-1bdp", "20mbit-40ms-1"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no cell"):
        parse_cell(name)


def test_quicbenchs_grid_has_sixteen_cells() -> None:
    names = [cell.name for cell in quicbench_cells()]
    assert len(set(names)) == 16
    assert {"20mbit-10ms-0.5bdp", "100mbit-50ms-5bdp"} <= set(names)
