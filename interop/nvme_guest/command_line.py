"""nvme-cli's commands for what our target has, one row each."""

from __future__ import annotations

from interop.nvme_guest.commands import FUNCTIONS, ROWS
from interop.nvme_guest.rows import play_rows
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN


def command_line(stage: Stage) -> str:
    """Every row of the table, in order."""
    with stage.target(str(stage.image())) as target:
        disk = stage.kernel.connect(stage.fabric)
        names = {"disk": disk, "controller": "/dev/nvme0", "target": stage.fabric.place(target.address), "nqn": NQN}
        play_rows(stage.kernel, ROWS, names, functions=FUNCTIONS)
    return f"{len(ROWS)} commands of nvme-cli print what they must"
