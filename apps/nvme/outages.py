"""What a person is told while a command waits for a target that went away."""

from __future__ import annotations

from apps.nvme.patience import Patience
from apps.output import complain
from stacks.nvme.host import Multipath, Path
from stacks.nvme.url import NvmeUrl
from transports.clock import Clock


class Outages:
    """Says on standard error when a path is lost, and when it is back; and what `Patience` says."""

    def __init__(self, multipath: Multipath, clock: Clock) -> None:
        self._multipath = multipath
        self._patience = Patience(multipath, clock)
        self._down = {path for path in multipath.paths if not path.is_live}
        multipath.on_change = self._look
        for path in self._down:
            self._tell(path)
        self._patience.look()

    def _look(self) -> None:
        for path in self._multipath.paths:
            if path.is_live and path in self._down:
                self._down.discard(path)
                complain(f"connected to {url_of(path)} again")
            elif not path.is_live and path not in self._down:
                self._down.add(path)
                self._tell(path)
        self._patience.look()

    def _tell(self, path: Path) -> None:
        if path.failure and not path.is_removed:
            limit = path.policy.ctrl_loss_tmo
            complain(f"{located(path)}; trying again" + (f" for {limit:g} seconds" if limit > 0 else ""))
        elif path.failure and not self._multipath.is_over:
            complain(f"{located(path)}; going on without")


def url_of(path: Path) -> NvmeUrl:
    """Where a path goes, and over what."""
    return NvmeUrl(path.connector.transport, path.address, path.port)


def located(path: Path) -> str:
    """Why a path is down, with its URL: several may have the same address and port, over different transports."""
    url = str(url_of(path))
    place = url.partition("://")[2]
    return path.failure.replace(place, url, 1) if place in path.failure else f"{url}: {path.failure}"
