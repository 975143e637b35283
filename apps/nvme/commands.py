"""The command line of `baremetal nvme`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from apps.errors import CommandError
from apps.nvme import tables
from apps.nvme.files import Extent, FileMover
from apps.nvme.serving import TargetOptions, run_target
from apps.nvme.session import SessionOptions, discovered, open_connection, open_namespace, subsystems
from apps.sizes import format_rate, format_size, parse_size
from stacks.nvme.url import parse_url

app = typer.Typer(no_args_is_help=True, help="Serve namespaces over RDMA, and use those that others serve.")

Url = Annotated[
    str, typer.Argument(metavar="URL", help="nvme+rdma://HOST:PORT/NQN/NSID; all but HOST may be left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Local = Annotated[str, typer.Option(help="IP address of our device; one that suits when left out.")]
HostNqn = Annotated[str, typer.Option(help="Who we are.")]
Offload = Annotated[bool, typer.Option(help="Send and receive many packets with one system call.")]
Capture = Annotated[Path | None, typer.Option(help="Record every packet in this pcapng file.")]
Source = Annotated[Path, typer.Option(help="The file.")]
Offset = Annotated[int, typer.Option(parser=parse_size, metavar="SIZE", help="Where in the namespace to start.")]
Length = Annotated[
    int | None, typer.Option(parser=parse_size, metavar="SIZE", help="How many bytes; all when left out.")
]
HOST_NQN = SessionOptions().host_nqn


@app.command()
def target(
    namespace: Annotated[list[str], typer.Option(help="An image file, or mem:SIZE; repeated for several.")],
    listen: Annotated[
        str, typer.Option(metavar="URL", help="nvme+rdma://ADDRESS:PORT; the port is 4420 when left out.")
    ] = "nvme+rdma://127.0.0.2",
    nqn: Annotated[str, typer.Option(help="Name of the subsystem.")] = "nqn.2026-11.io.baremetal:disk",
    block_size: Annotated[int, typer.Option(parser=parse_size, metavar="SIZE", help="512 or 4096.")] = 4096,
    offload: Offload = True,
    capture: Capture = None,
    capture_limit: Annotated[
        int, typer.Option(parser=parse_size, metavar="SIZE", help="Stop recording here; 0: never.")
    ] = 0,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Serve image files or memory until Ctrl-C."""
    run_target(
        TargetOptions(
            namespaces=namespace,
            listen=listen,
            nqn=nqn,
            block_bytes=block_size,
            offload=offload,
            capture=capture,
            capture_limit_bytes=capture_limit,
            ends_with_stdin=until_stdin_ends,
            as_json=as_json,
        )
    )


