"""Runs over several sizes: which sizes, and the table of what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from apps.perf.rdma_peer import Transport
from apps.perf.rdma_run import DATAGRAM_BYTES
from apps.perf.report import Measurement
from apps.sizes import format_duration, format_size, parse_some

ALL_SIZES = tuple(1 << bits for bits in range(1, 24))
"""2 bytes to 8 MiB, as perftest -a."""


class Sizes(tuple[int, ...]):
    """Sizes in bytes, in the order in which they are measured."""

    __slots__ = ()


def parse_sizes(text: str) -> Sizes:
    """Sizes separated by commas; errors as of one size."""
    return Sizes(int(parse_some(word.strip())) for word in text.split(","))


def sizes_of(transport: Transport) -> Sizes:
    """All sizes that a transport carries."""
    limit = DATAGRAM_BYTES if transport is Transport.UD else ALL_SIZES[-1]
    return Sizes(size for size in ALL_SIZES if size <= limit)


def show_sweep(measurements: Sequence[Measurement], console: Console, *, as_json: bool) -> None:
    """Print a line for each size, or a JSON list."""
    if as_json:
        console.print_json(json.dumps([measurement.as_json() for measurement in measurements]))
        return
    table = Table("size", "operations/s", "MB/s", "median", "99 %", title=measurements[0].name.rsplit(" ", 4)[0])
    for column in table.columns:
        column.justify = "right"
    for each in measurements:
        table.add_row(
            format_size(each.block_bytes),
            f"{each.operations_per_second:,.0f}",
            f"{each.megabytes_per_second:,.1f}",
            format_duration(each.latency.percentile(50)),
            format_duration(each.latency.percentile(99)),
        )
    console.print(table)
