"""Links and their queues from an experiment's document; what stands on them has the words of `transports.link`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from stacks.lab.experiment import units
from stacks.lab.experiment.values import Buffer, LinkConfig
from stacks.lab.network.queues import PLAIN, check_queue
from stacks.runtime.errors import LocalError
from stacks.runtime.toml_table import Table
from transports.errors import TransportError
from transports.link.elements import SLOTS, read_element
from transports.link.linkspec import RATES
from transports.link.parameters import Spec, read_spec
from transports.timeline import Timeline


def read_link(table: Table, folder: Path, *, delay_ns: int | None, needs_rate: bool = True) -> LinkConfig:
    """One direction. delay_ns: what its wire has where it says nothing, None when it has to."""
    if delay_ns is None:
        delay_ns = table.need("delay", units.duration, 0, example='"20ms"')
    else:
        delay_ns = table.read("delay", units.duration, delay_ns)
    rate: object = None
    rate_bps: int | None = None
    if needs_rate or table.has("rate"):
        unknown: tuple[object, int] = (1, 1)
        rate, rate_bps = table.need("rate", _rate(folder), unknown, example='"50Mbit/s"')
    elif table.has("buffer") or table.has("queue"):
        table.note("only a link with a rate has a queue; give it a rate")
    return LinkConfig(
        delay_ns=delay_ns,
        rate_bps=rate_bps,
        rate=rate,
        queue=table.read("queue", check_queue, PLAIN),
        buffer=table.read("buffer", units.buffer, Buffer("bdp", 1000)),
        elements=_elements(table, folder),
        place=table.place,
    )


def _elements(table: Table, folder: Path) -> tuple[tuple[str, object], ...]:
    found = []
    for name in SLOTS:
        value = table.read(name, _element(name, folder), None)
        if value is not None:
            found.append((name, value))
    return tuple(found)


def _element(name: str, folder: Path) -> Callable[[object], object]:
    def read(value: object) -> object:
        placed = place_files(value, folder)
        try:
            read_element(name, placed)
        except TransportError as error:
            raise LocalError(str(error).removeprefix(f"{name}: ")) from error
        return placed

    return read


def _rate(folder: Path) -> Callable[[object], tuple[object, int]]:
    def read(value: object) -> tuple[object, int]:
        if not isinstance(value, Mapping):
            rate_bps = units.rate(value)
            return rate_bps, rate_bps
        placed = place_files(value, folder)
        try:
            return placed, _nominal_bps(read_spec("rate", placed, RATES, short="constant"))
        except TransportError as error:
            raise LocalError(str(error).removeprefix("rate: ")) from error

    return read


def _nominal_bps(spec: Spec) -> int:
    values = dict(spec.values)
    if "changes" in values:
        return next((rate for _, rate in values["changes"] if rate), 1)
    if "rate" in values:
        return int(values["rate"])
    return int(getattr(spec.build(Timeline(), random.Random(0)), "rate_bps", units.RATE_MAX_BPS))


def place_files(value: object, folder: Path) -> object:
    """The same table, in which the files that it names have whole paths."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: str(Path(folder, each).expanduser().resolve()) if key == "file" and isinstance(each, str) else each
        for key, each in value.items()
    }
