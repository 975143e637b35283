"""`baremetal lab`: the arguments of each verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.arguments import Json
from apps.lab.arguments import RESULTS, Chosen, Cluster, Fresh, Grid, Output, Processes, Real, Settings
from apps.lab.obtaining import obtain, open_store
from apps.lab.sweep import run_sweep, show_sweep, sweep_json
from apps.lab.tables import show_record
from apps.output import console, print_json
from stacks.lab.experiment.loading import find_document
from stacks.lab.library import ready_names
from stacks.lab.sweeping.cluster import Cluster as DaskCluster
from stacks.lab.sweeping.jobs import Pool
from stacks.lab.sweeping.processes import Processes as ProcessPool
from stacks.lab.sweeping.processes import cores

app = typer.Typer(
    no_args_is_help=True,
    help="Congestion experiments: flows, links and queues in virtual time.",
    epilog="baremetal lab run first-steps",
)


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
) -> None:
    """Run an experiment, print what came out, and keep it."""
    kept = obtain(experiment, open_store(output), settings or (), real=real, fresh=fresh)
    if as_json:
        print_json({**kept.manifest, "folder": None if kept.folder is None else str(kept.folder)})
        return
    out = console()
    show_record(kept.record, out, title=kept.title)
    if kept.folder is not None:
        out.print(f"kept in {kept.folder}")


@app.command(epilog="baremetal lab sweep first-steps --set topology.buffer=0.5bdp,1bdp,2bdp --set seed=1,2,3")
def sweep(
    experiment: Chosen,
    grid: Grid = None,
    metric: Annotated[list[str] | None, typer.Option(help="A column to show; may be repeated.")] = None,
    processes: Processes = None,
    cluster: Cluster = None,
    output: Output = RESULTS,
    real: Real = False,
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Run an experiment for each combination of some values, on all cores, and keep every result."""
    pool: Pool = DaskCluster(cluster) if cluster else ProcessPool(processes or cores())
    result = run_sweep(experiment, grid or (), open_store(output), pool, real=real, fresh=fresh)
    if as_json:
        print_json(sweep_json(result))
        return
    out = console()
    show_sweep(result, out, metric or ())
    before = f", {result.reused} of them before" if result.reused else ""
    out.print(f"{len(result.rows)} runs{before}; kept in {Path(output, result.name)}")
