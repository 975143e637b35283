"""`baremetal nvme id-ctrl` and `id-ns`: what controllers and namespaces say of themselves."""

from __future__ import annotations

import typer

from apps.arguments import Json, Local
from apps.nvme import tables
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.printing.controller import controller_lines
from apps.nvme.printing.namespace import formats, namespace_lines
from apps.nvme.session import SessionOptions, open_namespace, open_subsystem
from apps.output import print_json, print_lines


def add_to(app: typer.Typer) -> None:
    """Make these commands of a group."""
    app.command()(id_ctrl)
    app.command()(id_ns)


def id_ctrl(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a controller's identity."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        data = connection.host.identity
    if as_json:
        print_json(tables.identity(data, without=("psd", "vendor")))
    else:
        print_lines(controller_lines(data))


def id_ns(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a namespace's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        data, nsid = namespace.core.data, namespace.nsid
    if as_json:
        found = [{"ms": each.ms, "ds": each.lbads, "rp": each.rp} for each in formats(data)]
        print_json({**tables.identity(data, without=("lbaf", "vendor")), "lbafs": found})
    else:
        print_lines(namespace_lines(data, nsid))
