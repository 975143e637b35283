"""What both faces do alike when they connect: URLs, paths, and what to raise.

The common case is one URL. Several are several paths to one subsystem, which their NQN has to agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stacks.nvme.host import (
    CommandFailed,
    ConnectionFailed,
    DiscoveredSubsystem,
    HostConfig,
    HostController,
    Multipath,
    Path,
    ReconnectPolicy,
    Transfer,
)
from stacks.nvme.host.connect_all import SERVICE_KEEP_ALIVE_MS
from stacks.nvme.host.path import Connector
from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime import LocalError
from wire.nvme.opcodes import DISCOVERY_NQN

DEFAULT_RECONNECT = ReconnectPolicy()
"""As `nvme connect`: tried again every 10 seconds, given up after 600."""


def parse_urls(url: str | NvmeUrl | Sequence[str | NvmeUrl]) -> list[NvmeUrl]:
    """One URL or several, as a list; LocalError for none, for one that is none, or when they name different things."""
    urls = [url] if isinstance(url, (str, NvmeUrl)) else list(url)
    if not urls:
        raise LocalError("there is no URL to connect to")
    places = [parse_url(each) if isinstance(each, str) else each for each in urls]
    nqn_of(places)
    nsid_of(places)
    return places


def nqn_of(urls: Sequence[NvmeUrl]) -> str:
    """The subsystem that the URLs name, or an empty text; LocalError when they name several."""
    names = {url.nqn for url in urls if url.nqn}
    if len(names) > 1:
        raise LocalError(f"paths are to one subsystem, not to {' and '.join(sorted(names))}")
    return names.pop() if names else ""


def nsid_of(urls: Sequence[NvmeUrl]) -> int:
    """The namespace that the URLs name, or 0; LocalError when they name several."""
    numbers = {url.nsid for url in urls if url.nsid}
    if len(numbers) > 1:
        raise LocalError(f"paths are to one namespace, not to {' and '.join(map(str, sorted(numbers)))}")
    return numbers.pop() if numbers else 0


def add_path(
    multipath: Multipath, connector: Connector, url: NvmeUrl, config: HostConfig, reconnect: ReconnectPolicy, now: int
) -> None:
    """One more path, begun."""
    multipath.add(Path(connector, url.host, config, port=url.port, policy=reconnect), now)


def paths_policy(reconnect: ReconnectPolicy, urls: Sequence[NvmeUrl]) -> ReconnectPolicy:
    """What the paths to `urls` do about a loss: of several, one that does not come about at first is tried on."""
    return replace(reconnect, retries_first=True) if len(urls) > 1 and reconnect.ctrl_loss_tmo else reconnect


def settled(multipath: Multipath, reconnect: ReconnectPolicy) -> Callable[[], bool]:
    """A condition: each path came about, or did not; with `retries_first`, one came about or none will."""
    if reconnect.retries_first:
        return lambda: multipath.is_live or multipath.is_over
    return lambda: all(path.is_live or path.is_removed or path.failure for path in multipath.paths)


def urls_of(nqn: str, multipath: Multipath) -> list[NvmeUrl]:
    """The URLs of a subsystem's paths."""
    return [NvmeUrl(path.connector.transport, path.address, path.port, nqn) for path in multipath.paths]


def service_config(config: HostConfig, nqn: str) -> HostConfig:
    """How to stay connected to a discovery service; nqn: its name, empty for the well-known one."""
    return replace(config, nqn=nqn or DISCOVERY_NQN, io_queues=1, keep_alive_ms=SERVICE_KEEP_ALIVE_MS)


def association(multipath: Multipath) -> HostController:
    """An association of now: a live one where there is one."""
    hosts = [(path.is_live, path.host) for path in multipath.paths if path.host is not None]
    live = next((host for is_live, host in hosts if is_live), None)
    if live is None and not hosts:
        raise LocalError("nothing was connected yet")
    return live or hosts[0][1]


def only_subsystem(url: NvmeUrl, found: Sequence[DiscoveredSubsystem]) -> str:
    """The NQN of the only NVM subsystem in a discovery log; LocalError when there is none or more than one."""
    names = sorted({entry.nqn for entry in found if entry.kind == "nvm"})
    if len(names) != 1:
        has = f"has {', '.join(names)}; add one to the URL" if names else "has no subsystem"
        raise LocalError(f"the target at {url} {has}")
    return names[0]


def check_transfer(transfer: Transfer) -> None:
    """Raise what a finished transfer's status says: CommandFailed, or ConnectionFailed when there was no connection."""
    if transfer.status:
        if transfer.ending:
            raise ConnectionFailed(transfer.ending)
        raise CommandFailed(transfer.what, transfer.status, is_io=True)
