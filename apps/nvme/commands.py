"""The command line of `baremetal nvme`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as ProgressBar

from apps.arguments import (
    SIZES,
    Capture,
    CtrlLossTmo,
    Digests,
    FastIoFailTmo,
    Json,
    Local,
    Offload,
    Paths,
    Policy,
    ReconnectDelay,
    parse_image_block,
    parse_listen,
    parse_nqn,
    parse_url,
    reconnect_policy,
)
from apps.errors import CommandError, explain
from apps.faults import Fault, Faults, device_config, report_json
from apps.nvme import tables
from apps.nvme.destinations import destination, sha256_of
from apps.nvme.files import Difference, Extent, FileMover, Progress
from apps.nvme.serving import TargetOptions, run_target
from apps.nvme.session import (
    SessionOptions,
    discovered,
    open_connection,
    open_namespace,
    subsystems,
    with_subsystem,
)
from apps.nvme.sources import parse_source
from apps.output import console
from apps.sizes import Bytes, format_amount, format_rate, parse_size, parse_some
from stacks.nvme.aio import DEFAULT_NQN
from stacks.nvme.host import PathPolicy
from stacks.nvme.url import NvmeUrl
from stacks.runtime import StackError
from transports.control import Json as ControlJson
from transports.errors import TransportError

app = typer.Typer(
    no_args_is_help=True,
    help="Serve namespaces over RDMA and TCP, and use those that others serve.",
    epilog="baremetal nvme target --namespace mem:64MiB --listen nvme+rdma://127.0.0.2\n\n"
    "baremetal nvme list nvme+rdma://127.0.0.2      (in another terminal)",
)

Url = Annotated[
    NvmeUrl,
    typer.Argument(
        parser=parse_url,
        metavar="URL",
        help="nvme+rdma:// or nvme+tcp://HOST:PORT/NQN/NSID; all but HOST may be left out.",
    ),
]
HostNqn = Annotated[str, typer.Option(parser=parse_nqn, metavar="NQN", help="Who we are.")]
Source = Annotated[Path, typer.Option(metavar="FILE", help="What is written, or compared.")]
Offset = Annotated[
    int, typer.Option(parser=parse_size, metavar="SIZE", help="Where in the namespace to start; whole blocks.")
]
Length = Annotated[int | None, typer.Option(parser=parse_some, metavar="SIZE", help="How many bytes; all if left out.")]
LISTEN = [NvmeUrl("rdma", "127.0.0.2")]
START = Bytes(0)
HOST_NQN = SessionOptions().host_nqn


@app.command(epilog=f"baremetal nvme target --namespace disk.img --listen nvme+rdma://127.0.0.2\n\n{SIZES}")
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


@app.command()
def discover(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show which subsystems a target has."""
    found = discovered(url, SessionOptions(local=local, host_nqn=host_nqn))
    tables.show_discovered(found, console(), as_json=as_json)


@app.command("list")
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
    tables.show_namespaces(rows, console(), as_json=as_json)


