"""Regenerate codec modules: `python -m wire.layout [--check] [X_layout.py ...]`, all of wire/ when none is named."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wire.layout.generate import WIRE, generate, layout_files


def main() -> int:
    """Write each codec that is out of date and name it; with --check only name it, and exit 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m wire.layout", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a codec is out of date")
    parser.add_argument("layouts", nargs="*", type=Path, help="definition modules, X_layout.py")
    arguments = parser.parse_args()
    stale = 0
    for path in arguments.layouts or layout_files(WIRE):
        codec, text = generate(path.resolve())
        if codec.exists() and codec.read_text() == text:
            continue
        stale += 1
        sys.stdout.write(f"{codec.relative_to(WIRE.parent)}\n")
        if not arguments.check:
            codec.write_text(text)
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
