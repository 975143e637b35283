"""`baremetal nvme write`, `read` and `compare`: files into and out of a namespace."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Annotated

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
    reconnect_policy,
)
from apps.errors import CommandError, explain
from apps.faults import Fault, Faults, device_config, report_json
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.destinations import destination, sha256_of
from apps.nvme.files import Difference, Extent, FileMover, Progress
from apps.nvme.session import SessionOptions, open_namespace
from apps.output import console
from apps.sizes import Bytes, format_amount, format_rate, parse_size, parse_some
from stacks.nvme.host import PathPolicy
from stacks.runtime import StackError
from transports.control import Json as ControlJson
from transports.errors import TransportError

Source = Annotated[Path, typer.Option(metavar="FILE", help="What is written, or compared; -: standard input.")]
Offset = Annotated[
    int, typer.Option(parser=parse_size, metavar="SIZE", help="Where in the namespace to start; whole blocks.")
]
Length = Annotated[int | None, typer.Option(parser=parse_some, metavar="SIZE", help="How many bytes; all if left out.")]
START = Bytes(0)
CHUNK_BYTES = 1 << 20
DASH, STDIN, STDOUT = Path("-"), Path("/dev/stdin"), Path("/dev/stdout")


def add_to(app: typer.Typer) -> None:
    """Make these commands of a group."""
    app.command(epilog=SIZES)(write)
    app.command(epilog=SIZES)(read)
    app.command(epilog="Exit status: 0 no difference, 1 a difference, 2 anything else that went wrong.\n\n" + SIZES)(
        compare
    )


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
    with opened(file, length) as descriptor:
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


def read(
    url: Url,
    file: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to; a file appears when it is whole, - (standard output) fills.")
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
        with destination(STDOUT if file == DASH else file) as into:
            duration_ns = timed("read", extent, partial(mover.read, into), is_quiet=as_json)
            digest = into.sha256()
        more = report_json(namespace.connection.end.device)
    out = console(stderr=into.is_standard_output)
    report("read", extent, duration_ns, digest, out, as_json=as_json, more=more)


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
    with trouble_as(2), opened(file, length) as descriptor:
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
def opened(path: Path, length: int | None) -> Iterator[int]:
    """An open file to read from. What comes through a pipe, or for `-` from standard input, is kept in a file first:
    `length` bytes of it, or all.
    """
    with contextlib.ExitStack() as stack:
        file: IO[bytes] = stack.enter_context((STDIN if path == DASH else path).open("rb"))
        if not file.seekable():
            kept = stack.enter_context(tempfile.TemporaryFile())
            while chunk := file.read(CHUNK_BYTES if length is None else min(CHUNK_BYTES, length - kept.tell())):
                kept.write(chunk)
            kept.flush()
            file = kept
        yield file.fileno()


def file_length(path: Path, descriptor: int, wanted: int | None) -> int:
    """How much of a file to use: `wanted` bytes, all of it when None. CommandError when it is shorter."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if wanted is not None and wanted > size:
        raise CommandError(f"{path} has {size} bytes, fewer than the {wanted} asked for", "choose a smaller --length")
    return size if wanted is None else wanted
