"""`python -m interop.congestion record | envelope`: the kernel's flows that tests compare ours with, as files;
and Performance Envelopes beside the kernel's. Needs root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from interop.congestion.cases import ENVELOPE_SECONDS
from interop.congestion.cells import Cell, parse_cell, quicbench_cells
from interop.congestion.envelope import measure, median_ratio
from interop.congestion.envelope_table import write_section
from interop.congestion.recording import LateError, record
from interop.congestion.traces import write_trace
from interop.outcome import MissingToolError


def main() -> int:
    """Record or measure every pair of a cell and an algorithm; 0 when all were."""
    parser = argparse.ArgumentParser(prog="python -m interop.congestion", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["record", "envelope"])
    parser.add_argument("--cell", action="append", type=parse_cell, metavar="20mbit-40ms-1bdp")
    parser.add_argument("--congestion", action="append", choices=["reno", "cubic", "bbr"])
    parser.add_argument("--seconds", type=float, help="of a flow: 35 to record, 30 for an envelope")
    parser.add_argument("--trials", type=int, default=1, help="of an envelope's cell")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where traces are written")
    parser.add_argument("--page", type=Path, help="where envelopes are written; nowhere if left out")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    run = _record_all if arguments.what == "record" else _measure_all
    try:
        return 0 if run(arguments) else 1
    except MissingToolError as error:
        sys.exit(str(error))


def _record_all(arguments: argparse.Namespace) -> bool:
    is_complete = True
    for cell in arguments.cell or CELLS:
        for congestion in arguments.congestion or ALGORITHMS:
            is_complete &= _record(cell, congestion, arguments.seconds or 35.0, arguments.folder)
    return is_complete


def _measure_all(arguments: argparse.Namespace) -> bool:
    seconds, trials = arguments.seconds or ENVELOPE_SECONDS, arguments.trials
    is_complete = True
    for congestion in arguments.congestion or ALGORITHMS:
        results = []
        with tempfile.TemporaryDirectory() as folder:
            cells = arguments.cell or quicbench_cells()
            for result in measure(cells, congestion, Path(folder), seconds=seconds, trials=trials):
                print(f"{congestion} {result.cell.name}: kernel {result.kernel}, ours {result.ours}", flush=True)
                results.append(result)
        print(f"{congestion}: median ratio {median_ratio(results)}", flush=True)
        is_complete &= all(result.is_valid for result in results)
        if arguments.page:
            write_section(arguments.page, congestion, results, seconds=seconds, trials=trials)
    return is_complete


def _record(cell: Cell, congestion: str, seconds: float, folder: Path) -> bool:
    for _ in range(ATTEMPTS):
        try:
            path = write_trace(record(cell, congestion, duration_ns=round(seconds * 1e9)), folder)
        except LateError as error:
            print(f"{congestion} {cell.name}: not valid, once more: {error}", flush=True)
        else:
            print(f"{path}: {path.stat().st_size} bytes", flush=True)
            return True
    return False


FOLDER = Path(__file__).resolve().parent.parent.parent / "tests" / "traces"
CELLS = (parse_cell("20mbit-40ms-1bdp"), parse_cell("10mbit-20ms-2bdp"))
ALGORITHMS = ("reno", "cubic", "bbr")
ATTEMPTS = 3

if __name__ == "__main__":
    sys.exit(main())
