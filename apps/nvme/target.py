"""`baremetal nvme target`."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import SIZES, Capture, Json, Offload, parse_image_block, parse_listen, parse_nqn
from apps.faults import Fault, Faults, device_config
from apps.nvme.serving import TargetOptions, run_target
from apps.nvme.sources import parse_source
from apps.sizes import Bytes, parse_size
from stacks.nvme.aio import DEFAULT_NQN
from stacks.nvme.url import NvmeUrl

LISTEN = [NvmeUrl("rdma", "127.0.0.2")]


def add_to(app: typer.Typer) -> None:
    """Make this command one of a group."""
    app.command(epilog=f"baremetal nvme target --namespace disk.img --listen nvme+rdma://127.0.0.2\n\n{SIZES}")(target)


def target(
    namespace: Annotated[
        list[str],
        typer.Option(
            parser=parse_source,
            metavar="IMAGE",
            help="An image file, mem:SIZE, or overlay:BASE+LAYER, ro:, faulty: (docs/stores.md); repeated for several.",
        ),
    ],
    listen: Annotated[
        list[NvmeUrl],
        typer.Option(
            parser=parse_listen,
            metavar="URL",
            help="nvme+rdma:// or nvme+tcp://ADDRESS:PORT/NQN; port 4420 if left out, NQN as --nqn. Repeatable.",
        ),
    ] = LISTEN,
    nqn: Annotated[
        str, typer.Option(parser=parse_nqn, metavar="NQN", help="Name of the subsystem.", show_default=DEFAULT_NQN)
    ] = "",
    block_size: Annotated[
        int, typer.Option(parser=parse_image_block, metavar="SIZE", help="Bytes of a block: 512 or 4096.")
    ] = 4096,
    offload: Offload = True,
    capture: Capture = None,
    capture_limit: Annotated[
        int, typer.Option(parser=parse_size, metavar="SIZE", help="Stop recording at this size; 0: never.")
    ] = Bytes(0),
    fault: Fault = None,
    faults: Faults = None,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Serve image files or memory until Ctrl-C."""
    names = {name for name in (nqn, *(url.nqn for url in listen)) if name}
    if len(names) > 1:
        raise typer.BadParameter(f"--listen and --nqn name {' and '.join(sorted(names))}; leave all but one out")
    run_target(
        TargetOptions(
            namespaces=namespace,
            listen=listen,
            nqn=names.pop() if names else DEFAULT_NQN,
            block_bytes=block_size,
            offload=offload,
            capture=capture,
            capture_limit_bytes=capture_limit,
            device=device_config(faults, fault),
            ends_with_stdin=until_stdin_ends,
            as_json=as_json,
        )
    )
