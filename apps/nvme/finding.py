"""`baremetal nvme discover` and `connect-all`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from apps.addresses import address_beside
from apps.arguments import CtrlLossTmo, FastIoFailTmo, Json, Local, Policy, ReconnectDelay, reconnect_policy
from apps.nvme import tables
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.printing.listing import show_namespaces
from apps.nvme.session import SessionOptions, discovered
from apps.output import complain, console
from apps.signals import end_tidily
from stacks.nvme.discovering.sync import Everything, connect_all, watch_discovery
from stacks.nvme.host import DiscoveredSubsystem, HostConfig, PathPolicy
from stacks.nvme.url import NvmeUrl


def discover(
    url: Url,
    persistent: Annotated[
        bool, typer.Option("--persistent", help="Stay, and print what comes and goes, until Ctrl-C.")
    ] = False,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Show which subsystems a target has."""
    if persistent:
        follow_discovery(url, local=local, host_nqn=host_nqn, as_json=as_json)
        return
    found = discovered(url, SessionOptions(local=local, host_nqn=host_nqn))
    tables.show_discovered(found, console(), as_json=as_json)


def connect_everything(
    url: Url,
    persistent: Annotated[
        bool, typer.Option("--persistent", help="Stay connected, and connect to what is listed later, until Ctrl-C.")
    ] = False,
    policy: Policy = PathPolicy.ROUND_ROBIN,
    reconnect_delay: ReconnectDelay = 10,
    ctrl_loss_tmo: CtrlLossTmo = None,
    fast_io_fail_tmo: FastIoFailTmo = -1,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Connect to all that a discovery service lists, and show the namespaces."""
    reconnect = reconnect_policy(reconnect_delay, ctrl_loss_tmo, fast_io_fail_tmo, paths=1 + persistent)
    with (
        until_told() if persistent else contextlib.nullcontext(),
        connect_all(
            url,
            config=HostConfig(host_nqn=host_nqn),
            local=local_for(url, local),
            reconnect=reconnect,
            policy=policy,
            is_persistent=persistent,
        ) as everything,
    ):
        shown = Shown(everything, as_json=as_json)
        shown.look()
        if persistent:
            everything.core.on_change = shown.note
            while True:
                everything.run_until(shown.has_news)
                shown.look()


class Shown:
    """What was printed of all that is connected; `look` prints it again when it is not the same any more."""

    def __init__(self, everything: Everything, *, as_json: bool) -> None:
        self._everything = everything
        self._as_json = as_json
        self._rows: list[tables.Json] | None = None
        self._problems: set[str] = set()
        self._is_noted = False

    def note(self) -> None:
        """Something changed."""
        self._is_noted = True

    def has_news(self) -> bool:
        """Whether it is worth looking."""
        return self._is_noted and self._everything.core.is_settled

    def look(self) -> None:
        """Print what there is, if that is new."""
        self._is_noted = False
        rows = [
            tables.namespace_json(connection.host, each, replaced(connection.url, each.nsid))
            for connection in self._everything.connections()
            for each in connection.multipath.namespaces.values()
        ]
        core = self._everything.core
        problems = {f"{entry.url}: {reason}" for entry, reason in core.skipped.items()}
        problems |= {f"nvme+{where}: {reason}" for where, reason in core.failures.items()}
        for line in sorted(problems - self._problems):
            complain(line)
        self._problems = problems
        if rows != self._rows:
            self._rows = rows
            show_namespaces(rows, as_json=self._as_json)
            sys.stdout.flush()


def follow_discovery(url: NvmeUrl, *, local: str, host_nqn: str, as_json: bool) -> None:
    """Print what a discovery service lists, and what comes and goes, until Ctrl-C."""
    with (
        until_told(),
        watch_discovery(
            url,
            on_change=lambda added, removed: show_change(added, removed, as_json=as_json),
            config=HostConfig(host_nqn=host_nqn),
            local=local_for(url, local),
        ) as watched,
    ):
        watched.run_until(lambda: False)


def show_change(added: list[DiscoveredSubsystem], removed: list[DiscoveredSubsystem], *, as_json: bool) -> None:
    """A line for each entry that came or went; or one of JSON for all."""
    if as_json:
        change = {"added": [entry.url for entry in added], "removed": [entry.url for entry in removed]}
        print(json.dumps(change), flush=True)  # noqa: T201
        return
    for sign, entries in (("+", added), ("-", removed)):
        for entry in entries:
            line = tables.printable(f"{sign} {entry.kind}  {entry.url}")
            print(line, flush=True)  # noqa: T201


@contextlib.contextmanager
def until_told() -> Iterator[None]:
    """A block that goes on until Ctrl-C, which is no failure then, or SIGTERM."""
    end_tidily()
    with contextlib.suppress(KeyboardInterrupt):
        yield


def local_for(url: NvmeUrl, local: str) -> str:
    """Our address: the one asked for, or for RDMA one that is not the target's."""
    return local or (address_beside(url.host) if url.transport == "rdma" else "")


def replaced(url: NvmeUrl, nsid: int) -> NvmeUrl:
    """The URL with a namespace."""
    return NvmeUrl(url.transport, url.host, url.port, url.nqn, nsid)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module to a group."""
    app.command()(discover)
    app.command("connect-all")(connect_everything)
