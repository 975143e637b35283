"""From a link's samples to points, and from results to the page in docs/."""

from __future__ import annotations

from pathlib import Path

from interop.congestion.cells import parse_cell
from interop.congestion.envelope import CellResult, median_ratio, points_of
from interop.congestion.envelope_table import write_section

MS = 1_000_000
ONE, OTHER = ":40000>10.78.0.2:5000/6", ">10.78.0.2:5001/17"


def test_points_are_of_the_intervals_that_both_flows_have_but_the_first_and_last(tmp_path: Path) -> None:
    lines = ["way,flow,start_ns,packets,bytes,mean_delay_ns"]
    for start_ms in range(0, 600, 100):
        lines.append(f"forward,10.78.0.1{ONE},{start_ms * MS},10,{25_000 + start_ms},7000000")
        lines.append(f"back,10.78.0.2:5000>10.78.0.1:40000/6,{start_ms * MS},10,400,5000000")
        if start_ms >= 100:
            lines.append(f"forward,10.78.0.1:33333{OTHER},{start_ms * MS},10,12500,8000000")
    path = tmp_path / "samples.csv"
    path.write_text("\n".join(lines) + "\n")
    found = points_of(path, (ONE, OTHER), interval_ns=100 * MS)
    # 25,000 bytes in 100 ms are 2,000 kbit/s; 7 ms are 7,000 us.
    assert found == {ONE: [(2016, 7000), (2024, 7000), (2032, 7000)], OTHER: [(1000, 8000)] * 3}


def results() -> list[CellResult]:
    cells = [parse_cell(f"20mbit-{rtt}ms-1bdp") for rtt in (10, 20, 30, 40, 50)]
    return [
        CellResult(cell, kernel, ours)
        for cell, (kernel, ours) in zip(cells, [(800, 640), (500, 500), (400, 360), (0, 0), (None, 900)], strict=True)
    ]


def test_the_ratio_is_of_cells_that_are_valid_and_in_which_the_kernel_is_like_itself() -> None:
    assert [result.ratio for result in results()] == [0.8, 1.0, 0.9, None, None]
    assert [result.is_valid for result in results()] == [True, True, True, True, False]
    assert median_ratio(results()) == 0.9
    assert median_ratio([]) is None


def test_a_section_takes_the_place_of_the_older_one_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_section(page, "bbr", results()[:1], seconds=30, trials=1)
    write_section(page, "cubic", results()[:2], seconds=30, trials=1)
    write_section(page, "bbr", results(), seconds=120, trials=5)
    text = page.read_text()
    assert text.count("## bbr") == text.count("## cubic") == text.count("# Performance Envelopes") == 1
    assert "120 s and trials of a cell: 5 (QUICbench: 120 s, 5)" in text
    assert "Median ratio: 0.90." in text
    assert "| 20 Mbit/s | 10 ms | 1 BDP | 0.80 | 0.64 | 0.80 |" in text
    assert "| 20 Mbit/s | 50 ms | 1 BDP | - | 0.90 | - |" in text
    assert text.index("## bbr") < text.index("## cubic")
