"""`baremetal nvme id-ctrl` and `id-ns`: what controllers and namespaces say of themselves."""

from __future__ import annotations

import typer

from apps.arguments import Json, Local
from apps.nvme import tables
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.session import SessionOptions, open_namespace
from apps.output import console


def add_to(app: typer.Typer) -> None:
    """Make these commands of a group."""
    app.command()(id_ctrl)
    app.command()(id_ns)


def id_ctrl(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a controller's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        fields = tables.identity(namespace.connection.host.identity, without=("psd", "vendor"))
    tables.show_identity(fields, console(), as_json=as_json)


def id_ns(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a namespace's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        fields = tables.identity(namespace.core.data, without=("lbaf", "vendor"))
    tables.show_identity(fields, console(), as_json=as_json)
