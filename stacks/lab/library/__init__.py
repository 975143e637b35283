"""The ready experiments, each a TOML file in this folder, found by its name."""

from __future__ import annotations

from pathlib import Path

READY = Path(__file__).parent


def ready_names() -> list[str]:
    """Their names, in order."""
    return sorted(path.stem for path in READY.glob("*.toml"))
