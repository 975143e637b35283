"""`list`: a table of namespaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apps.nvme.printing.values import binary_multiple, decimal_multiple, hexadecimal
from apps.nvme.tables import Json, printable
from apps.output import print_json, print_lines


def show_namespaces(rows: Sequence[Json], *, as_json: bool) -> None:
    """Print what `namespace_json` says of namespaces."""
    if as_json:
        print_json(list(rows))
    else:
        print_lines(listing_lines(rows))


def listing_lines(rows: Sequence[Json]) -> Iterator[str]:
    """The head, and a line for each of some `namespace_json`.

    The first column is as wide as the longest URL; there is no generic device.
    """
    nodes = [printable(str(row["url"])) for row in rows]
    widths = [max([21, *map(len, nodes)]), *WIDTHS]
    yield _line(HEADS, widths)
    yield _line(["-" * width for width in widths], widths)
    for node, row in zip(nodes, rows, strict=True):
        texts = [str(row[key]) for key in ("serial", "model")]
        number = hexadecimal(_number(row, "nsid"))
        yield _line([node, "-", *texts, number, _usage(row), _format(row), str(row["firmware"])], widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))


def _usage(row: Json) -> str:
    used, used_prefix = decimal_multiple(float(_number(row, "used_bytes")))
    size, size_prefix = decimal_multiple(float(_number(row, "size_bytes")))
    return f"{used:6.2f} {used_prefix:>2}B / {size:6.2f} {size_prefix:>2}B"


def _format(row: Json) -> str:
    size, prefix = binary_multiple(_number(row, "block_bytes"))
    # Namespaces with metadata are not served to us: their blocks would not be what the size says.
    return f"{size:3} {prefix:>2}B + {0:2} B"


def _number(row: Json, key: str) -> int:
    value = row[key]
    assert isinstance(value, int)
    return value


HEADS = ("Node", "Generic", "SN", "Model", "Namespace", "Usage", "Format", "FW Rev")
WIDTHS = (21, 20, 40, 10, 26, 16, 8)
