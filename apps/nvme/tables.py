"""Identities and lists, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from stacks.nvme.host import DiscoveredSubsystem, HostController, HostNamespace
from stacks.nvme.url import NvmeUrl
from wire.header import Header
from wire.nvme.text import padded_text

Json = dict[str, object]


def identity(header: Header, *, without: Sequence[str] = ()) -> Json:
    """The fields of an Identify structure by their names in the specification; text as text, other bytes in hex."""
    fields: Json = {}
    for name, _ in header.FIELDS:
        value = getattr(header, name)
        if name in without:
            continue
        if not isinstance(value, bytes):
            fields[name] = value
        elif name in TEXTS:
            fields[name] = printable(padded_text(value))
        else:
            fields[name] = value.hex()
    return fields


def show_discovered(found: Sequence[DiscoveredSubsystem], console: Console, *, as_json: bool) -> None:
    """Print a discovery log."""
    if as_json:
        keys = ("transport", "family", "kind", "nqn", "host", "port", "url")
        console.print_json(data=[{key: getattr(entry, key) for key in keys} for entry in found])
        return
    table = Table("kind", Column("URL", overflow="fold"))
    for entry in found:
        table.add_row(*(Text(printable(text)) for text in (entry.kind, entry.url)))
    console.print(table)


def printable(text: str) -> str:
    """Text that a peer sent, without what would make a terminal do things."""
    return "".join(character if character.isprintable() else "?" for character in text)


def namespace_json(host: HostController, namespace: HostNamespace, url: NvmeUrl) -> Json:
    """What a list tells about a namespace that is at `url`."""
    identity, data = host.identity, namespace.data
    return {
        "url": str(url),
        "nqn": host.config.nqn,
        "nsid": namespace.nsid,
        "model": printable(padded_text(identity.mn)),
        "serial": printable(padded_text(identity.sn)),
        "firmware": printable(padded_text(identity.fr)),
        "size_bytes": namespace.size_bytes,
        "used_bytes": data.nuse * namespace.block_bytes,
        "block_bytes": namespace.block_bytes,
        "is_read_only": namespace.is_read_only,
    }


TEXTS = ("sn", "mn", "fr", "subnqn")
