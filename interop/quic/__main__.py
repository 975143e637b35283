"""`python -m interop.quic [--case C]... [--client P]... [--server P]...`: play cells and say what came of each.

Without --client and --server every peer is tried in both roles with every other. What failed leaves its capture (open
it with the key logs beside it), logs and files in --folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from interop.quic.catalogue import BY_NAME, CASES
from interop.quic.matrix import play_all
from interop.quic.peers import PEERS
from interop.quic.play import Cell
from interop.quic.verdict import Outcome


def main() -> int:
    """0 when every cell passed."""
    parser = argparse.ArgumentParser(prog="python -m interop.quic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--case", action="append", choices=list(BY_NAME), metavar="CASE")
    parser.add_argument("--client", action="append", choices=list(PEERS))
    parser.add_argument("--server", action="append", choices=list(PEERS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1, help="how many cells")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--list", action="store_true", help="tell the cases and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{case.name:20} {case.text}" for case in CASES))
        return 0
    cells = [
        Cell(BY_NAME[name], client, server)
        for name in arguments.case or BY_NAME
        for client in arguments.client or PEERS
        for server in arguments.server or PEERS
    ]
    has_failed = False
    for verdict in play_all(cells, arguments.folder, arguments.seed, arguments.at_once):
        print(f"{verdict.outcome.value}  {verdict}", flush=True)
        has_failed |= verdict.outcome is Outcome.FAILED
    return 1 if has_failed else 0


FOLDER = Path(__file__).resolve().parent.parent.parent / "interop-out" / "quic"

if __name__ == "__main__":
    sys.exit(main())
