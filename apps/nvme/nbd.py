"""The command line of `baremetal nvme nbd`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

import typer

from apps.arguments import (
    Capture,
    Digests,
    FastIoFailTmo,
    Json,
    Local,
    Offload,
    Paths,
    Policy,
    ReconnectDelay,
    reconnect_policy,
)
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.nbd_serving import NbdOptions, run_nbd
from apps.nvme.session import SessionOptions
from stacks.nvme.host import PathPolicy, ReconnectPolicy
from stacks.nvme.nbd import NbdUri, parse_uri
from stacks.runtime import LocalError
from wire.nbd import STRING_BYTES_MAX


def parse_listen(text: str | NbdUri) -> NbdUri:
    """An NBD URI to serve at."""
    try:
        uri = text if isinstance(text, NbdUri) else parse_uri(text)
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error
    if uri.host and ip_address(uri.host).is_multicast:
        raise typer.BadParameter(f"{uri.host} is the address of a group; name one of this machine's, such as 127.0.0.1")
    return uri


def parse_export_name(text: str) -> str:
    """The name of an export; empty where it is left out."""
    if "\0" in text or len(text.encode()) > STRING_BYTES_MAX:
        raise typer.BadParameter(f"the name of an export has up to {STRING_BYTES_MAX} bytes, none of them 0")
    return text


LISTEN = [NbdUri()]


def nbd(
    url: Url,
    listen: Annotated[
        list[NbdUri],
        typer.Option(
            parser=parse_listen,
            metavar="URI",
            help="nbd://ADDRESS:PORT/NAME or nbd+unix:///NAME?socket=PATH; port 10809 if left out. Repeatable.",
        ),
    ] = LISTEN,
    export: Annotated[
        str, typer.Option(parser=parse_export_name, metavar="NAME", help="Name of the export, as in the URI.")
    ] = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse every change.")] = False,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    digests: Digests = 0,
    queues: Annotated[int, typer.Option(min=1, max=64, help="I/O queues to the target.")] = 1,
    offload: Offload = True,
    capture: Capture = None,
    path: Paths = None,
    policy: Policy = PathPolicy.ROUND_ROBIN,
    reconnect_delay: ReconnectDelay = 10,
    ctrl_loss_tmo: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a lost target is waited for; -1: for ever, 0: not at all."),
    ] = ReconnectPolicy().ctrl_loss_tmo,
    fast_io_fail_tmo: FastIoFailTmo = -1,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Serve a namespace over NBD, for qemu, nbdcopy, fio and virtual machines, until Ctrl-C."""
    names = {name for name in (export, *(uri.name for uri in listen)) if name}
    if len(names) > 1:
        raise typer.BadParameter(f"--listen and --export name {' and '.join(sorted(names))}; leave all but one out")
    paths = tuple(path or ())
    session = SessionOptions(
        local=local, host_nqn=host_nqn, offload=offload, capture=capture, is_quiet=as_json, digests=digests,
        queues=queues, paths=paths, policy=policy,
        reconnect=reconnect_policy(reconnect_delay, ctrl_loss_tmo, fast_io_fail_tmo, paths=1 + len(paths)),
    )  # fmt: skip
    run_nbd(
        NbdOptions(
            url=url,
            listen=listen,
            name=names.pop() if names else "",
            is_read_only=read_only,
            session=session,
            ends_with_stdin=until_stdin_ends,
            as_json=as_json,
        )
    )


def add_to(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog="baremetal nvme nbd nvme+tcp://127.0.0.1 --listen 'nbd+unix:///disk?socket=/tmp/disk.sock'")(nbd)
