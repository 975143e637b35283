"""What a person is told while a command waits for a target that went away."""

from __future__ import annotations

from apps.output import complain
from stacks.nvme.host import Multipath, Path


class Outages:
    """Says on standard error when a path is lost, and when it is back."""

    def __init__(self, multipath: Multipath) -> None:
        self._multipath = multipath
        self._down = {path for path in multipath.paths if not path.is_live}
        multipath.on_change = self._look
        for path in self._down:
            self._tell(path)

    def _look(self) -> None:
        for path in self._multipath.paths:
            if path.is_live and path in self._down:
                self._down.discard(path)
                complain(f"connected to {path.address} port {path.port} again")
            elif not path.is_live and path not in self._down:
                self._down.add(path)
                self._tell(path)

    def _tell(self, path: Path) -> None:
        if path.failure and not path.is_removed:
            limit = path.policy.ctrl_loss_tmo
            complain(f"{path.failure}; trying again" + (f" for {limit:g} seconds" if limit > 0 else ""))
        elif path.failure and not self._multipath.is_over:
            complain(f"{path.failure}; going on without")
