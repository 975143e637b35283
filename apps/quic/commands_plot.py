"""`baremetal quic plot`: its arguments, and what it writes and prints."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import Json
from apps.errors import CommandError
from apps.output import console, print_json
from apps.pictures.canvas import check_canvas, to_file
from apps.quic.plot.collecting import Collector, choose
from apps.quic.plot.pictures.view import View, view_of
from apps.quic.plot.reading import read_trace
from apps.quic.plot.report import MAKERS, trace_page
from apps.quic.plot.summary import shown, summary
from apps.sizes import parse_duration
from stacks.lab.results.files import write_whole


class Picture(StrEnum):
    """What can be drawn."""

    SEQUENCE = "sequence"
    CONGESTION = "congestion"
    RTT = "rtt"
    MULTIPLEXING = "multiplexing"


Moment = typer.Option(parser=parse_duration, metavar="TIME")


def plot(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="A qlog file: .sqlog or .qlog, also gzipped.")],
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where pictures and page go.")] = Path(),
    only: Annotated[list[Picture] | None, typer.Option(help="Draw this picture, not all. Repeatable.")] = None,
    start: Annotated[int | None, typer.Option("--from", parser=parse_duration, metavar="TIME")] = None,
    until: Annotated[int | None, typer.Option("--until", parser=parse_duration, metavar="TIME")] = None,
    number: Annotated[
        int | None, typer.Option("--trace", min=1, metavar="N", help="Which, of several in one file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw what a connection did: PNG pictures of a qlog trace, and an HTML page with all of them.

    Reads our own logs, and those of aioquic, ngtcp2 and others (qlog 0.3 and later).
    """
    check_canvas("plot")
    view, notes = load(trace, number=number, start_ns=start, until_ns=until)
    makers = {name: make for name, make in MAKERS.items() if only is None or Picture(name) in only}
    output.mkdir(parents=True, exist_ok=True)
    files, missing = [], []
    for name, make in makers.items():
        figure = make(view)
        if figure is None:
            missing.append(name)
            continue
        files.append(output / f"{view.name}-{name}.png")
        write_whole(files[-1], to_file(figure, ".png"))
    files.append(output / f"{view.name}.html")
    notes += [f"the log has nothing for the picture {name}" for name in missing]
    write_whole(files[-1], trace_page(view, notes, makers).encode())
    _tell(view, notes, files, as_json=as_json)


def load(path: Path, *, number: int | None, start_ns: int | None, until_ns: int | None) -> tuple[View, list[str]]:
    """The trace to draw and the part of it, and notes on the file; CommandError where there is nothing to draw."""
    collector = Collector()
    file = read_trace(path, collector.handle)
    traces = collector.finish()
    if file.notes and not any(each.packets for each in traces.values()):
        raise CommandError(f"{path} has no packet that can be read", file.notes[0], status=2)
    chosen = choose(traces, number)
    several = sum(1 for each in traces.values() if each.packets)
    if several > 1 and number is None:
        file.notes.append(f"the first of {several} traces in the file; --trace chooses another")
    name = path.name.removesuffix(".gz").removesuffix(".sqlog").removesuffix(".qlog")
    start_s, end_s = (start_ns or 0) / 1e9, None if until_ns is None else until_ns / 1e9
    if start_s >= (chosen.end_s if end_s is None else min(end_s, chosen.end_s)) and start_s:
        raise CommandError(
            f"the trace has nothing after {start_s:g} s in that part", "choose --from and --until", status=2
        )
    return view_of(chosen, name, start_s=start_s, end_s=end_s), file.notes


def _tell(view: View, notes: list[str], files: list[Path], *, as_json: bool) -> None:
    values = summary(view)
    if as_json:
        print_json({**values, "notes": notes, "files": [str(path) for path in files]})
        return
    out = console()
    out.print(", ".join(f"{label} {text}" for label, text in shown(values)), highlight=False)
    for note in notes:
        out.print(f"note: {note}", highlight=False)
    for path in files:
        out.print(f"drawn in {path}", highlight=False)
