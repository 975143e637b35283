"""`baremetal bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.bench.rows import probes, rows
from apps.bench.session import Session, machine, two_cpus
from apps.errors import CommandError
from apps.output import console


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; the median counts.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Only this row and its yardstick; may be repeated.")] = None,
    output: Annotated[Path, typer.Option(help="The file that the rows are written to.")] = Path("bench.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON, too.")] = False,
) -> None:
    """Measure throughput and latency beside their yardsticks; under 15 minutes, on a machine that does nothing else."""
    wanted = [row for row in rows() if only is None or row.name in only]
    names = [row.name for row in rows()]
    if unknown := sorted(set(only or []) - set(names)):
        raise CommandError(f"there is no row {', '.join(unknown)}", f"there are {', '.join(names)}", status=2)
    if not output.parent.is_dir():
        raise CommandError(f"{output.parent} is no directory", "choose another --output", status=2)
    needed = {row.name for row in wanted} | {row.yardstick for row in wanted}
    session = Session([probe for probe in probes() if needed & set(probe.names)], announce)
    session.run(rounds, two_cpus())
    results = [session.result(row) for row in wanted]
    document = {"machine": machine(), "rounds": rounds, "rows": results}
    output.write_text(json.dumps(document, indent=2) + "\n")
    out = console()
    if as_json:
        out.print_json(data=document)
        return
    out.print(table(results))
    out.print(f"medians of {rounds} rounds on loopback, one processor a side; written to {output}")
    for result in results:
        if "reason" in result:
            out.print(f"{result['name']}: {result['reason']}", style="red", markup=False, soft_wrap=True)


def table(results: list[dict[str, object]]) -> Table:
    """The rows for people."""
    table = Table("row", "value", "unit", "yardstick", "its value", "ratio", "min", "max")
    for result in results:
        keys = ("name", "value", "unit", "yardstick", "yardstick_value", "ratio", "min", "max")
        table.add_row(*("-" if result[key] is None else str(result[key]) for key in keys))
    return table


def announce(name: str) -> None:
    """Say what is measured now, on standard error."""
    typer.echo(f"measuring {name}", err=True)
