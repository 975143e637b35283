"""`python -m interop.quic [--case C]... [--client P]... [--server P]...`: play cells and say what came of each.

Without --client and --server every peer is tried in both roles with itself and with ours. What failed leaves its
capture (open it with the key logs beside it), logs and files in --folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from interop.outcome import DisagreementError, MissingToolError
from interop.quic.catalogue import BY_NAME, CASES
from interop.quic.peers import PEERS
from interop.quic.play import Cell, play


def main() -> int:
    """0 when every cell passed."""
    parser = argparse.ArgumentParser(prog="python -m interop.quic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--case", action="append", choices=list(BY_NAME), metavar="CASE")
    parser.add_argument("--client", action="append", choices=list(PEERS))
    parser.add_argument("--server", action="append", choices=list(PEERS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--list", action="store_true", help="tell the cases and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{case.name:20} {case.text}" for case in CASES))
        return 0
    passed = True
    for name in arguments.case or BY_NAME:
        for client in arguments.client or PEERS:
            for server in arguments.server or PEERS:
                passed &= _play(Cell(BY_NAME[name], client, server), arguments.folder, arguments.seed)
    return 0 if passed else 1


def _play(cell: Cell, folder: Path, seed: int) -> bool:
    scratch = folder / f"{cell.case.name}-{cell.client}-{cell.server}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    began = time.monotonic()
    try:
        outcome, text = "pass", play(cell, scratch, seed).facts
    except MissingToolError as error:
        outcome, text = "skip", str(error)
    except DisagreementError as error:
        outcome, text = "FAIL", str(error)
    print(f"{outcome}  {cell.name} ({time.monotonic() - began:.1f} s): {text}", flush=True)
    return outcome == "pass"


FOLDER = Path(__file__).resolve().parent.parent.parent / "interop-out" / "quic"

if __name__ == "__main__":
    sys.exit(main())
