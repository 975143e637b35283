"""The command `baremetal`: one sub-command a group."""

from __future__ import annotations

from typing import Annotated

import typer

from apps import __version__
from apps.arguments import SIZES
from apps.bench.commands import bench
from apps.check.commands import check
from apps.demo import demo
from apps.lab import commands as lab
from apps.link import commands as link
from apps.nvme import commands as nvme
from apps.perf import commands as perf
from apps.quic import commands as quic
from apps.rdma import commands as rdma

app = typer.Typer(
    name="baremetal",
    help="RDMA and NVMe over Fabrics between processes: real RoCEv2 packets over UDP, no hardware and no root.",
    epilog="Start with: baremetal demo\n\nRead on: docs/getting-started.md, docs/troubleshooting.md",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any group."""


app.add_typer(nvme.app, name="nvme")
app.add_typer(rdma.app, name="rdma")
app.add_typer(quic.app, name="quic")
app.add_typer(perf.app, name="perf")
app.add_typer(lab.app, name="lab")
app.add_typer(link.app, name="link")
app.command(epilog=f"baremetal demo --size 16MiB --directory /tmp/demo\n\n{SIZES}")(demo)
app.command(epilog="baremetal check capture.pcapng")(check)
app.command(epilog="baremetal bench --only rdma_write_1MiB --rounds 1")(bench)


def print_version(wanted: bool) -> None:
    """Print the version and end, when asked to."""
    if wanted:
        typer.echo(f"baremetal {__version__}")
        raise typer.Exit
