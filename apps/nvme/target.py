"""`baremetal nvme target`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import SIZES, Capture, Json, Offload, parse_image_block, parse_listen, parse_nqn
from apps.faults import Fault, Faults, device_config
from apps.nvme.checking import check_configuration, loaded
from apps.nvme.serving import TargetOptions, run_target
from apps.nvme.sources import configuration_of, parse_source
from apps.sizes import Bytes, parse_size
from stacks.nvme.aio import DEFAULT_NQN
from stacks.nvme.configuration import Origin
from stacks.nvme.url import NvmeUrl

Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        parser=parse_source,
        metavar="IMAGE",
        help="An image file, mem:SIZE, or overlay:BASE+LAYER, ro:, faulty: (docs/stores.md); repeated for several.",
    ),
]
Listen = Annotated[
    list[NvmeUrl] | None,
    typer.Option(
        parser=parse_listen,
        metavar="URL",
        help="nvme+rdma://, nvme+tcp://, nvme+quic://ADDRESS:PORT/NQN; port 4420 if left out, NQN as --nqn. Repeatable",
        show_default=str(NvmeUrl("rdma", "127.0.0.2")),
    ),
]
Nqn = Annotated[
    str, typer.Option(parser=parse_nqn, metavar="NQN", help="Name of the subsystem.", show_default=DEFAULT_NQN)
]
BlockSize = Annotated[
    int | None,
    typer.Option(parser=parse_image_block, metavar="SIZE", help="Bytes of a block: 512 or 4096.", show_default="4KiB"),
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="All of that, and more, from a file (docs/configuration.md).")
]
Workers = Annotated[
    int,
    typer.Option(
        min=0, max=64, metavar="N", help="Processes that serve the connections of TCP ports; 0: this one alone."
    ),
]
CaptureLimit = Annotated[
    int, typer.Option(parser=parse_size, metavar="SIZE", help="Stop recording at this size; 0: never.")
]


def add_to(app: typer.Typer) -> None:
    """Make this command one of a group."""
    app.command(
        epilog="baremetal nvme target --namespace disk.img --listen nvme+rdma://127.0.0.2\n\n"
        f"baremetal nvme target --config target.toml --check\n\n{SIZES}"
    )(target)


def target(
    namespace: Namespaces = None,
    listen: Listen = None,
    nqn: Nqn = "",
    block_size: BlockSize = None,
    config: Config = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong with --config.")] = False,
    workers: Workers = 0,
    offload: Offload = True,
    capture: Capture = None,
    capture_limit: CaptureLimit = Bytes(0),
    fault: Fault = None,
    faults: Faults = None,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Serve image files or memory until Ctrl-C."""
    check_workers(workers, capture, config, listen or LISTEN)
    check_together(config, namespace=namespace, listen=listen, nqn=nqn, block_size=block_size, check=check)
    if check:
        assert config is not None
        check_configuration(config, as_json=as_json)
        return
    if config is not None:
        configuration, origin = loaded(config)
    else:
        name = the_nqn(nqn, listen or ())
        configuration = configuration_of(namespace or (), listen or LISTEN, nqn=name, block_bytes=block_size or 4096)
        origin = Origin()
    run_target(
        TargetOptions(
            configuration=configuration,
            origin=origin,
            offload=offload,
            capture=capture,
            capture_limit_bytes=capture_limit,
            device=device_config(faults, fault),
            workers=workers,
            ends_with_stdin=until_stdin_ends,
            as_json=as_json,
        )
    )


def check_workers(workers: int, capture: Path | None, config: Path | None, listen: Sequence[NvmeUrl]) -> None:
    """typer.BadParameter where workers see no connections, or nobody sees theirs."""
    if workers and capture is not None:
        raise typer.BadParameter("--capture does not see what workers send and receive; leave --workers or it out")
    if workers and config is None and all(url.transport != "tcp" for url in listen):
        raise typer.BadParameter("--workers is for TCP ports, and there is none; --listen at nvme+tcp://ADDRESS, too")


def check_together(config: Path | None, *, check: bool, **plain: object) -> None:
    """typer.BadParameter for options that do not go together, or too few of them."""
    given = [f"--{name.replace('_', '-')}" for name, value in plain.items() if value]
    if config is not None and given:
        raise typer.BadParameter(f"--config says what {' and '.join(given)} would; leave one of them out")
    if config is None and check:
        raise typer.BadParameter("--check looks at a file; name it with --config")
    if config is None and not plain["namespace"]:
        raise typer.BadParameter("nothing to serve; name an image or mem:64MiB with --namespace, or a --config")


def the_nqn(nqn: str, listen: Sequence[NvmeUrl]) -> str:
    """The subsystem's name, from --nqn or a URL; typer.BadParameter when they say different ones."""
    names = {name for name in (nqn, *(url.nqn for url in listen)) if name}
    if len(names) > 1:
        raise typer.BadParameter(f"--listen and --nqn name {' and '.join(sorted(names))}; leave all but one out")
    return names.pop() if names else DEFAULT_NQN


LISTEN = (NvmeUrl("rdma", "127.0.0.2"),)
