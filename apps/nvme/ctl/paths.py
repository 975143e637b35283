"""Verbs for the ways to a target: ANA states, ports, referrals, subsystems; and the end."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import TIMES, Json, parse_nqn
from apps.nvme.ctl.arguments import (
    Duration,
    Group,
    Nqn,
    PortNumber,
    Serves,
    parse_listening,
    parse_referral,
    parse_state,
)
from apps.nvme.ctl.asking import Object, ask
from apps.nvme.ctl.telling import hosts_words, say
from apps.sizes import format_duration
from stacks.nvme.target.ana import ANATT_SECONDS
from stacks.nvme.target.subsystem import CNTLID_MAX
from stacks.nvme.target.target import PORTID_MAX
from stacks.nvme.url import NvmeUrl

Referral = Annotated[
    NvmeUrl, typer.Argument(parser=parse_referral, metavar="URL", help="Such as nvme+tcp://192.0.2.9:8009.")
]
Subsystem = Annotated[str, typer.Argument(parser=parse_nqn, metavar="NQN", help="Its name.")]


def add_to(app: typer.Typer) -> None:
    """Make these verbs of a group."""
    app.command(epilog=TIMES)(set_ana)
    for verb in (add_port, remove_port, set_serves, add_referral, remove_referral, add_subsystem, remove_subsystem):
        app.command()(verb)
    app.command()(drain)


def set_ana(
    context: typer.Context,
    group: Group,
    state: Annotated[
        str,
        typer.Argument(
            parser=parse_state,
            metavar="STATE",
            help="optimized, non-optimized, inaccessible, persistent-loss, or change.",
        ),
    ],
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=PORTID_MAX, help="Only at this port; 0: at all of them.")
    ] = 0,
    after: Duration = 0,
    nqn: Nqn = "",
    as_json: Json = False,
) -> None:
    """Change the state of an ANA group.

    `change` is no state to stay in: after 10 seconds, or --after, the group is in the state from before.
    """
    answer = ask(
        context.obj, "set-ana", group=group, state=state, port=port or None, after_ns=after or None, nqn=nqn or None
    )
    where = f" at port {port}" if port else ""
    if state == "change":
        becomes = f"is in change, for {format_duration(after or ANATT_SECONDS * 10**9)} at most"
    else:
        becomes = f"{'is to be' if after else 'is'} {state}"
    say(answer, f"ANA group {group}{where} {becomes}", as_json=as_json)


def add_port(
    context: typer.Context,
    url: Annotated[
        NvmeUrl, typer.Argument(parser=parse_listening, metavar="URL", help="nvme+rdma://, nvme+tcp:// or nvme+quic://ADDRESS:PORT.")
    ],
    number: Annotated[
        int, typer.Option("--id", metavar="PORT", min=0, max=PORTID_MAX, help="Its number; 0: the lowest free one.")
    ] = 0,
    serves: Serves = None,
    discovery: Annotated[bool, typer.Option("--discovery", help="Only the discovery service is there.")] = False,
    as_json: Json = False,
) -> None:
    """Listen at one more place."""
    reached = [] if discovery else serves
    answer = ask(
        context.obj,
        "add-port",
        listen=str(url),
        portid=number or None,
        serves=None if reached is None else [*reached],
    )
    say(answer, f"port {answer['portid']} listens at {port_words(answer)}", as_json=as_json)


def remove_port(context: typer.Context, port: PortNumber, as_json: Json = False) -> None:
    """Listen somewhere no more, and disconnect the hosts there."""
    answer = ask(context.obj, "remove-port", port=port)
    say(answer, f"port {port} listens no more at {port_words(answer)}", as_json=as_json)


def set_serves(
    context: typer.Context,
    port: PortNumber,
    serves: Annotated[
        list[str] | None,
        typer.Argument(parser=parse_nqn, metavar="[NQN]...", help="The subsystems; none: discovery alone."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every subsystem.")] = False,
    as_json: Json = False,
) -> None:
    """Say which subsystems are reached through a port."""
    if every and serves:
        raise typer.BadParameter("name subsystems or say --all, not both")
    answer = ask(context.obj, "set-serves", port=port, serves=None if every else [*(serves or ())])
    say(answer, f"port {port} serves {serves_words(answer['serves'])}", as_json=as_json)


def add_referral(context: typer.Context, url: Referral, nqn: Nqn = "", as_json: Json = False) -> None:
    """Send hosts to a discovery service elsewhere as well."""
    answer = ask(context.obj, "add-referral", to=str(url), nqn=nqn or None)
    say(answer, f"hosts are sent to {url}", as_json=as_json)


def remove_referral(context: typer.Context, url: Referral, as_json: Json = False) -> None:
    """Send hosts there no more."""
    answer = ask(context.obj, "remove-referral", to=str(url))
    say(answer, f"hosts are sent no more to {url}", as_json=as_json)


def add_subsystem(
    context: typer.Context,
    nqn: Subsystem,
    serial: Annotated[str, typer.Option(metavar="TEXT", help="Serial number.")] = "",
    model: Annotated[str, typer.Option(metavar="TEXT", help="Model name.")] = "",
    kind: Annotated[str, typer.Option(metavar="KIND", help="io or administrative.")] = "io",
    allow: Annotated[
        list[str] | None,
        typer.Option(parser=parse_nqn, metavar="HOSTNQN", help="A host that may connect, and no other. Repeatable."),
    ] = None,
    max_controllers: Annotated[
        int, typer.Option(metavar="N", min=0, max=CNTLID_MAX, help="How many at a time; 0: any number.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Serve one more subsystem, without a namespace yet."""
    answer = ask(
        context.obj,
        "add-subsystem",
        nqn=nqn,
        serial=serial or None,
        model=model or None,
        kind=kind,
        allowed_hosts=None if allow is None else [*allow],
        max_controllers=max_controllers or None,
    )
    say(answer, f"{nqn} lets in {hosts_words(answer['allowed_hosts'])}", as_json=as_json)


def remove_subsystem(context: typer.Context, nqn: Subsystem, as_json: Json = False) -> None:
    """Serve a subsystem no more, and disconnect its hosts."""
    answer = ask(context.obj, "remove-subsystem", nqn=nqn)
    say(answer, f"{nqn} is served no more", as_json=as_json)


def drain(context: typer.Context, as_json: Json = False) -> None:
    """End a target, once what is under way is answered."""
    answer = ask(context.obj, "drain")
    say(answer, f"target {answer['pid']} ends, with {answer['connections']} connections", as_json=as_json)


def port_words(answer: Object) -> str:
    """Where a port is, and for what."""
    return f"nvme+{answer['transport']}://{answer['address']}, for {serves_words(answer['serves'])}"


def serves_words(serves: object) -> str:
    """What is reached through a port, in words."""
    if not isinstance(serves, list):
        return "every subsystem"
    return ", ".join(map(str, serves)) or "discovery alone"
