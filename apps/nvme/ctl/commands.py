"""The group `baremetal nvme ctl`."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.nvme.ctl import hosts, looking, namespaces, paths, stores

app = typer.Typer(
    no_args_is_help=True,
    help="Look at a target that serves, and change it.",
    epilog="baremetal nvme ctl list\n\nbaremetal nvme ctl --target 1234 add-namespace mem:1GiB",
)


@app.callback()
def choose(
    context: typer.Context,
    target: Annotated[
        str, typer.Option(metavar="PID", help="Which target, by its process number; not needed where one runs.")
    ] = "",
) -> None:
    """Take which target is meant."""
    context.obj = target


for group in (looking, namespaces, hosts, paths, stores):
    group.add_to(app)


def add_to(parent: typer.Typer) -> None:
    """Make this group one of another."""
    parent.add_typer(app, name="ctl")
