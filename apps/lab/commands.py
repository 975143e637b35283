"""`baremetal lab`: the arguments of each verb."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import Json
from apps.lab.tables import show_record
from apps.output import console, print_json
from stacks.lab.experiment.loading import find_document
from stacks.lab.experiment.reading import read_experiment
from stacks.lab.runners.catalogue import runner_for

app = typer.Typer(
    no_args_is_help=True,
    help="Congestion experiments: flows, links and queues in virtual time.",
    epilog="baremetal lab run first-steps",
)

Chosen = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A TOML file, or the name of a ready experiment.")]
Real = Annotated[bool, typer.Option("--real", help="In real time, between processes.")]


@app.command(epilog="baremetal lab run first-steps")
def run(experiment: Chosen, real: Real = False, as_json: Json = False) -> None:
    """Run an experiment and print what came out."""
    document = find_document(experiment)
    chosen = read_experiment(document.values, document.origin, folder=document.folder)
    record = runner_for(chosen, document.origin, is_real=real).run(chosen, lambda _: None)
    if as_json:
        print_json({"metrics": dict(record.metrics), "digest": record.digest()})
        return
    show_record(record, console(), title=chosen.title or chosen.name)
