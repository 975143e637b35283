"""The table of Performance Envelopes in docs/kernel-envelopes.md: a section for each algorithm, written by its run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from interop.congestion.envelope import CellResult, median_ratio
from transports.tcp_info import kernel_release


def write_section(path: Path, congestion: str, results: Sequence[CellResult], *, seconds: float, trials: int) -> None:
    """Put the algorithm's results into the page, in the place of older ones."""
    text = path.read_text() if path.exists() else HEAD
    section = section_of(congestion, results, seconds=seconds, trials=trials)
    start, end = f"<!-- {congestion} -->", f"<!-- end of {congestion} -->"
    block = f"{start}\n{section}{end}\n"
    pattern = re.compile(f"{re.escape(start)}\n.*?{re.escape(end)}\n", re.DOTALL)
    path.write_text(pattern.sub(lambda _: block, text) if pattern.search(text) else f"{text}\n{block}")


def section_of(congestion: str, results: Sequence[CellResult], *, seconds: float, trials: int) -> str:
    """Its heading, what was run, and a row a cell."""
    date = datetime.now(UTC).date().isoformat()
    found = median_ratio(results)
    lines = [
        f"## {congestion}",
        "",
        f"{date}, Linux {kernel_release()}; {seconds:g} s and trials of a cell: {trials} (QUICbench: 120 s, 5).",
        f"Median ratio: {'-' if found is None else f'{found:.2f}'}.",
        "",
        "| rate | round trip | buffer | kernel and kernel | ours and kernel | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        cell = result.cell
        shown = [
            f"{cell.rate_mbit} Mbit/s",
            f"{cell.rtt_ms} ms",
            f"{float(cell.buffer_bdp):g} BDP",
            *("-" if each is None else f"{each / 1000:.2f}" for each in (result.kernel, result.ours)),
            "-" if result.ratio is None else f"{result.ratio:.2f}",
        ]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join([*lines, "", ""])


HEAD = """# Performance Envelopes

How alike are our flows and a Linux kernel's? Two flows share a bottleneck for a while; of each, throughput and delay
over every ten round trips are a point, and the 95 % of the points that are nearest to their mean span an envelope.
Conformance is the share of all points that lie in the other flow's envelope (QUICbench's definition). Two flows of the
kernel do not reach 1 either, so what counts is the ratio of ours to that. `make interop-long` writes this page; a dash
is a cell in which the machine was too busy for a valid run ([lateness](link.md#lateness-and-valid-runs)), or, in the
last column, in which the kernel's two flows have nothing in common. Acknowledgements are held back at random by up to
a tenth of a round trip, as on a real network: without that, phases decide who gets what.
"""
