"""Regenerate codec modules: `python -m wire.layout [X_layout.py ...]`, all of wire/ when none is named."""

import sys
from pathlib import Path

from wire.layout.generate import WIRE, generate, layout_files

for path in [Path(name).resolve() for name in sys.argv[1:]] or layout_files(WIRE):
    codec, text = generate(path)
    if not codec.exists() or codec.read_text() != text:
        codec.write_text(text)
        sys.stdout.write(f"{codec}\n")
