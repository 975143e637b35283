"""Verbs that only look: what a target has, and who has reserved what."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import Json
from apps.nvme.ctl import tables
from apps.nvme.ctl.arguments import Nqn
from apps.nvme.ctl.asking import ask
from apps.output import console
from stacks.nvme.target.subsystem import NAMESPACES_MAX


def add_to(app: typer.Typer) -> None:
    """Make these verbs of a group."""
    app.command("list")(show_all)
    app.command()(reservations)


def show_all(context: typer.Context, as_json: Json = False) -> None:
    """Show ports, subsystems, namespaces, hosts and controllers."""
    answer = ask(context.obj, "list")
    out = console()
    if as_json:
        out.print_json(data=answer)
        return
    for table in tables.everything(answer):
        out.print(table)


def reservations(
    context: typer.Context,
    nsid: Annotated[
        int, typer.Argument(metavar="NSID", min=0, max=NAMESPACES_MAX, help="One namespace; all when left out.")
    ] = 0,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Show who has registered with namespaces, and what is reserved."""
    answer = ask(context.obj, "reservations", nsid=nsid or None, nqn=nqn or None)
    out = console()
    if as_json:
        out.print_json(data=answer)
        return
    for table in tables.reserved(answer):
        out.print(table)
