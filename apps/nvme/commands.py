"""The command line of `baremetal nvme`."""

from __future__ import annotations

import typer

from apps.nvme import finding, identities, listing, moving, nbd, pages, reservations, target
from apps.nvme.ctl import commands as ctl

app = typer.Typer(
    no_args_is_help=True,
    help="Serve namespaces over RDMA and TCP, and use those that others serve.",
    epilog="baremetal nvme target --namespace mem:64MiB --listen nvme+rdma://127.0.0.2\n\n"
    "baremetal nvme list nvme+rdma://127.0.0.2      (in another terminal)",
)
for group in (target, finding, listing, identities, pages, moving, nbd, reservations, ctl):
    group.add_to(app)
