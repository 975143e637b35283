"""The qlog files of a command."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from stacks.quic.qlog import QlogFiles


def open_logs(folder: Path | None) -> QlogFiles | None:
    """Logs in `folder`, with today's time in them; None where none are wanted. OSError where the folder cannot be."""
    if folder is None:
        return None
    folder.mkdir(exist_ok=True)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return QlogFiles(folder, wall_clock=now)


def check_logs(logs: QlogFiles | None) -> None:
    """Write out what is buffered; the first OSError of any of the logs."""
    if logs is not None:
        logs.close()
        if logs.failure is not None:
            raise logs.failure