@app.command()
def discover(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show which subsystems a target has."""
    found = discovered(parse_url(url), SessionOptions(local=local, host_nqn=host_nqn))
    tables.show_discovered(found, Console(), as_json=as_json)


@app.command("list")
def list_namespaces(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show the namespaces of a subsystem, or of all that a target has."""
    place, options = parse_url(url), SessionOptions(local=local, host_nqn=host_nqn)
    rows = []
    for nqn in [place.nqn] if place.nqn else subsystems(place, options):
        with open_connection(replace(place, nqn=nqn), options) as connection:
            rows += [
                tables.namespace_json(connection.host, each) for _, each in sorted(connection.host.namespaces.items())
            ]
    tables.show_namespaces(rows, Console(), as_json=as_json)


@app.command()
def id_ctrl(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a controller's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        fields = tables.identity(namespace.connection.host.identity, without=("psd", "vendor"))
    tables.show_identity(fields, Console(), as_json=as_json)


@app.command()
def id_ns(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a namespace's identity."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        fields = tables.identity(namespace.core.data, without=("lbaf", "vendor"))
    tables.show_identity(fields, Console(), as_json=as_json)


@app.command()
def write(
    url: Url,
    file: Source,
    offset: Offset = 0,
    length: Length = None,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    offload: Offload = True,
    capture: Capture = None,
    as_json: Json = False,
) -> None:
    """Write a file to a namespace, and flush."""
    with opened(file, os.O_RDONLY) as descriptor:
        extent = Extent(offset, file_length(file, descriptor, length))
        options = SessionOptions(local=local, host_nqn=host_nqn, offload=offload, capture=capture)
        move("write", url, options, descriptor, lambda _: extent, as_json=as_json)


@app.command()
def read(
    url: Url,
    file: Source,
    offset: Offset = 0,
    length: Length = None,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    offload: Offload = True,
    capture: Capture = None,
    as_json: Json = False,
) -> None:
    """Read a namespace into a file."""
    options = SessionOptions(local=local, host_nqn=host_nqn, offload=offload, capture=capture)
    with opened(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC) as descriptor:

        def extent(size: int) -> Extent:
            return Extent(offset, size - offset if length is None else length)

        move("read", url, options, descriptor, extent, as_json=as_json)


@app.command()
def compare(
    url: Url,
    file: Source,
    offset: Offset = 0,
    length: Length = None,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    offload: Offload = True,
    capture: Capture = None,
    as_json: Json = False,
) -> None:
    """Have the target compare a namespace with a file."""
    with opened(file, os.O_RDONLY) as descriptor:
        extent = Extent(offset, file_length(file, descriptor, length))
        options = SessionOptions(local=local, host_nqn=host_nqn, offload=offload, capture=capture)
        move("compare", url, options, descriptor, lambda _: extent, as_json=as_json)


def move(
    verb: Literal["write", "read", "compare"],
    url: str,
    options: SessionOptions,
    descriptor: int,
    extent_of: Callable[[int], Extent],
    *,
    as_json: bool,
) -> None:
    """Move an extent and report: how much, how fast, and the SHA-256 of what was moved.

    extent_of: the extent, given the size of the namespace in bytes.
    """
    with open_namespace(url, options) as namespace:
        extent = extent_of(namespace.size_bytes)
        mover = FileMover(namespace, descriptor, extent)
        action = {"write": mover.write, "read": mover.read, "compare": mover.compare}[verb]
        with progress_bar(verb, extent.length, is_hidden=as_json) as advance:
            start = time.perf_counter_ns()
            action(advance)
            duration_ns = time.perf_counter_ns() - start
    digest = sha256(descriptor, extent.length)
    console = Console()
    if as_json:
        rate = round(1e3 * extent.length / duration_ns, 1)
        result = {"verb": verb, "bytes": extent.length, "duration_ns": duration_ns, "mb_per_s": rate, "sha256": digest}
        console.print_json(data=result)
        return
    done = {"write": "wrote", "read": "read", "compare": "compared, no difference in"}[verb]
    console.print(f"{done} {format_size(extent.length)} at {format_rate(extent.length, duration_ns)}")
    console.print(f"sha256 {digest}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def progress_bar(verb: str, total: int, *, is_hidden: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; gives what is called as bytes are moved."""
    columns = (
        TextColumn(verb),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=is_hidden or not console.is_terminal) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda moved: bar.advance(task, moved)


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """An open file."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def file_length(path: Path, descriptor: int, wanted: int | None) -> int:
    """How much of a file to use: `wanted` bytes, all of it when None. CommandError when it is shorter."""
    size = os.fstat(descriptor).st_size
    if wanted is not None and wanted > size:
        raise CommandError(f"{path} has {size} bytes, fewer than the {wanted} asked for", "choose a smaller --length")
    return size if wanted is None else wanted


def sha256(descriptor: int, length: int) -> str:
    """The SHA-256 of the first `length` bytes of a file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    at = 0
    while at < length:
        count = os.preadv(descriptor, [buffer[: min(len(buffer), length - at)]], at)
        if not count:
            break
        digest.update(buffer[:count])
        at += count
    return digest.hexdigest()
