"""`baremetal rdma`: a look at the devices of running processes."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from apps.errors import CommandError
from apps.output import console
from transports.control import ControlClient, ControlEntry, ControlError, Json, running_processes

app = typer.Typer(
    no_args_is_help=True, help="Look at the RDMA devices of running processes.", epilog="baremetal rdma counters --all"
)


@app.callback()
def group() -> None:
    """Keep this a group while it has one command."""


@app.command()
def counters(
    pid: Annotated[int | None, typer.Argument(help="Only this process; all that run when left out.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show counters that are zero, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the counters of the devices of running processes, under the names of Linux rxe."""
    processes = [entry for entry in running_processes() if pid is None or entry.pid == pid]
    if not processes:
        others = ", ".join(f"{entry.pid} ({entry.role})" for entry in running_processes())
        raise CommandError(
            "no process of yours with a device runs here" if pid is None else f"no process {pid} of yours has a device",
            f"those that have: {others}"
            if others
            else "start one, for example baremetal nvme target --namespace mem:1GiB --listen nvme+rdma://127.0.0.2",
        )
    found = [(entry, snapshot) for entry in processes if (snapshot := ask(entry)) is not None]
    out = console()
    if as_json:
        out.print_json(data=[snapshot for _, snapshot in found])
        return
    for entry, snapshot in found:
        for address, values in devices(snapshot):
            title = f"{entry.role} {entry.pid}, device {address}"
            if every or any(values.values()):
                out.print(table(title, values, every=every))
            else:
                out.print(f"{title}: all counters are zero", highlight=False)


def ask(entry: ControlEntry) -> dict[str, Json] | None:
    """The state of a process; None when it ended in the meantime."""
    try:
        with ControlClient(entry.path) as client:
            return client.snapshot()
    except ControlError:
        return None


def devices(snapshot: dict[str, Json]) -> list[tuple[str, dict[str, Json]]]:
    """The counters of each device of a process, by its address."""
    found = snapshot.get("devices")
    if not isinstance(found, dict):
        return []
    return [(address, values) for address, values in found.items() if isinstance(values, dict)]


def table(title: str, values: dict[str, Json], *, every: bool) -> Table:
    """Names and values, without the zeros unless `every`."""
    result = Table("counter", "value", title=title, title_justify="left")
    result.columns[1].justify = "right"
    for name, value in values.items():
        if value or every:
            result.add_row(name, str(value))
    return result
