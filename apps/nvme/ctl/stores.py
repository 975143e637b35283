"""Verbs for the stores behind namespaces: faults, power cuts, snapshots."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from apps.arguments import Json
from apps.nvme.ctl.arguments import Nqn, Nsid, Rules
from apps.nvme.ctl.asking import Object, ask
from apps.nvme.ctl.telling import say
from apps.output import console
from transports.control import Json as ControlJson

Name = Annotated[str, typer.Argument(metavar="NAME", help="The snapshot's name.")]


def add_to(app: typer.Typer) -> None:
    """Make these verbs of a group."""
    for verb in (store_faults, power_cut, snapshot, rollback, delete_snapshot):
        app.command()(verb)


def store_faults(
    context: typer.Context,
    nsid: Nsid,
    add: Rules = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all rules first.")] = False,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Show what the faults of a faulty: store did, add some, or forget them."""
    rules: ControlJson = None if add is None else [str(rule) for rule in add]
    answer = ask(context.obj, "store-faults", nsid=nsid, add=rules, clear=clear, nqn=nqn or None)
    show_report(answer, as_json=as_json)


def power_cut(context: typer.Context, nsid: Nsid, nqn: Nqn = "", as_json: Json = False) -> None:
    """Lose what is in the cache of a faulty: store."""
    answer = ask(context.obj, "power-cut", nsid=nsid, nqn=nqn or None)
    say(
        answer,
        f"power cuts {answer['power_cuts']}: {answer['dropped']} changes dropped, {answer['torn']} torn",
        as_json=as_json,
    )


def snapshot(context: typer.Context, nsid: Nsid, name: Name, nqn: Nqn = "", as_json: Json = False) -> None:
    """Keep the present state of an overlay: store."""
    tell_snapshots(ask(context.obj, "snapshot", nsid=nsid, name=name, nqn=nqn or None), as_json=as_json)


def rollback(context: typer.Context, nsid: Nsid, name: Name, nqn: Nqn = "", as_json: Json = False) -> None:
    """Have a namespace as it was when a snapshot was taken; what was written since is gone."""
    answer = ask(context.obj, "rollback", nsid=nsid, name=name, nqn=nqn or None)
    say(answer, f"namespace {nsid} is as it was at {name}", as_json=as_json)


def delete_snapshot(context: typer.Context, nsid: Nsid, name: Name, nqn: Nqn = "", as_json: Json = False) -> None:
    """Forget a snapshot."""
    tell_snapshots(ask(context.obj, "delete-snapshot", nsid=nsid, name=name, nqn=nqn or None), as_json=as_json)


def tell_snapshots(answer: Object, *, as_json: bool) -> None:
    """Say which snapshots there are."""
    names = answer["snapshots"]
    assert isinstance(names, list)
    there = ", ".join(map(str, names)) or "none"
    say(answer, f"namespace {answer['nsid']} has the snapshots: {there}", as_json=as_json)


def show_report(answer: Object, *, as_json: bool) -> None:
    """Print what the rules did."""
    out = console()
    if as_json:
        out.print_json(data=answer)
        return
    rules = answer["rules"]
    assert isinstance(rules, list)
    if not rules:
        out.print("no fault rules")
    else:
        table = Table("rule", "fault", "matched", "fired")
        for rule in rules:
            assert isinstance(rule, dict)
            table.add_row(*(str(rule[key]) for key in ("number", "text", "matched", "fired")))
        out.print(table)
    counts = (f"{name} {answer[name]}" for name in ("errors", "delays", "power_cuts", "dropped", "torn"))
    out.print(", ".join(counts).replace("_", " "), highlight=False)
