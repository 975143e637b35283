"""Structures as lines of a name and a value; a table says which fields there are, and how each is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from apps.nvme.printing.values import hexadecimal, whole
from apps.nvme.tables import printable
from wire.header import Header

Write = Callable[[Header, str], str]


def number(header: Header, name: str) -> str:
    """A field in decimal."""
    return str(getattr(header, name))


def bits(header: Header, name: str) -> str:
    """A field in hexadecimal."""
    return hexadecimal(getattr(header, name))


def wide(header: Header, name: str) -> str:
    """A field of 128 bits in decimal."""
    return str(whole(getattr(header, name), getattr(header, f"{name}_high")))


def text(header: Header, name: str) -> str:
    """A field of ASCII, with the spaces that fill it up."""
    content: bytes = getattr(header, name)
    return printable(content.partition(b"\0")[0].decode("ascii", "replace"))


def octets(header: Header, name: str) -> str:
    """Bytes in their order."""
    content: bytes = getattr(header, name)
    return content.hex()


def lines(header: Header, fields: Sequence[tuple[str, Write]], *, width: int) -> Iterator[str]:
    """A line for each field; width: of the names."""
    for name, write in fields:
        yield f"{name:<{width}}: {write(header, name)}"


def table(write: Write, names: str) -> list[tuple[str, Write]]:
    """Fields that are written the same way, by their names with spaces between."""
    return [(name, write) for name in names.split()]
