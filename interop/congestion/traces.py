"""Flows of the kernel as files: what they were recorded on, and their moments, compactly."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interop.congestion.cells import Cell, parse_cell
from interop.congestion.flows import COLUMNS, Moment, as_rows, from_row


@dataclass(frozen=True, slots=True)
class Trace:
    """A flow alone in a cell.

    congestion: the kernel's name of its algorithm. about: kernel, date, what the link said of its lateness.
    """

    cell: Cell
    congestion: str
    about: Mapping[str, object]
    moments: list[Moment]

    @property
    def file_name(self) -> str:
        """Its name in a folder of traces."""
        return f"linux-{self.congestion}-{self.cell.name}.csv.gz"


def write_trace(trace: Trace, folder: Path) -> Path:
    """Write it; the same bytes for the same trace."""
    about = {"cell": trace.cell.name, "congestion": trace.congestion, **trace.about}
    lines = [f"# {json.dumps(about)}", ",".join(COLUMNS)]
    before = [0] * len(COLUMNS)
    for row in as_rows(trace.moments):
        # Differences compress to a third.
        lines.append(",".join(str(now - then) for now, then in zip(row, before, strict=True)))
        before = list(row)
    path = folder / trace.file_name
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    return path


def read_trace(path: Path) -> Trace:
    """Read one; ValueError when it is none."""
    head, names, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    about = json.loads(head.removeprefix("# "))
    if tuple(names.split(",")) != COLUMNS:
        raise ValueError(f"{path}: its columns are others than {', '.join(COLUMNS)}; record it anew")
    row = [0] * len(COLUMNS)
    moments = []
    for line in lines:
        row = [then + int(change) for then, change in zip(row, line.split(","), strict=True)]
        moments.append(from_row(row))
    return Trace(parse_cell(about.pop("cell")), about.pop("congestion"), about, moments)
