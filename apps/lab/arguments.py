"""What several verbs of `baremetal lab` take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Chosen = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A TOML file, or the name of a ready experiment (lab list).")
]
Result = Annotated[
    str, typer.Argument(metavar="RESULT", help="A result's or a sweep's folder, or an experiment, run if need be.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Another value, as flow.0.controller=cubic. Repeatable."),
]
Grid = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=V1,V2,...", help="What is varied, as topology.buffer=1bdp,2bdp. Repeatable."),
]
Output = Annotated[Path, typer.Option("--output", metavar="FOLDER", help="Where results are kept.")]
Real = Annotated[bool, typer.Option("--real", help="In real time, between processes.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again, whatever is kept.")]
Processes = Annotated[
    int | None, typer.Option(min=1, max=1024, metavar="N", help="How many at a time; as many as there are cores.")
]
Cluster = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs it, as tcp://10.0.0.1:8786.")
]
Picture = Annotated[
    Path | None, typer.Option("--file", metavar="FILE.png", help="The file to draw: .png, .svg or .pdf.")
]
Page = Annotated[Path | None, typer.Option("--file", metavar="FILE.html", help="The file to write.")]
Metric = Annotated[
    list[str] | None, typer.Option(help="Of a sweep, which metric, as delay_p95_ns; may be repeated.")
]
RESULTS = Path("lab-results")
