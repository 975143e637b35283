"""Verbs for hosts: who may connect, and who has to go."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import Json, parse_nqn
from apps.nvme.ctl.arguments import AnyHost, Nqn
from apps.nvme.ctl.asking import Object, ask
from apps.nvme.ctl.namespaces import host_or_all
from apps.nvme.ctl.telling import hosts_words, say
from stacks.nvme.target.subsystem import CNTLID_MAX


def add_to(app: typer.Typer) -> None:
    """Make these verbs of a group."""
    for verb in (allow, deny, kick):
        app.command()(verb)


def allow(
    context: typer.Context,
    host: AnyHost = "",
    every: Annotated[bool, typer.Option("--all", help="Let every host connect.")] = False,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Let one host more connect."""
    host_or_all(host, every=every)
    tell_access(ask(context.obj, "allow", host=host or None, nqn=nqn or None), as_json=as_json)


def deny(
    context: typer.Context,
    host: AnyHost = "",
    every: Annotated[bool, typer.Option("--all", help="Let no host connect.")] = False,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Let a host connect no more, and disconnect it."""
    host_or_all(host, every=every)
    tell_access(ask(context.obj, "deny", host=host or None, nqn=nqn or None), as_json=as_json)


def kick(
    context: typer.Context,
    host: Annotated[str, typer.Argument(parser=parse_nqn, metavar="HOSTNQN", help="The host; or --controller.")] = "",
    controller: Annotated[
        int | None,
        typer.Option(metavar="CNTLID", min=1, max=CNTLID_MAX, help="One controller, and not all of a host."),
    ] = None,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Disconnect a host, which may come back."""
    if bool(host) == (controller is not None):
        raise typer.BadParameter("name a host, or a controller with --controller")
    answer = ask(context.obj, "kick", host=host or None, controller=controller, nqn=nqn or None)
    gone = answer["disconnected"]
    assert isinstance(gone, list)
    whom = ", ".join(f"controller {each['cntlid']} of {each['subsystem']}" for each in gone if isinstance(each, dict))
    say(answer, f"disconnected {whom}", as_json=as_json)


def tell_access(answer: Object, *, as_json: bool) -> None:
    """Say who may connect."""
    say(answer, f"{answer['nqn']} lets in {hosts_words(answer['allowed_hosts'])}", as_json=as_json)
