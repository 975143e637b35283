"""nvme-cli's commands for what our target has, one row each; and what they do to our image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from interop.nvme_guest.commands import FUNCTIONS, GROUPS
from interop.nvme_guest.commands.blocks import BLOCKS, DEALLOCATING, EMPTY, FILL
from interop.nvme_guest.rows import Names, Row, play_rows
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN
from interop.outcome import DisagreementError


def command_line(stage: Stage) -> str:
    """Every row of every table, in order."""
    image = stage.image()
    with stage.target(str(image)) as target:
        disk = stage.kernel.connect(stage.fabric)
        names = {"disk": disk, "controller": "/dev/nvme0", "target": stage.fabric.place(target.address), "nqn": NQN}
        for row in DEALLOCATING:
            _deallocate(stage, row, names, image)
        problems = list(filter(None, (_problems(stage, rows, names) for rows in GROUPS.values())))
    if problems:
        raise DisagreementError("\n".join(problems))
    counts = ", ".join(f"{len(rows)} of {name}" for name, rows in GROUPS.items())
    return f"nvme-cli's commands do and print what they must: {counts}, {len(DEALLOCATING)} that give blocks back"


def _problems(stage: Stage, rows: Sequence[Row], names: Names) -> str:
    # Of one table; that others are played all the same shows more in one run.
    try:
        play_rows(stage.kernel, rows, names, functions=FUNCTIONS)
    except DisagreementError as error:
        return str(error)
    return ""


def _deallocate(stage: Stage, row: Row, names: Names, image: Path) -> None:
    """Fill blocks, play a row that gives them back, and see it both in the image and from the kernel."""
    before = _stored(image)
    play_rows(stage.kernel, FILL, names)
    full = _stored(image)
    play_rows(stage.kernel, (row, *EMPTY), names)
    after = _stored(image)
    if full < before + (BLOCKS << 12) or after > before:
        raise DisagreementError(f"{row.command}: the image takes {before} bytes, full {full}, then {after}")


def _stored(image: Path) -> int:
    return image.stat().st_blocks * 512
