"""Tables as Parquet, by pyarrow, which the extra `lab` installs."""

from __future__ import annotations

import io
from array import array
from importlib import import_module
from typing import Any

from stacks.lab.results.record import Column, Table
from stacks.runtime.errors import LocalError


def check_parquet() -> None:
    """LocalError, which says what to install, when there is no pyarrow."""
    _arrow()


def parquet_version() -> dict[str, str]:
    """The version of what writes Parquet here, for manifests; empty without."""
    try:
        return {"pyarrow": str(import_module("pyarrow").__version__)}
    except ImportError:
        return {}


def encode(table: Table) -> bytes:
    """A table as a Parquet file."""
    arrow, parquet = _arrow()
    arrays = {name: _to_arrow(arrow, column) for name, column in table.items()}
    file = io.BytesIO()
    parquet.write_table(arrow.table(arrays), file, compression="zstd")
    return file.getvalue()


def decode(content: bytes) -> Table:
    """A table from a Parquet file; LocalError when it is none."""
    arrow, parquet = _arrow()
    try:
        table = parquet.read_table(io.BytesIO(content))
    except (OSError, ValueError) as error:
        raise LocalError(f"no Parquet file: {str(error).splitlines()[0]}") from error
    return {name: _from_arrow(arrow, table.column(name).combine_chunks()) for name in table.column_names}


def _to_arrow(arrow: Any, column: Column) -> Any:
    if not isinstance(column, array):
        return arrow.array(list(column))
    kind = arrow.int64() if column.typecode == "q" else arrow.float64()
    return arrow.Array.from_buffers(kind, len(column), [None, arrow.py_buffer(column.tobytes())])


def _from_arrow(arrow: Any, column: Any) -> Column:
    if column.type == arrow.int64() or column.type == arrow.float64():
        found = array("q" if column.type == arrow.int64() else "d")
        if len(column):
            width = found.itemsize
            content = memoryview(column.buffers()[1])
            found.frombytes(content[column.offset * width : (column.offset + len(column)) * width])
        return found
    return [str(value) for value in column.to_pylist()]


def _arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise LocalError(
            "results are kept as Parquet, and pyarrow is missing: pip install 'baremetal-emulator[lab]'"
        ) from error