@app.command()
def id_ctrl(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a controller's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        fields = tables.identity(namespace.connection.host.identity, without=("psd", "vendor"))
    tables.show_identity(fields, console(), as_json=as_json)


@app.command()
def id_ns(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a namespace's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        fields = tables.identity(namespace.core.data, without=("lbaf", "vendor"))
    tables.show_identity(fields, console(), as_json=as_json)


@app.command(epilog=SIZES)
def write(
    url: Url,
    file: Source,
    offset: Offset = START,
    length: Length = None,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    digests: Digests = 0,
    path: Paths = None,
    policy: Policy = PathPolicy.ROUND_ROBIN,
    reconnect_delay: ReconnectDelay = 10,
    ctrl_loss_tmo: CtrlLossTmo = None,
    fast_io_fail_tmo: FastIoFailTmo = -1,
    offload: Offload = True,
    capture: Capture = None,
    fault: Fault = None,
    faults: Faults = None,
    as_json: Json = False,
) -> None:
    """Write a file to a namespace, and flush."""
    reconnect = reconnect_policy(reconnect_delay, ctrl_loss_tmo, fast_io_fail_tmo, paths=1 + len(path or ()))
    with opened(file) as descriptor:
        extent = Extent(offset, file_length(file, descriptor, length))
        options = SessionOptions(
            local=local, host_nqn=host_nqn, offload=offload, capture=capture, device=device_config(faults, fault),
            is_quiet=as_json, digests=digests, paths=tuple(path or ()), policy=policy, reconnect=reconnect,
        )  # fmt: skip
        with open_namespace(url, options) as namespace:
            mover = FileMover(namespace, extent)
            duration_ns = timed("write", extent, partial(mover.write, descriptor), is_quiet=as_json)
            more = report_json(namespace.connection.end.device)
        digest = sha256_of(descriptor, extent.length)
        report("write", extent, duration_ns, digest, console(), as_json=as_json, more=more)


@app.command(epilog=SIZES)
def read(
    url: Url,
    file: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to; a file appears when it is whole, /dev/stdout as it comes.")
    ],
    offset: Offset = START,
    length: Length = None,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    digests: Digests = 0,
    path: Paths = None,
    policy: Policy = PathPolicy.ROUND_ROBIN,
    reconnect_delay: ReconnectDelay = 10,
    ctrl_loss_tmo: CtrlLossTmo = None,
    fast_io_fail_tmo: FastIoFailTmo = -1,
    offload: Offload = True,
    capture: Capture = None,
    fault: Fault = None,
    faults: Faults = None,
    as_json: Json = False,
) -> None:
    """Read a namespace into a file."""
    reconnect = reconnect_policy(reconnect_delay, ctrl_loss_tmo, fast_io_fail_tmo, paths=1 + len(path or ()))
    options = SessionOptions(
        local=local, host_nqn=host_nqn, offload=offload, capture=capture, device=device_config(faults, fault),
        is_quiet=as_json, digests=digests, paths=tuple(path or ()), policy=policy, reconnect=reconnect,
    )  # fmt: skip
    with open_namespace(url, options) as namespace:
        extent = Extent(offset, namespace.size_bytes - offset if length is None else length)
        mover = FileMover(namespace, extent)
        with destination(file) as into:
            duration_ns = timed("read", extent, partial(mover.read, into), is_quiet=as_json)
            digest = into.sha256()
        more = report_json(namespace.connection.end.device)
    out = console(stderr=into.is_standard_output)
    report("read", extent, duration_ns, digest, out, as_json=as_json, more=more)


@app.command(epilog="Exit status: 0 no difference, 1 a difference, 2 anything else that went wrong.\n\n" + SIZES)
def compare(
    url: Url,
    file: Source,
    offset: Offset = START,
    length: Length = None,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    digests: Digests = 0,
    path: Paths = None,
    policy: Policy = PathPolicy.ROUND_ROBIN,
    reconnect_delay: ReconnectDelay = 10,
    ctrl_loss_tmo: CtrlLossTmo = None,
    fast_io_fail_tmo: FastIoFailTmo = -1,
    offload: Offload = True,
    capture: Capture = None,
    fault: Fault = None,
    faults: Faults = None,
    as_json: Json = False,
) -> None:
    """Have the target compare a namespace with a file."""
    reconnect = reconnect_policy(reconnect_delay, ctrl_loss_tmo, fast_io_fail_tmo, paths=1 + len(path or ()))
    with trouble_as(2), opened(file) as descriptor:
        extent = Extent(offset, file_length(file, descriptor, length))
        options = SessionOptions(
            local=local, host_nqn=host_nqn, offload=offload, capture=capture, device=device_config(faults, fault),
            is_quiet=as_json, digests=digests, paths=tuple(path or ()), policy=policy, reconnect=reconnect,
        )  # fmt: skip
        with open_namespace(url, options) as namespace:
            mover = FileMover(namespace, extent)
            try:
                duration_ns = timed("compare", extent, partial(mover.compare, descriptor), is_quiet=as_json)
            except Difference as difference:
                if as_json:
                    found = {"verb": "compare", "bytes": extent.length, "differs": True, "offset": difference.offset}
                    console().print_json(data={**found, **report_json(namespace.connection.end.device)})
                raise
            more = report_json(namespace.connection.end.device)
        digest = sha256_of(descriptor, extent.length)
        report("compare", extent, duration_ns, digest, console(), as_json=as_json, more=more)


def timed(verb: str, extent: Extent, move: Callable[[Progress], None], *, is_quiet: bool) -> int:
    """Move an extent with a progress bar; returns how many nanoseconds that took."""
    with progress_bar(verb, extent.length, is_hidden=is_quiet) as advance:
        start = time.perf_counter_ns()
        move(advance)
        return time.perf_counter_ns() - start


def report(
    verb: str,
    extent: Extent,
    duration_ns: int,
    digest: str,
    to: Console,
    *,
    as_json: bool,
    more: Mapping[str, ControlJson],
) -> None:
    """Say how much was moved, how fast, and its SHA-256; more: what else the JSON has."""
    if as_json:
        rate = round(1e3 * extent.length / max(1, duration_ns), 1)
        result = {"verb": verb, "bytes": extent.length, "duration_ns": duration_ns, "mb_per_s": rate, "sha256": digest}
        to.print_json(data={**result, **({"differs": False} if verb == "compare" else {}), **more})
        return
    done = {"write": "wrote", "read": "read", "compare": "compared, no difference in"}[verb]
    to.print(f"{done} {format_amount(extent.length)} at {format_rate(extent.length, duration_ns)}", soft_wrap=True)
    to.print(f"sha256 {digest}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def trouble_as(status: int) -> Iterator[None]:
    """Leave with `status` when the block fails, except for a difference and for interrupts."""
    try:
        yield
    except Difference:
        raise
    except (CommandError, StackError, TransportError, OSError) as error:
        raise CommandError(explain(error)[0], status=status) from error


@contextlib.contextmanager
def progress_bar(verb: str, total: int, *, is_hidden: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; gives what is called as bytes are moved."""
    columns = (
        TextColumn(verb),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    errors = console(stderr=True)
    with ProgressBar(*columns, console=errors, transient=True, disable=is_hidden or not errors.is_terminal) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda moved: bar.advance(task, moved)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """An open file to read from. CommandError when it is a directory or a pipe."""
    with path.open("rb") as file:
        if not file.seekable():
            raise CommandError(f"{path} is a pipe, whose length is not known", "name a file")
        yield file.fileno()


def file_length(path: Path, descriptor: int, wanted: int | None) -> int:
    """How much of a file to use: `wanted` bytes, all of it when None. CommandError when it is shorter."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if wanted is not None and wanted > size:
        raise CommandError(f"{path} has {size} bytes, fewer than the {wanted} asked for", "choose a smaller --length")
    return size if wanted is None else wanted
