"""`python -m interop [--long] [CASE ...]`: ask each outside judge once, and say how many agreed.

A missing tool skips its case, by name of the package; with CI=1 in the environment a skip is a failure. `--capture
FILE` judges a capture of your own by tshark instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from apps.signals import end_tidily
from interop.cases import CASES, GUEST, ROOT
from interop.runner import Case, run_cases
from interop.tshark_judge import judge


def main() -> int:
    """Run the cases; 0 when none failed, and in CI none was skipped."""
    parser = argparse.ArgumentParser(prog="python -m interop", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--long", action="store_true", help="the full matrices as well")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--capture", type=Path, help="judge this pcapng file by tshark, and nothing else")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these")
    arguments = parser.parse_args()
    chosen = _chosen(arguments.cases, is_long=arguments.long)
    if arguments.capture:
        chosen = [Case(f"tshark-{arguments.capture.name}", lambda _: str(judge(arguments.capture, check_icrc=False)))]
    if arguments.list:
        print("\n".join(case.name for case in chosen))
        return 0
    is_skip_allowed = os.environ.get("CI", "") not in ("1", "true")
    end_tidily()
    with GUEST:
        return run_cases(chosen, ROOT / "interop-out", is_skip_allowed=is_skip_allowed)


def _chosen(names: list[str], *, is_long: bool) -> list[Case]:
    unknown = set(names) - {case.name for case in CASES}
    if unknown:
        sys.exit(f"interop: no case {', '.join(sorted(unknown))}; --list names them")
    return [case for case in CASES if case.name in names or (not names and (is_long or not case.is_long))]


if __name__ == "__main__":
    sys.exit(main())
