"""What other terminals see of a running link, and change: `baremetal link show`, `change` and `rebind`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from apps.arguments import TIMES, Json
from apps.errors import CommandError
from apps.link.report import between, part
from apps.link.report import show as show_report
from apps.link.ways import BackDelay, BackLoss, BackRate, NewDelay, NewLoss, NewRate
from apps.output import console
from apps.sizes import Nanoseconds, parse_duration
from transports.control import ControlClient, ControlEntry, ControlError, running_processes
from transports.control import Json as ControlJson

Process = Annotated[str, typer.Argument(metavar="PROCESS", help="By its number; left out: the one that runs.")]
Which = Annotated[str, typer.Argument(metavar="PROCESS", help="By its number, which `link show` tells.")]


def show(
    process: Process = "",
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    interval: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="How often --watch looks.")
    ] = Nanoseconds(1_000_000_000),
    as_json: Json = False,
) -> None:
    """Show a running link: what went in and out, its queues, how late it is."""
    entry, out = the_link(process), console()
    while True:
        snapshot = ask(entry)
        if as_json and watch:
            out.print(json.dumps(snapshot), soft_wrap=True, highlight=False)
        elif as_json:
            out.print_json(data=snapshot)
        else:
            out.print(named(entry, snapshot), highlight=False, soft_wrap=True)
            show_report(snapshot, out)
        if not watch:
            return
        time.sleep(interval / 1e9)


def change(
    process: Which = "",
    rate: NewRate = None,
    delay: NewDelay = None,
    loss: NewLoss = None,
    back_rate: BackRate = None,
    back_delay: BackDelay = None,
    back_loss: BackLoss = None,
    only: Annotated[str, typer.Option(metavar="WAY", help="Change only this way: forward or back.")] = "",
    as_json: Json = False,
) -> None:
    """Change a running link, which is named by its number; what is not named stays as it is."""
    if only not in ("", "forward", "back"):
        raise CommandError(f"a link has the ways forward and back, not {only}", status=2)
    there = _named(rate=rate, delay=delay, loss=loss)
    back = _named(rate=back_rate, delay=back_delay, loss=back_loss)
    changes = {"forward": there, "back": {**there, **back}}
    if only:
        changes = {only: changes[only]}
    if not any(changes.values()):
        raise CommandError("nothing to change", "name what is to be otherwise, such as --rate 10mbit", status=2)
    entry = the_named_link("change", process)
    result = tell(entry, "change", {**changes})
    if as_json:
        console().print_json(data=result)
        return
    name = named(entry, ask(entry))
    configs = result if isinstance(result, dict) else {}
    lines = {way: _changed(part(configs, way), wanted) for way, wanted in changes.items() if wanted}
    if len(lines) == 2 and len({*lines.values()}) == 1:
        lines = {"both ways": lines["forward"]}
    for way, words in lines.items():
        console().print(f"{name}, {way}: {words}", highlight=False, soft_wrap=True)


def rebind(process: Which = "", as_json: Json = False) -> None:
    """Give every client of a `link udp`, named by its number, a new port to the server, as a NAT that forgot does."""
    entry = the_named_link("rebind", process)
    count = tell(entry, "rebind", {})
    if as_json:
        console().print_json(data={"clients": count})
    else:
        words = "1 client has" if count == 1 else f"{count} clients have"
        console().print(f"{named(entry, ask(entry))}: {words} a new port", highlight=False, soft_wrap=True)


def the_link(wanted: str) -> ControlEntry:
    """The one running link, or that with the number `wanted`. CommandError when there are none, or several."""
    running = [entry for entry in running_processes("link") if wanted in ("", str(entry.pid))]
    if not running:
        raise CommandError(f"no link {wanted} of yours runs here" if wanted else "no link of yours runs here")
    if len(running) > 1:
        raise CommandError(f"{len(running)} links run here: {_all_named(running)}", "name one by its number")
    return running[0]


def the_named_link(command: str, wanted: str) -> ControlEntry:
    """The link with the number `wanted`. CommandError without one: the only link that runs may be somebody else's."""
    if wanted:
        return the_link(wanted)
    running = running_processes("link")
    if not running:
        raise CommandError("no link of yours runs here")
    hint = f"name it by its number, such as baremetal link {command} {running[0].pid}"
    raise CommandError(f"say which link to {command}; there runs {_all_named(running)}", hint, status=2)


def named(entry: ControlEntry, snapshot: Mapping[str, ControlJson]) -> str:
    """`link 16799 (left/bm0 - right/bm0)`."""
    return f"link {entry.pid} ({between(snapshot)})"


def _changed(config: Mapping[str, ControlJson], wanted: Mapping[str, ControlJson]) -> str:
    return ", ".join(f"{name} {config.get(name) or 'none'}" for name in wanted)


def _all_named(running: Sequence[ControlEntry]) -> str:
    names = []
    for entry in running:
        try:
            with ControlClient(entry.path) as client:
                names.append(f"{entry.pid} ({between(client.snapshot())})")
        except ControlError:
            names.append(str(entry.pid))
    return ", ".join(names)


def ask(entry: ControlEntry) -> dict[str, ControlJson]:
    """The state of a link. CommandError when it ended in the meantime."""
    try:
        with ControlClient(entry.path) as client:
            return client.snapshot()
    except ControlError as error:
        raise CommandError(f"link {entry.pid}: {error}") from error


def tell(entry: ControlEntry, name: str, arguments: dict[str, ControlJson]) -> ControlJson:
    """Run a command of a link. CommandError when it refuses, does not know it, or ended in the meantime."""
    try:
        with ControlClient(entry.path) as client:
            return client.command(name, arguments)
    except ControlError as error:
        raise CommandError(f"link {entry.pid}: {error}") from error


def _named(**changes: str | None) -> dict[str, ControlJson]:
    return {name: value for name, value in changes.items() if value is not None}


SHOW = f"baremetal link show --watch\n\n{TIMES}"
CHANGE = "baremetal link change 16799 --rate 5mbit"
REBIND = "baremetal link rebind 16799"
