"""`python -m interop.congestion record`: record the kernel's flows that tests compare ours with. Needs root."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from interop.congestion.cells import Cell, parse_cell
from interop.congestion.recording import LateError, record
from interop.congestion.traces import write_trace
from interop.outcome import MissingToolError


def main() -> int:
    """Record every pair of a cell and an algorithm; 0 when all were."""
    parser = argparse.ArgumentParser(prog="python -m interop.congestion", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["record"])
    parser.add_argument("--cell", action="append", type=parse_cell, metavar="20mbit-40ms-1bdp")
    parser.add_argument("--congestion", action="append", choices=["reno", "cubic", "bbr"])
    parser.add_argument("--seconds", type=float, default=35.0)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    is_complete = True
    for cell in arguments.cell or CELLS:
        for congestion in arguments.congestion or ("reno", "cubic", "bbr"):
            is_complete &= _record(cell, congestion, arguments.seconds, arguments.folder)
    return 0 if is_complete else 1


def _record(cell: Cell, congestion: str, seconds: float, folder: Path) -> bool:
    for _ in range(ATTEMPTS):
        try:
            path = write_trace(record(cell, congestion, duration_ns=round(seconds * 1e9)), folder)
        except LateError as error:
            print(f"{congestion} {cell.name}: not valid, once more: {error}", flush=True)
        except MissingToolError as error:
            sys.exit(str(error))
        else:
            print(f"{path}: {path.stat().st_size} bytes", flush=True)
            return True
    return False


FOLDER = Path(__file__).resolve().parent.parent.parent / "tests" / "traces"
CELLS = (parse_cell("20mbit-40ms-1bdp"), parse_cell("10mbit-20ms-2bdp"))
ATTEMPTS = 3

if __name__ == "__main__":
    sys.exit(main())
