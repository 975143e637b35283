"""`baremetal lab`: the arguments of each verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.arguments import Json
from apps.errors import CommandError
from apps.lab import real as real_time
from apps.lab.arguments import (
    RESULTS,
    Chosen,
    Cluster,
    Fresh,
    Grid,
    Metric,
    Output,
    Page,
    Picture,
    Processes,
    Real,
    Result,
    Settings,
)
from apps.lab.comparing import compare_json, show_comparison
from apps.lab.drawing import draw, obtain_any, page, short_name
from apps.lab.obtaining import check_result, is_swept, obtain, open_store
from apps.lab.sweep import run_sweep, show_sweep, sweep_json
from apps.lab.tables import show_record
from apps.link.report import INVALID
from apps.output import console, print_json
from apps.pictures.canvas import PICTURES, check_canvas, check_file
from stacks.lab.experiment.loading import find_document
from stacks.lab.library import ready_names
from stacks.lab.results.files import write_whole
from stacks.lab.sweeping.cluster import Cluster as DaskCluster
from stacks.lab.sweeping.jobs import Pool
from stacks.lab.sweeping.processes import Processes as ProcessPool
from stacks.lab.sweeping.processes import cores

app = typer.Typer(
    no_args_is_help=True,
    help="Congestion experiments: flows, links and queues in virtual time.",
    epilog="baremetal lab run first-steps",
)
app.command(epilog=real_time.SEND)(real_time.send)
app.command(epilog=real_time.SERVE)(real_time.serve)


@app.command(name="list", epilog="baremetal lab list")
def list_ready(as_json: Json = False) -> None:
    """List the ready experiments."""
    titles = {name: str(find_document(name).values.get("title", "")) for name in ready_names()}
    if as_json:
        print_json(titles)
        return
    table = Table("experiment", "what it shows")
    for name, title in titles.items():
        table.add_row(name, title)
    console().print(table)


@app.command(epilog="baremetal lab run first-steps --set topology.buffer=2bdp")
def run(
    experiment: Chosen,
    settings: Settings = None,
    output: Output = RESULTS,
    real: Real = False,
    fresh: Fresh = False,
    as_json: Json = False,
) -> int:
    """Run an experiment, print what came out, and keep it."""
    kept = obtain(experiment, open_store(output), settings or (), real=real, fresh=fresh)
    if as_json:
        print_json({**kept.manifest, "folder": None if kept.folder is None else str(kept.folder)})
        return 0 if kept.record.is_valid else INVALID
    out = console()
    show_record(kept.record, out, title=kept.title, warmup_ns=kept.warmup_ns)
    if kept.folder is not None:
        out.print(f"kept in {kept.folder}")
    if is_swept(experiment):
        out.print(f"this is the experiment as it stands; its variants: baremetal lab sweep {experiment}")
    return 0 if kept.record.is_valid else INVALID


@app.command(epilog="baremetal lab sweep first-steps --set topology.buffer=0.5bdp,1bdp,2bdp --set seed=1,2,3")
def sweep(
    experiment: Chosen,
    grid: Grid = None,
    metric: Metric = None,
    processes: Processes = None,
    cluster: Cluster = None,
    output: Output = RESULTS,
    real: Real = False,
    fresh: Fresh = False,
    as_json: Json = False,
) -> int:
    """Run an experiment for each combination of some values, on all cores, and keep every result."""
    pool = _pool(processes, cluster, real=real)
    result = run_sweep(experiment, grid or (), open_store(output), pool, real=real, fresh=fresh)
    late = [row for row in result.rows if not row.is_valid]
    if as_json:
        print_json(sweep_json(result))
        return INVALID if late else 0
    out = console()
    show_sweep(result, out, metric or ())
    before = f", {result.reused} of them before" if result.reused else ""
    out.print(f"{len(result.rows)} runs{before}; kept in {Path(output, result.name)}")
    if late:
        out.print(f"NOT VALID: {len(late)} of them; the same command runs those again", style="bold red")
    return INVALID if late else 0


@app.command(epilog="baremetal lab plot first-steps --file picture.png")
def plot(
    result: Result,
    settings: Settings = None,
    file: Picture = None,
    metric: Metric = None,
    distribution: Annotated[bool, typer.Option("--distribution", help="Cumulative distributions instead.")] = False,
    output: Output = RESULTS,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Draw a result as a PNG, SVG or PDF file; of a sweep, one metric or several over what is varied."""
    check_canvas()
    check_result(result)
    path = file or Path(f"{short_name(result)}.png")
    check_file(path, PICTURES)
    found = obtain_any(result, open_store(output), settings or (), ProcessPool(processes or cores()))
    write_whole(path, draw(found, metric or (), path.suffix, as_distribution=distribution))
    _tell_file("drawn in", path, as_json=as_json)


@app.command(epilog="baremetal lab report first-steps --file report.html")
def report(
    result: Result,
    settings: Settings = None,
    file: Page = None,
    metric: Metric = None,
    output: Output = RESULTS,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Write a result as one HTML page, with its pictures and tables in it."""
    check_canvas()
    check_result(result)
    path = file or Path(f"{short_name(result)}.html")
    check_file(path, (".html",))
    found = obtain_any(result, open_store(output), settings or (), ProcessPool(processes or cores()))
    write_whole(path, page(found, metric or ()).encode())
    _tell_file("written to", path, as_json=as_json)


@app.command(epilog="baremetal lab compare first-steps first-steps --set-second topology.buffer=2bdp")
def compare(
    first: Result,
    second: Result,
    settings: Settings = None,
    set_first: Annotated[list[str] | None, typer.Option(metavar="PATH=VALUE", help="Of the first only.")] = None,
    set_second: Annotated[list[str] | None, typer.Option(metavar="PATH=VALUE", help="Of the second only.")] = None,
    output: Output = RESULTS,
    as_json: Json = False,
) -> None:
    """Show how two results differ, and what in their experiments does."""
    store, both = open_store(output), settings or []
    one = obtain(first, store, [*both, *(set_first or ())])
    other = obtain(second, store, [*both, *(set_second or ())])
    if as_json:
        print_json(compare_json(one, other))
        return
    names = ("first", "second") if first == second else (first, second)
    show_comparison(one, other, names, console())


def _pool(processes: int | None, cluster: str | None, *, real: bool) -> Pool:
    if not real:
        return DaskCluster(cluster) if cluster else ProcessPool(processes or cores())
    if cluster or (processes or 1) > 1:
        raise CommandError("runs in real time come one after the other, here", "leave --processes and --cluster out")
    return ProcessPool(1)


def _tell_file(what: str, path: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path)})
    else:
        console().print(f"{what} {path}")
