"""The command line of `baremetal rdma`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live

from apps.arguments import TIMES, Json
from apps.faults import parse_fault, show_report
from apps.output import console
from apps.rdma.looking import Look, chosen, command, looks, only
from apps.rdma.tables import Shown, counter_tables, device_tables, qp_tables
from apps.sizes import Nanoseconds, parse_duration
from stacks.rdma import FaultRule
from stacks.rdma.faults.report import report_from_json
from stacks.rdma.faults.text import rule_text
from transports.control import Json as ControlJson

app = typer.Typer(
    no_args_is_help=True,
    help="Look at the RDMA devices of running processes, and make things go wrong in them.",
    epilog="baremetal rdma qps --watch",
)

Process = Annotated[
    str, typer.Argument(metavar="PROCESS", help="Only this one, by number or role (nvme-target); all when left out.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")]
Interval = Annotated[int, typer.Option(parser=parse_duration, metavar="TIME", help="How often --watch looks.")]
SECOND = Nanoseconds(1_000_000_000)


@app.command(epilog=f"baremetal rdma devices\n\n{TIMES}")
def devices(process: Process = "", watch: Watch = False, interval: Interval = SECOND, as_json: Json = False) -> None:
    """Show devices: address, GID, state, MTU, how many queue pairs."""
    show(looks(process, interval, is_endless=watch, has_rates=False), device_tables, watch=watch, as_json=as_json)


@app.command(epilog=f"baremetal rdma qps --watch --interval 500ms\n\n{TIMES}")
def qps(process: Process = "", watch: Watch = False, interval: Interval = SECOND, as_json: Json = False) -> None:
    """Show queue pairs: type, state, peer, PSNs, what is in flight, retries, how fast they go."""
    show(looks(process, interval, is_endless=watch, has_rates=True), qp_tables, watch=watch, as_json=as_json)


@app.command(epilog=f"baremetal rdma counters --all\n\n{TIMES}")
def counters(
    process: Process = "",
    every: Annotated[bool, typer.Option("--all", help="Show counters that are zero, too.")] = False,
    watch: Watch = False,
    interval: Interval = SECOND,
    as_json: Json = False,
) -> None:
    """Show the counters of devices, under the names of Linux rxe."""

    def tables(found: Sequence[Look]) -> Iterable[Shown]:
        return counter_tables(found, every=every)

    show(looks(process, interval, is_endless=watch, has_rates=False), tables, watch=watch, as_json=as_json)


@app.command(epilog="baremetal rdma faults nvme-target --add drop:opcode=ack,nth=1..3")
def faults(
    process: Process = "",
    add: Annotated[
        list[FaultRule] | None,
        typer.Option(parser=parse_fault, metavar="RULE", help="Have one more rule act; repeatable."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all rules and hits first.")] = False,
    device: Annotated[str, typer.Option(metavar="ADDRESS", help="Only this device of the process.")] = "",
    as_json: Json = False,
) -> None:
    """Show what fault rules did in running processes, add rules, or forget them."""
    processes = [only(process)] if add or clear else chosen(process)
    arguments: dict[str, ControlJson] = {
        "add": [rule_text(rule) for rule in add or ()],
        "clear": clear,
        "device": device or None,
    }
    found = [(each, command(each, "faults", arguments)) for each in processes]
    out = console()
    if as_json:
        out.print_json(data=[{"role": each.role, "pid": each.pid, "faults": reports} for each, reports in found])
        return
    for each, reports in found:
        assert isinstance(reports, dict)
        for address, report in reports.items():
            assert isinstance(report, dict)
            title = f"{each.role} {each.pid}, device {address}"
            if not report["rules"]:
                out.print(f"{title}: no fault rules", highlight=False)
            else:
                show_report(report_from_json(report), out, title=title)


def show(
    rounds: Iterable[list[Look]], tables: Callable[[Sequence[Look]], Iterable[Shown]], *, watch: bool, as_json: bool
) -> None:
    """Print what each round found: as JSON, a line each round with --watch, or as tables that a terminal redraws."""
    out = console()
    if as_json:
        for found in rounds:
            document = [look.now for look in found]
            if watch:
                out.print(json.dumps(document), soft_wrap=True, highlight=False, markup=False)
            else:
                out.print_json(data=document)
        return
    if watch and out.is_terminal:
        with Live(console=out, auto_refresh=False, vertical_overflow="visible") as live:
            for found in rounds:
                live.update(Group(*tables(found)), refresh=True)
        return
    for found in rounds:
        for table in tables(found):
            out.print(table)
