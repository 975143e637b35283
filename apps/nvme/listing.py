"""`baremetal nvme list`: which namespaces there are."""

from __future__ import annotations

from dataclasses import replace

import typer

from apps.arguments import Json, Local
from apps.nvme import tables
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.printing.listing import show_namespaces
from apps.nvme.session import SessionOptions, open_connection, subsystems, with_subsystem


def add_to(app: typer.Typer) -> None:
    """Make these commands of a group."""
    app.command("list")(list_namespaces)


def list_namespaces(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show the namespaces of a subsystem, or of all that a target has."""
    options = SessionOptions(local=local, host_nqn=host_nqn)
    rows = []
    # A namespace is of one subsystem, so with a number there must be one.
    place = with_subsystem(url, options) if url.nsid else url
    for nqn in [place.nqn] if place.nqn else subsystems(place, options):
        with open_connection(replace(place, nqn=nqn), options) as connection:
            host = connection.host
            found = (
                [host.namespace(place.nsid)] if place.nsid else [each for _, each in sorted(host.namespaces.items())]
            )
            rows += [tables.namespace_json(host, each, replace(place, nqn=nqn, nsid=each.nsid)) for each in found]
    show_namespaces(rows, as_json=as_json)
