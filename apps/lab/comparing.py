"""Two results side by side."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from apps.lab.figures import show_value
from stacks.lab.results.keeping import Kept

Difference = tuple[str, object, object]
"""What differs, by its path, in the first and the second."""


def compare_json(first: Kept, second: Kept) -> dict[str, object]:
    """For programs."""
    return {
        "differences": [{"path": path, "first": a, "second": b} for path, a, b in differences(first, second)],
        "metrics": [
            {"metric": name, "first": a, "second": b, "change": change(a, b)} for name, a, b in metrics(first, second)
        ],
        "identical": first.manifest.get("digest") == second.manifest.get("digest"),
    }


def show_comparison(first: Kept, second: Kept, names: tuple[str, str], out: Console) -> None:
    """What the experiments say differently, and what came of it."""
    found = list(differences(first, second))
    if found:
        table = Table("differs", *names, title="experiments", title_justify="left")
        for path, a, b in found[:DIFFERENCES_MAX]:
            table.add_row(path, _shown(a), _shown(b))
        out.print(table)
        if len(found) > DIFFERENCES_MAX:
            out.print(f"and {len(found) - DIFFERENCES_MAX} differences more")
    if first.manifest.get("digest") == second.manifest.get("digest"):
        out.print("the results are identical")
        return
    table = Table("metric", *names, "change", title="results", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, a, b in metrics(first, second):
        label, shown = show_value(name, a)
        part = change(a, b)
        table.add_row(label, shown, show_value(name, b)[1], "-" if part is None else f"{100 * part:+.1f} %")
    out.print(table)


def metrics(first: Kept, second: Kept) -> Iterator[Difference]:
    """Every metric of either."""
    one, other = first.record.metrics, second.record.metrics
    for name in dict.fromkeys((*one, *other)):
        yield name, one.get(name), other.get(name)


def change(first: object, second: object) -> float | None:
    """From the first to the second, as a part of the first; None where there is none to tell."""
    if not isinstance(first, int | float) or not isinstance(second, int | float) or not first:
        return None
    return (second - first) / first


def differences(first: Kept, second: Kept) -> Iterator[Difference]:
    """What the experiments, and the programs that ran them, say differently."""
    for key in ("experiment", "versions", "sources_hash"):
        yield from _differences(first.manifest.get(key), second.manifest.get(key), key)


def _differences(first: object, second: object, path: str) -> Iterator[Difference]:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys((*first, *second)):
            yield from _differences(first.get(key), second.get(key), f"{path}.{key}".removeprefix("experiment."))
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            yield from _differences(a, b, f"{path}.{index}")
    elif first != second:
        yield path, first, second


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


DIFFERENCES_MAX = 30
WIDTH = 40
