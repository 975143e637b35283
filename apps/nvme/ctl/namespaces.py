"""Verbs for namespaces: they come, go, grow, and are shown to hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import SIZES, Json, parse_nqn
from apps.nvme.ctl.arguments import (
    AnaGroup,
    AnyHost,
    BlockSize,
    Group,
    NewNsid,
    Nqn,
    Nsid,
    Rules,
    Size,
    Uuid,
    parse_store,
)
from apps.nvme.ctl.asking import ask
from apps.nvme.ctl.telling import hosts_words, namespace_words, say


def add_to(app: typer.Typer) -> None:
    """Make these verbs of a group."""
    for verb in (add_namespace, remove_namespace, resize, create, delete, show, hide, set_group):
        app.command(epilog=SIZES if verb in (add_namespace, resize, create) else None)(verb)


def add_namespace(
    context: typer.Context,
    store: Annotated[
        str, typer.Argument(parser=parse_store, metavar="STORE", help="An image, mem:SIZE, ...; see docs/stores.md.")
    ],
    nqn: Nqn = "",
    nsid: NewNsid = 0,
    block_size: BlockSize = 4096,
    uuid: Uuid = None,
    ana_group: AnaGroup = 1,
    visible_to: Annotated[
        list[str] | None,
        typer.Option(parser=parse_nqn, metavar="HOSTNQN", help="A host that has it, and no other. Repeatable."),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse every change.")] = False,
    fault: Rules = None,
    cache: Annotated[bool, typer.Option("--cache", help="Keep changes in a cache that power-cut loses.")] = False,
    as_json: Json = False,
) -> None:
    """Serve one more store."""
    answer = ask(
        context.obj,
        "add-namespace",
        store=store,
        folder=str(Path.cwd()),
        nqn=nqn or None,
        nsid=nsid or None,
        block_size=block_size,
        uuid=None if uuid is None else str(uuid),
        ana_group=ana_group,
        visible_to=None if visible_to is None else [*visible_to],
        read_only=read_only,
        faults=None if fault is None else [str(rule) for rule in fault],
        cache=cache,
    )
    say(answer, f"added {namespace_words(answer)}", as_json=as_json)


def remove_namespace(context: typer.Context, nsid: Nsid, nqn: Nqn = "", as_json: Json = False) -> None:
    """Serve a namespace no more; what is in it stays."""
    answer = ask(context.obj, "remove-namespace", nsid=nsid, nqn=nqn or None)
    say(answer, f"removed {namespace_words(answer)}", as_json=as_json)


def resize(
    context: typer.Context,
    nsid: Nsid,
    size: Size,
    shrink: Annotated[bool, typer.Option("--shrink", help="It may be smaller; what is beyond is gone.")] = False,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Give a namespace another size."""
    answer = ask(context.obj, "resize", nsid=nsid, size=size, shrink=shrink, nqn=nqn or None)
    say(answer, f"resized {namespace_words(answer)}", as_json=as_json)


def create(
    context: typer.Context,
    size: Size,
    directory: Annotated[str, typer.Option(metavar="FOLDER", help="The folder; not needed where there is one.")] = "",
    nsid: NewNsid = 0,
    block_size: BlockSize = 4096,
    file: Annotated[str, typer.Option(metavar="NAME", help="The image's name there; by default ns-NSID.img.")] = "",
    uuid: Uuid = None,
    ana_group: AnaGroup = 1,
    as_json: Json = False,
) -> None:
    """Make a namespace in a folder of namespaces."""
    answer = ask(
        context.obj,
        "create",
        size=size,
        directory=directory or None,
        nsid=nsid or None,
        block_size=block_size,
        file=file or None,
        uuid=None if uuid is None else str(uuid),
        ana_group=ana_group,
    )
    say(answer, f"created {namespace_words(answer)}", as_json=as_json)


def delete(context: typer.Context, nsid: Nsid, nqn: Nqn = "", as_json: Json = False) -> None:
    """Delete a namespace of a folder, and what is in it."""
    answer = ask(context.obj, "delete", nsid=nsid, nqn=nqn or None)
    say(answer, f"deleted {namespace_words(answer)}", as_json=as_json)


def show(
    context: typer.Context,
    nsid: Nsid,
    host: AnyHost = "",
    every: Annotated[bool, typer.Option("--all", help="Show it to every host.")] = False,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Show a namespace to one host more."""
    host_or_all(host, every=every)
    answer = ask(context.obj, "show", nsid=nsid, host=host or None, nqn=nqn or None)
    say(answer, f"namespace {nsid} is visible to {hosts_words(answer['visible_to'])}", as_json=as_json)


def hide(
    context: typer.Context,
    nsid: Nsid,
    host: AnyHost = "",
    every: Annotated[bool, typer.Option("--all", help="Hide it from every host.")] = False,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Hide a namespace from a host that it was shown to."""
    host_or_all(host, every=every)
    answer = ask(context.obj, "hide", nsid=nsid, host=host or None, nqn=nqn or None)
    say(answer, f"namespace {nsid} is visible to {hosts_words(answer['visible_to'])}", as_json=as_json)


def set_group(context: typer.Context, nsid: Nsid, group: Group, nqn: Nqn = "", as_json: Json = False) -> None:
    """Have a namespace belong to another ANA group."""
    answer = ask(context.obj, "set-group", nsid=nsid, group=group, nqn=nqn or None)
    say(answer, f"namespace {nsid} belongs to ANA group {group}", as_json=as_json)


def host_or_all(host: str, *, every: bool) -> None:
    """typer.BadParameter unless there is exactly one of both."""
    if bool(host) == every:
        raise typer.BadParameter("name a host, or say --all" if not host else "name a host or say --all, not both")
